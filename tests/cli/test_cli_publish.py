from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.cli.wire import quote
from event_monitor.control.spool import Spool
from event_monitor.model import Priority
from tests.cli.scripted import Cli, Script, ScriptedBus, refusal, success

PUBLISHED = {
    "id": 7,
    "event_type": "a.b",
    "priority": "HIGH",
    "status": "accepted",
    "targets": ["log", "alert"],
}
StartBus = Callable[[Script], ScriptedBus]


def accept(request: dict[str, Any], number: int) -> bytes:
    return success(PUBLISHED)


@given(st.text())
def test_quoted_text_is_json(text: str) -> None:
    assert json.loads(quote(text)) == text


def test_the_reply_is_printed_as_it_came(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    done = cli(
        "publish", "a.b", '{"x": "é"}', "--priority", "HIGH", "--ttl=60", "--key", "k1", "--source", "me"
    )
    assert (done.status, done.err) == (0, "")
    assert done.out == json.dumps(PUBLISHED, separators=(",", ":")) + "\n"
    assert started.requests == [
        {
            "do": "publish_text",
            "event_type": "a.b",
            "payload": '{"x": "é"}',
            "priority": "HIGH",
            "ttl": "60",
            "key": "k1",
            "source": "me",
        }
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish", "a.b", "-"),
        ("--output", "json", "publish", "a.b", "-"),
        ("publish", "--source=s", "a.b", "-", "--output=json"),
        ("publish", "--", "a.b", "-"),
    ],
)
def test_the_payload_can_come_on_stdin(cli: Cli, bus: StartBus, arguments: tuple[str, ...]) -> None:
    started = bus(accept)
    assert cli(*arguments, stdin='{"x": "é"}\n'.encode()).json == PUBLISHED
    assert started.requests[0]["payload"] == '{"x": "é"}\n'


def test_a_table_is_a_line_for_people(cli: Cli, bus: StartBus) -> None:
    bus(accept)
    done = cli("--output", "table", "publish", "a.b")
    assert (done.status, done.out) == (0, "accepted a.b as event 7, HIGH, for log, alert\n")


def test_a_terminal_gets_a_table(cli: Cli, bus: StartBus) -> None:
    bus(accept)
    leader, follower = pty.openpty()
    with cli.start("publish", "a.b", stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        assert process.wait() == 0
    assert os.read(leader, 1_000) == b"accepted a.b as event 7, HIGH, for log, alert\r\n"
    os.close(leader)


def test_every_event_has_a_key_and_no_two_the_same(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    cli("publish", "a.b")
    cli("publish", "a.b")
    first, second = (request["key"] for request in started.requests)
    assert first
    assert second
    assert first != second


def test_a_duplicate_of_the_users_key_is_said(cli: Cli, bus: StartBus) -> None:
    bus(lambda request, number: success(PUBLISHED | {"status": "duplicate"}))
    done = cli("publish", "a.b", "--key", "k", "--output", "table")
    assert (done.status, done.out) == (0, "duplicate a.b: the key is that of event 7\n")


def test_what_a_handler_publishes_names_its_cause(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    cli("publish", "a.b", EVENT_MONITOR_EVENT_ID="41")
    cli("publish", "a.b", EVENT_MONITOR_EVENT_ID="$(x)")
    assert [request.get("causation_id") for request in started.requests] == ["41", None]


@pytest.mark.parametrize(
    ("code", "status"),
    [("invalid_event", 2), ("invalid_request", 2), ("bus_full", 1), ("store_unavailable", 1), ("failed", 1)],
)
def test_a_refusal_is_one_line_on_stderr(cli: Cli, bus: StartBus, code: str, status: int) -> None:
    bus(lambda request, number: refusal(code, "no \x1b[31mgood\n", "do better"))
    done = cli("publish", "a.b")
    assert (done.status, done.out, done.err) == (status, "", "event-cli: no \ufffd[31mgood  (do better)\n")
    assert cli.spooled() == []


@pytest.mark.parametrize(
    "script",
    [lambda request, number: None, lambda request, number: refusal("bus_closed", "stopping")],
    ids=["died before it answered", "stopping"],
)
def test_without_an_answer_the_same_event_is_spooled(cli: Cli, bus: StartBus, script: Script) -> None:
    started = bus(script)
    done = cli("publish", "a.b", '{"x":1}', "--priority", "high")
    assert (done.status, done.err) == (0, "")
    assert done.json == {
        "id": None,
        "event_type": "a.b",
        "priority": "HIGH",
        "status": "spooled",
        "targets": [],
    }
    spool = Spool(cli.paths.spool)
    (event,) = spool.read(spool.entries(1)[0])
    assert event.key == started.requests[0]["key"]
    assert (event.event_type, event.payload, event.priority) == ("a.b", {"x": 1}, Priority.HIGH)


def test_with_no_bus_an_event_is_spooled(cli: Cli) -> None:
    done = cli("publish", "a.b", '{"x":1}', "--output", "table", "--ttl", "5", "--key", "mine")
    assert done.status == 0
    assert done.out.startswith("spooled a.b: no bus answered")
    spool = Spool(cli.paths.spool)
    (event,) = spool.read(spool.entries(1)[0])
    assert (event.key, event.ttl) == ("mine", 5.0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["Not A Type"], "Not A Type"),
        (["a.b", "[1]"], "not a JSON object"),
        (["a.b", '{"x": NaN}'], "not a JSON object"),
        (["a.b", "{}", "--ttl", "soon"], "'soon' is not a number"),
        (["a.b", "{}", "--ttl", "nan"], "out of range"),
        (["a.b", "{}", "--priority", "urgent"], "urgent"),
        (["a.b", json.dumps({"deep": json.loads("[" * 70 + "]" * 70)})], "deeper"),
    ],
)
def test_with_no_bus_bad_input_is_refused(cli: Cli, arguments: list[str], named: str) -> None:
    done = cli("publish", *arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("event-cli: ")
    assert done.err.count("\n") == 1
    assert named in done.err
    assert cli.spooled() == []


def test_with_no_bus_too_large_a_payload_is_refused(cli: Cli) -> None:
    done = cli("publish", "a.b", "-", stdin=b'{"x": "' + b"y" * 300_000 + b'"}')
    assert done.status == 2
    assert "the limit is 262,144" in done.err
    assert cli.spooled() == []


def test_a_spool_that_cannot_be_written_is_a_failure(cli: Cli) -> None:
    cli.home.write_text("")
    done = cli("publish", "a.b")
    assert (done.status, done.out) == (1, "")
    assert "the spool cannot be written" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish",),
        ("publish", "-"),
        ("publish", "a.b", "{}", "more"),
        ("publish", "a.b", "--bogus"),
        ("publish", "a.b", "--priority"),
        ("publish", "a.b", "--priority", "urgent", "--output", "xml"),
        ("publish", "a.b", "--batch"),
        ("publish", "-", "--batch", "--key", "k"),
        ("nonsense",),
        (),
        ("dlq",),
    ],
)
def test_wrong_usage_exits_2_with_one_line(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("event-cli: ")
    assert done.err.count("\n") == 1


def test_arguments_that_are_not_utf8_are_bad_input(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    done = cli("publish", "a.b", b'{"x": "\xff"}')
    assert (done.status, done.out) == (2, "")
    assert "not UTF-8" in done.err
    done = cli("publish", "a.b", "-", stdin=b"\xff")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert started.requests == []


def test_an_event_that_fits_no_frame_is_refused(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    done = cli("publish", "a.b", "-", stdin=b'{"x": "' + b"y" * 1_100_000 + b'"}')
    assert done.status == 2
    assert "larger than 1 MiB" in done.err
    assert started.requests == []


def test_a_reader_that_left_is_no_error(cli: Cli, bus: StartBus) -> None:
    bus(accept)
    reading, writing = os.pipe()
    os.close(reading)
    with cli.start("publish", "a.b", stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
