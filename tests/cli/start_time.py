"""Start time of ``event-cli publish`` and ``hook`` against a bare interpreter, in interleaved runs.

Run it as ``python -m tests.cli.start_time [ROUNDS]``: a table on stderr, JSON on stdout. No test.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cli.scripted import Cli, ScriptedBus, success

_REPLY = {"id": 7, "event_type": "a.b", "priority": "NORMAL", "status": "accepted", "targets": ["log"]}
_HOOK = (
    b'{"hook_event_name":"PostToolUse","tool_name":"Bash","tool_input":{"command":"ls"},"tool_response":{}}\n'
)


def measure(rounds: int) -> dict[str, float]:
    """The median wall time of each case in milliseconds."""
    with tempfile.TemporaryDirectory() as directory:
        running, absent = Cli(Path(directory, "running")), Cli(Path(directory, "absent"))
        script = str(Path(sys.executable).with_name("event-cli"))
        module = running.command
        publish = ["publish", "build.done", '{"exit_code": 0}']
        cases = {
            "python -c pass": ([sys.executable, "-c", "pass"], running),
            "event-cli publish": ([script, *publish], running),
            "event-cli hook": ([script, "hook"], running),
            "event-cli hook, no bus": ([script, "hook"], absent),
            "python -m event_monitor.cli publish": ([*module, *publish], running),
            "python -m event_monitor.cli hook": ([*module, "hook"], running),
            "event-cli publish, no bus": ([script, *publish], absent),
            "event-cli stats": ([script, "stats"], absent),
        }
        bus = ScriptedBus(running.paths.socket, lambda request, number: success(_REPLY))
        try:
            times: dict[str, list[float]] = {name: [] for name in cases}
            for _ in range(rounds):
                for name, (command, cli) in cases.items():
                    begun = time.perf_counter()
                    subprocess.run(command, input=_HOOK, env=cli.environ, capture_output=True, check=False)
                    times[name].append((time.perf_counter() - begun) * 1_000)
        finally:
            bus.stop()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    medians = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
    bare = medians["python -c pass"]
    for name, milliseconds in medians.items():
        print(f"{name:<38}{milliseconds:8.1f} ms{milliseconds / bare:7.2f} x", file=sys.stderr)
    print(json.dumps({name: round(milliseconds, 2) for name, milliseconds in medians.items()}))


if __name__ == "__main__":
    main()
