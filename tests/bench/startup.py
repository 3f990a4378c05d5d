"""Wall time of event-cli's commands against a bare interpreter."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.measure import environ
from tests.bench.options import Options
from tests.bench.report import Report
from tests.processes import headless

HOOK = (
    b'{"session_id":"s1","hook_event_name":"PostToolUse","tool_name":"Bash","tool_input":{"command":"ls"},'
    b'"tool_response":{"stdout":"","stderr":"","interrupted":false}}\n'
)
PUBLISH = ("publish", "build.done", '{"exit_code": 0}')
COLUMNS = ("command", "bus", "median_ms", "p95_ms", "x_pass", "over_pass_ms")

Case = tuple[str, str]


def run(options: Options) -> Report:
    """Median wall times over interleaved runs; every run must exit with 0."""
    rounds = 5 if options.quick else 60
    running, absent = options.scratch / "running", options.scratch / "absent"
    script, module = (
        str(Path(sys.executable).with_name("event-cli")),
        (sys.executable, "-m", "event_monitor.cli"),
    )
    commands: dict[Case, tuple[list[str], Path]] = {
        ("python3 -c pass", ""): ([sys.executable, "-c", "pass"], absent),
        ("python3 -I -S -c pass", ""): ([sys.executable, "-I", "-S", "-c", "pass"], absent),
    }
    for bus, home in (("running", running), ("none: spool", absent)):
        commands["event-cli publish", bus] = ([script, *PUBLISH], home)
        commands["python3 -m event_monitor.cli publish", bus] = ([*module, *PUBLISH], home)
        commands["event-cli hook", bus] = ([script, "hook"], home)
        commands["python3 -m event_monitor.cli hook", bus] = ([*module, "hook"], home)
    commands["event-cli stats", "running"] = ([script, "stats"], running)
    commands["event-cli --help", ""] = ([script, "--help"], absent)
    times: dict[Case, list[float]] = {case: [] for case in commands}
    with headless(running) as bus:
        order = list(commands)
        shuffle = random.Random(1).shuffle
        for number in range(rounds + 1):
            shuffle(order)
            for case in order:
                command, home = commands[case]
                variables = environ() | {"EVENT_MONITOR_HOME": str(home)}
                begun = time.perf_counter()
                subprocess.run(command, input=HOOK, env=variables, capture_output=True, check=True)
                if number:
                    times[case].append((time.perf_counter() - begun) * 1_000)
        published = bus.ask(do="get_stats")["published"]
    spooled = sum(1 for path in (absent / "event-bus" / "spool").rglob("*") if path.is_file())
    bare = statistics.median(times["python3 -c pass", ""])
    rows = []
    for (name, bus_state), values in times.items():
        median = statistics.median(values)
        rows.append(
            {
                "command": name,
                "bus": bus_state,
                "median_ms": round(median, 2),
                "p95_ms": round(sorted(values)[int(0.95 * len(values))], 2),
                "x_pass": round(median / bare, 2),
                "over_pass_ms": round(median - bare, 2),
            }
        )
    notes = [
        f"medians of {rounds} interleaved runs after one unmeasured; durability full",
        f"the running bus accepted {published} events, {spooled} files are in the other home's spool",
    ]
    return Report("startup", "Start time, wall", COLUMNS, rows, notes)
