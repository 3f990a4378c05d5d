from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from event_monitor.cli.batch import FRAME_LINES, MAX_IN_FLIGHT, MAX_LINE_BYTES
from event_monitor.control.spool import Spool
from event_monitor.messages import Publish
from tests.cli.scripted import Cli, Script, ScriptedBus, refusal, success

StartBus = Callable[[Script], ScriptedBus]


def accept(request: dict[str, Any], number: int) -> bytes:
    count = len(request["lines"])
    return success({"accepted": count, "duplicates": 0, "first_id": number, "last_id": number, "errors": []})


def lines(count: int) -> bytes:
    return b"".join(b'{"event_type":"a.b","payload":{"n":%d}}\n' % number for number in range(count))


def sent(bus: ScriptedBus) -> list[dict[str, Any]]:
    return [json.loads(line) for request in bus.requests for line in request["lines"]]


def spooled(cli: Cli) -> list[Publish]:
    spool = Spool(cli.paths.spool)
    return [event for entry in spool.entries(1_000) for event in spool.read(entry)]


def test_all_lines_are_published_in_order(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    count = 3 * FRAME_LINES + 17
    done = cli("publish", "-", "--batch", "--source", "import", stdin=lines(count))
    assert (done.status, done.err) == (0, "")
    assert done.json["accepted"] == count
    assert (done.json["first_id"], done.json["last_id"]) == (1, 4)
    events = sent(started)
    assert [event["payload"]["n"] for event in events] == list(range(count))
    assert len({event["key"] for event in events}) == count
    assert [len(request["lines"]) for request in started.requests] == [FRAME_LINES] * 3 + [17]
    assert {request["source"] for request in started.requests} == {"import"}


def test_frames_stay_small(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    line = json.dumps({"event_type": "a.b", "payload": {"text": '"' * 100_000}}).encode()
    done = cli("publish", "-", "--batch", stdin=b"\n".join([line] * 7))
    assert done.json["accepted"] == 7
    assert max(len(json.dumps(request)) for request in started.requests) < 1_048_576


def test_own_keys_and_causes_are_kept(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    data = b'{"event_type":"a.b","key":"mine","causation_id":3}\n { } \n{"event_type":"a.b"}'
    cli("publish", "-", "--batch", stdin=data, EVENT_MONITOR_EVENT_ID="9")
    first, empty, last = sent(started)
    assert (first["key"], first["causation_id"]) == ("mine", 3)
    assert set(empty) == {"key", "causation_id"}
    assert (last["event_type"], last["causation_id"]) == ("a.b", 9)


def test_bad_lines_are_named_and_harm_no_other(cli: Cli, bus: StartBus) -> None:
    def refuse_second(request: dict[str, Any], number: int) -> bytes:
        error = {"line": 1, "code": "invalid_event", "message": "'B' is not an event type"}
        return success({"accepted": 2, "duplicates": 0, "first_id": 1, "last_id": 2, "errors": [error]})

    started = bus(refuse_second)
    data = b'{"event_type":"a"}\n\n{broken\n{"event_type":"B"}\n[1]\n\xff\n{"event_type":"c"}\n' + b"x" * (
        MAX_LINE_BYTES + 1
    )
    done = cli("publish", "-", "--batch", stdin=data)
    assert done.status == 2
    assert {"accepted": 2, "refused": 5}.items() <= done.json.items()
    assert [event["event_type"] for event in sent(started)] == ["a", "B", "c"]
    named = [line.split(":")[1].strip() for line in done.err.splitlines()]
    assert sorted(named) == ["line 3", "line 4", "line 5", "line 6", "line 8"]


@pytest.mark.parametrize(("code", "status"), [("bus_full", 1), ("invalid_event", 2)])
def test_refused_lines_set_the_exit_status(cli: Cli, bus: StartBus, code: str, status: int) -> None:
    error = {"line": 0, "code": code, "message": "refused"}
    bus(
        lambda r, n: success(
            {"accepted": 0, "duplicates": 0, "first_id": None, "last_id": None, "errors": [error]}
        )
    )
    done = cli("publish", "-", "--batch", "--wait", "0", stdin=lines(1))
    assert (done.status, done.err) == (status, "event-cli: line 1: refused\n")


def test_a_refused_frame_refuses_its_lines_only(cli: Cli, bus: StartBus) -> None:
    bus(
        lambda request, number: (
            refusal("store_unavailable", "disk full") if number == 1 else accept(request, number)
        )
    )
    done = cli("publish", "-", "--batch", stdin=lines(FRAME_LINES + 1))
    assert done.status == 1
    assert {"accepted": 1, "refused": FRAME_LINES}.items() <= done.json.items()


def test_at_most_a_few_frames_are_in_flight(cli: Cli, bus: StartBus) -> None:
    """The bus reads ahead without answering: the sender stops by itself and goes on when it answers."""
    held: list[dict[str, Any]] = []
    most = 0

    def hold_back(request: dict[str, Any], number: int) -> bytes:
        nonlocal most
        held.append(request)
        most = max(most, len(held))
        if number < frames and len(held) < MAX_IN_FLIGHT:
            return b""
        answers = b"".join(accept(request, number) for request in held)
        held.clear()
        return answers

    frames = 3 * MAX_IN_FLIGHT
    bus(hold_back)
    done = cli("publish", "-", "--batch", stdin=lines(frames * FRAME_LINES))
    assert (done.status, done.json["accepted"]) == (0, frames * FRAME_LINES)
    assert most == MAX_IN_FLIGHT


def test_with_no_bus_good_lines_are_spooled(cli: Cli) -> None:
    data = lines(FRAME_LINES + 3) + b'{"event_type":"Bad Type"}\n'
    done = cli("publish", "-", "--batch", "--output", "table", stdin=data)
    assert done.status == 2
    assert done.out == f"0 accepted, 0 duplicate, {FRAME_LINES + 3} spooled, 1 refused\n"
    assert done.err.startswith(f"event-cli: line {FRAME_LINES + 4}: ")
    assert [event.payload["n"] for event in spooled(cli)] == list(range(FRAME_LINES + 3))


def test_a_bus_that_dies_in_the_middle_loses_and_doubles_nothing(cli: Cli, bus: StartBus) -> None:
    started = bus(lambda request, number: accept(request, number) if number == 1 else None)
    count = 6 * FRAME_LINES
    done = cli("publish", "-", "--batch", stdin=lines(count))
    assert done.status == 0
    assert {"accepted": FRAME_LINES, "spooled": count - FRAME_LINES}.items() <= done.json.items()
    kept = spooled(cli)
    assert [event.payload["n"] for event in kept] == list(range(FRAME_LINES, count))
    in_doubt = {event["key"] for event in sent(started)[FRAME_LINES:]}
    assert in_doubt <= {event.key for event in kept}


def test_a_slow_producer_is_not_kept_waiting(cli: Cli, bus: StartBus) -> None:
    """Each line is published, and refused, before the next one is written."""
    error = {"line": 0, "code": "invalid_event", "message": "refused"}
    started = bus(
        lambda request, number: (
            accept(request, number)
            if number == 1
            else success(
                {"accepted": 0, "duplicates": 0, "first_id": None, "last_id": None, "errors": [error]}
            )
        )
    )
    pipe = subprocess.PIPE
    with cli.start("publish", "-", "--batch", stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(lines(1) + b'{"event_type":"not.yet')
        process.stdin.flush()
        assert started.arrived.wait(30)
        process.stdin.write(b'.done"}\n')
        process.stdin.flush()
        assert process.stderr.readline() == b"event-cli: line 2: refused\n"
        process.stdin.close()
        assert process.wait() == 2
    assert [event["event_type"] for event in sent(started)] == ["a.b", "not.yet.done"]


def test_an_empty_batch_is_fine(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    done = cli("publish", "-", "--batch", stdin=b"\n\n")
    assert (done.status, done.json["accepted"]) == (0, 0)
    assert started.requests == []
