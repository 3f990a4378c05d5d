"""A bus that has enough to do makes a batch's pipe slower: nothing is lost, doubled or refused."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from event_monitor.cli.batch import FRAME_LINES, Batch
from event_monitor.control.spool import Spool
from event_monitor.paths import HomePaths
from tests.bus.helpers import rows
from tests.cli.scripted import Cli, Script, ScriptedBus, refusal, success
from tests.processes import Headless, wait_for

StartBus = Callable[[Script], ScriptedBus]


def lines(count: int) -> bytes:
    return b"".join(b'{"event_type":"a.b","payload":{"n":%d}}\n' % number for number in range(count))


def reply(request: dict[str, Any], refused: dict[int, str]) -> bytes:
    """Accept the lines of a request but for ``refused``, which are line numbers and codes."""
    errors = [
        {"line": line, "code": code, "message": "not now", "retry_after": 0.01}
        for line, code in refused.items()
    ]
    count = len(request["lines"]) - len(errors)
    return success({"accepted": count, "duplicates": 0, "first_id": 1, "last_id": count, "errors": errors})


class Pressed:
    """A bus that takes at most ``rate`` lines of a request, and knows what it took."""

    def __init__(self, rate: int, code: str) -> None:
        self.rate, self.code = rate, code
        self.taken: list[dict[str, Any]] = []

    def __call__(self, request: dict[str, Any], number: int) -> bytes:
        found = [json.loads(line) for line in request["lines"]]
        self.taken += found[: self.rate]
        return reply(request, dict.fromkeys(range(self.rate, len(found)), self.code))


@pytest.mark.parametrize("code", ["bus_full", "rate_limited"])
def test_what_the_bus_cannot_take_is_sent_again_with_the_same_keys(
    cli: Cli, bus: StartBus, code: str
) -> None:
    pressed = Pressed(FRAME_LINES // 4, code)
    started = bus(pressed)
    count = 2 * FRAME_LINES + 10
    done = cli("publish", "-", "--batch", stdin=lines(count))
    assert (done.status, done.err) == (0, "")
    assert {"accepted": count, "refused": 0}.items() <= done.json.items()
    assert sorted(event["payload"]["n"] for event in pressed.taken) == list(range(count))
    assert len({event["key"] for event in pressed.taken}) == count
    key_of: dict[int, set[str]] = {}
    for request in started.requests:
        for line in map(json.loads, request["lines"]):
            key_of.setdefault(line["payload"]["n"], set()).add(line["key"])
    assert {len(keys) for keys in key_of.values()} == {1}


def test_lines_keep_their_order_once_the_pipe_is_slow(cli: Cli, bus: StartBus) -> None:
    pressed = Pressed(7, "bus_full")
    bus(pressed)
    cli("publish", "-", "--batch", stdin=lines(100))
    assert [event["payload"]["n"] for event in pressed.taken] == list(range(100))


def test_a_bus_that_takes_nothing_is_given_up_and_no_more_is_read(cli: Cli, bus: StartBus) -> None:
    pressed = Pressed(0, "bus_full")
    started = bus(pressed)
    pipe = subprocess.PIPE
    with cli.start("publish", "-", "--batch", "--wait", "1", stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stdout is not None
        process.stdin.write(lines(3))
        process.stdin.flush()
        assert process.wait(30) == 1
        error = process.stderr.read().decode()
        summary = json.loads(process.stdout.read())
    assert error.startswith("event-cli: line 1: given up, the bus has taken nothing for 1 s; 3 lines")
    assert {"accepted": 0, "refused": 3}.items() <= summary.items()
    assert len(started.requests) > 2


def test_other_mistakes_are_still_told_at_once(cli: Cli, bus: StartBus) -> None:
    def script(request: dict[str, Any], number: int) -> bytes:
        return reply(request, {0: "invalid_event", 1: "bus_full"} if number == 1 else {})

    bus(script)
    done = cli("publish", "-", "--batch", stdin=lines(3))
    assert (done.status, done.err) == (2, "event-cli: line 1: not now\n")
    assert {"accepted": 2, "refused": 1}.items() <= done.json.items()


def test_a_bus_without_a_place_for_the_connection_is_asked_again(cli: Cli, bus: StartBus) -> None:
    def script(request: dict[str, Any], number: int) -> Any:
        return [refusal("busy", "too many connections")] if number <= 2 else reply(request, {})

    bus(script)
    done = cli("publish", "-", "--batch", stdin=lines(5))
    assert (done.status, done.json["accepted"], done.json["spooled"]) == (0, 5, 0)


def test_a_bus_that_goes_while_lines_are_held_leaves_them_to_the_spool(cli: Cli, bus: StartBus) -> None:
    def script(request: dict[str, Any], number: int) -> Any:
        return reply(request, dict.fromkeys(range(2, 5), "bus_full")) if number == 1 else None

    bus(script)
    done = cli("publish", "-", "--batch", stdin=lines(5))
    assert done.status == 0
    assert {"accepted": 2, "spooled": 3, "refused": 0}.items() <= done.json.items()
    spool = Spool(Path(cli.paths.spool))
    spooled = [event for entry in spool.entries(10) for event in spool.read(entry)]
    assert [event.payload["n"] for event in spooled] == [2, 3, 4]


def test_pauses_grow_while_nothing_is_taken_and_patience_begins_anew_with_what_is(
    bus: StartBus, cli: Cli
) -> None:
    pauses: list[float] = []

    def script(request: dict[str, Any], number: int) -> bytes:
        error = {"line": 0, "code": "bus_full", "message": "full"}
        if number % 10 == 0:
            return reply(request, {})
        return success({"accepted": 0, "duplicates": 0, "first_id": None, "last_id": None, "errors": [error]})

    bus(script)
    batch = Batch(
        HomePaths(str(cli.home)), patience=20, clock=lambda: sum(pauses), pause=lambda s: pauses.append(s)
    )
    bursts = [burst for line in lines(3).splitlines() for burst in ([line], [])]
    assert batch.run(bursts) == 0
    assert batch.summary.accepted == 3
    assert pauses[:7] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    assert pauses.count(0.05) == 3
    assert sum(pauses) > 20


# --- a real bus and a real pipe -------------------------------------------------------------

COUNT, BACKLOG = 12_000, 3_000
_PRODUCER = (
    'import sys\nfor n in range({}): sys.stdout.write(\'{{"event_type":"a.b","payload":{{"n":%d}}}}\\n\' % n)'
)


def peak_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_full_queue_stops_the_pipe_and_an_emptied_one_lets_it_go_on(home: Path) -> None:
    (home / "event-bus").mkdir(parents=True)
    (home / "event-bus" / "event-monitor.yaml").write_text(f"queue: {{max_backlog: {BACKLOG}}}\n")
    running = Headless(home)
    try:
        running.ask(do="set_maintenance", on=True)
        cli = Cli(home)
        producer = subprocess.Popen([sys.executable, "-c", _PRODUCER.format(COUNT)], stdout=subprocess.PIPE)
        batch = cli.start("publish", "-", "--batch", stdin=producer.stdout, stdout=subprocess.PIPE)
        assert producer.stdout is not None
        producer.stdout.close()
        wait_for(lambda: running.ask(do="get_stats")["pending"] >= BACKLOG)
        # Back-pressure has reached the producer: it cannot write any more, and nobody has ended.
        threading.Event().wait(1)
        assert (producer.poll(), batch.poll()) == (None, None)
        before = peak_kib(batch.pid)
        threading.Event().wait(2)
        assert peak_kib(batch.pid) - before < 4 * 1024
        assert running.ask(do="get_stats")["pending"] <= BACKLOG + 100
        running.ask(do="set_maintenance", on=False)
        out, _ = batch.communicate(timeout=60)
        assert (producer.wait(), batch.returncode) == (0, 0)
        assert {"accepted": COUNT, "duplicates": 0, "spooled": 0, "refused": 0}.items() <= json.loads(
            out
        ).items()
        wait_for(lambda: running.ask(do="get_stats")["pending"] == 0)
    finally:
        assert running.stop() == 0
    numbers = Counter(
        n
        for (n,) in rows(
            home / "event-bus" / "events.db", "SELECT payload ->> '$.n' FROM events WHERE event_type = 'a.b'"
        )
    )
    assert numbers == Counter(range(COUNT))


def test_a_rule_that_delays_is_a_slower_pipe(home: Path) -> None:
    (home / "event-bus").mkdir(parents=True)
    (home / "event-bus" / "event-monitor.yaml").write_text(
        "storm:\n  a.b: {rate: 400, burst: 100, action: delay}\n"
        "  a.c: {rate: 400, burst: 100, action: refuse}\n"
    )
    running = Headless(home)
    try:
        data = lines(900) + lines(900).replace(b"a.b", b"a.c")
        began = time.monotonic()
        done = Cli(home)("publish", "-", "--batch", "--source", "import", stdin=data)
        assert (done.status, done.err) == (0, "")
        assert {"accepted": 1_800, "duplicates": 0, "refused": 0}.items() <= done.json.items()
        stats = running.ask(do="get_stats")
        # On a slow machine few need be delayed, but on none may they be through sooner.
        assert time.monotonic() - began > (900 - 100) / 400
        assert stats["delayed"] >= 1
        assert stats["refused"] >= 1
        assert {(count["pattern"], count["source"]) for count in stats["storms"]} == {
            ("a.b", "import"),
            ("a.c", "import"),
        }
    finally:
        assert running.stop() == 0
    assert rows(
        home / "event-bus" / "events.db",
        "SELECT event_type, COUNT(DISTINCT payload ->> '$.n') FROM events "
        "WHERE event_type IN ('a.b', 'a.c') GROUP BY 1",
    ) == [("a.b", 900), ("a.c", 900)]
