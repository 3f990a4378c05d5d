"""Every command but ``publish`` and ``hook``, against a scripted bus."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from event_monitor import __version__
from event_monitor.cli.connection import Connection
from event_monitor.errors import NoBus
from event_monitor.messages import Ping
from tests.cli.scripted import Answer, Cli, Outcome, Script, ScriptedBus, refusal, success

StartBus = Callable[[Script], ScriptedBus]

TIME = "2026-11-23T20:00:00.000000Z"


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "timestamp": TIME, "event_type": "a.b", "payload": {"n": number}} | fields


def letter(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "event_type": "a.b",
        "target": "log",
        "attempts": 3,
        "error": "disk full",
        "dead_at": TIME,
        "priority": "NORMAL",
        "payload": {"password": "hunter2"},
        "errors": [{"at": TIME, "error": "first"}, {"at": TIME, "error": "disk full"}],
    } | fields


STATS: dict[str, Any] = {
    "state": "HEALTHY",
    "events_per_second": 1.5,
    "queue_depth": 2,
    "published": 3,
    "delivered": 4,
    "pending": 5,
    "dead": 6,
    "parked": 7,
    "expired": 8,
    "sampled": 9,
    "latency_ms": {"p50": 0.5, "p95": 1.0, "p99": None},
    "breakers": {},
    "targets": {"log": {"delivered": 4}},
}
STATE: dict[str, Any] = {"state": "HEALTHY", "since": TIME, "reason": "all well", "history": []}
CHANGE = {"from_state": "INITIALIZING", "to_state": "HEALTHY", "at": TIME, "reason": "started"}
RUN = {
    "id": 7,
    "state": "running",
    "rate": 2.5,
    "letters": 10,
    "retried": 4,
    "delivered": 3,
    "failed": 1,
    "under_way": 0,
    "seconds_left": 2.4,
    "event_id": None,
    "target": None,
    "event_type": None,
    "groups": [3, 4],
    "begun_by": "me",
    "created_at": "2026-11-23T15:42:07.000000Z",
    "ended_at": None,
    "waits": "",
}
GROUP = {
    "id": 3,
    "event_type": "a.b",
    "target": "log",
    "error": "OSError: <path>",
    "letters": 2,
    "first_at": "2026-11-23T15:42:07.000000Z",
    "last_at": "2026-11-23T15:42:07.000000Z",
    "first_id": 4,
    "last_id": 5,
    "sample": "OSError: /a",
}
SUBSCRIPTION = {"name": "pager", "pattern": "a.#", "handler": "exec:page", "created_at": TIME}


def answering(result: Any) -> Script:
    return lambda request, number: success(result)


@pytest.mark.parametrize(
    ("arguments", "result", "request_sent", "printed"),
    [
        (["stats"], STATS, {"do": "get_stats"}, STATS),
        (
            ["state"],
            STATE,
            {"do": "get_state", "history": False},
            {"state": "HEALTHY", "since": TIME, "reason": "all well"},
        ),
        (
            ["state", "--history"],
            STATE | {"history": [CHANGE]},
            {"do": "get_state", "history": True},
            {"from": "INITIALIZING", "to": "HEALTHY", "at": TIME, "reason": "started"},
        ),
        (
            ["routes", "a.b", '{"x": 1}'],
            {"event_type": "a.b", "priority": "LOW", "targets": ["log"], "rules": ["a.#"]},
            {"do": "resolve_route", "event_type": "a.b", "payload": {"x": 1}},
            {"event_type": "a.b", "priority": "LOW", "targets": ["log"], "rules": ["a.#"]},
        ),
        (
            ["alerts", "--limit", "5"],
            {"alerts": [{"id": 1, "at": TIME, "severity": "warning", "title": "t"}]},
            {"do": "query_alerts", "limit": 5},
            {"id": 1, "at": TIME, "severity": "warning", "title": "t"},
        ),
        (
            ["alerts", "--ack", "4"],
            {"count": 1, "message": "1 alert acknowledged"},
            {"do": "acknowledge_alerts", "alert_id": 4},
            {"count": 1, "message": "1 alert acknowledged"},
        ),
        (
            ["alerts", "--ack", "all"],
            {"count": 2, "message": ""},
            {"do": "acknowledge_alerts", "alert_id": None},
            {"count": 2, "message": ""},
        ),
        (["reload"], {"count": 3, "message": "ok"}, {"do": "reload"}, {"count": 3, "message": "ok"}),
        (
            ["subscribe", "a.#", "exec:page", "--name", "pager", "--filter", "x"],
            {"subscription": SUBSCRIPTION},
            {"do": "subscribe", "pattern": "a.#", "handler": "exec:page", "name": "pager", "filter": "x"},
            SUBSCRIPTION,
        ),
        (
            ["subscribe", "list"],
            {"subscriptions": [SUBSCRIPTION]},
            {"do": "query_subscriptions"},
            SUBSCRIPTION,
        ),
        (
            ["subscribe", "remove", "pager"],
            {"count": 1, "message": ""},
            {"do": "unsubscribe", "name": "pager"},
            {"count": 1, "message": ""},
        ),
        (
            ["dlq", "list", "--target", "log", "--type", "a.#"],
            {"dead_letters": [letter(4)], "more": False},
            {"do": "query_dead_letters", "target": "log", "event_type": "a.#", "limit": 100},
            letter(4),
        ),
        (
            ["dlq", "show", "4"],
            {"dead_letters": [letter(4)], "more": False},
            {"do": "query_dead_letters", "event_id": 4},
            letter(4),
        ),
        (
            ["dlq", "retry", "4", "--target", "log"],
            {"count": 1, "message": "1 queued again"},
            {"do": "retry_dead_letters", "event_id": 4, "target": "log", "all": False},
            {"count": 1, "message": "1 queued again"},
        ),
        (
            ["dlq", "retry", "--group", "3", "--group", "4", "--rate", "2.5"],
            RUN,
            {"do": "start_retry_run", "groups": [3, 4], "rate": 2.5},
            RUN,
        ),
        (["dlq", "stop", "7"], RUN, {"do": "control_retry_run", "run_id": 7, "action": "stop"}, RUN),
        (
            ["dlq", "rate", "7", "50"],
            RUN,
            {"do": "control_retry_run", "run_id": 7, "action": "rate", "rate": 50.0},
            RUN,
        ),
        (["dlq", "runs"], {"runs": [RUN]}, {"do": "query_retry_runs"}, RUN),
        (
            ["dlq", "groups", "--type", "a.#"],
            {"groups": [GROUP], "total": 1, "letters": 2, "at": "2026-11-23T15:42:07.000000Z"},
            {"do": "query_dead_groups", "event_type": "a.#"},
            GROUP,
        ),
        (
            ["dlq", "drop", "--all", "--type", "a.#"],
            {"count": 9, "message": "9 dropped"},
            {"do": "drop_dead_letters", "all": True, "event_type": "a.#", "event_id": None},
            {"count": 9, "message": "9 dropped"},
        ),
    ],
)
def test_a_command_is_one_request_and_json_when_piped(
    cli: Cli,
    bus: StartBus,
    arguments: list[str],
    result: Any,
    request_sent: dict[str, Any],
    printed: dict[str, Any],
) -> None:
    started = bus(answering(result))
    done = cli(*arguments)
    assert (done.status, done.err) == (0, "")
    assert printed.items() <= done.json.items()
    (request,) = started.requests
    assert request_sent.items() <= request.items()


@pytest.mark.parametrize(
    "arguments",
    [
        ["stats"],
        ["stats", "--live"],
        ["state"],
        ["events"],
        ["events", "--follow"],
        ["routes", "a.b"],
        ["alerts"],
        ["reload"],
        ["subscribe", "#", "-"],
        ["subscribe", "list"],
        ["dlq", "list"],
        ["dlq", "retry", "--all"],
    ],
)
def test_with_no_bus_the_rest_exits_3_and_says_what_to_do(cli: Cli, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert (done.status, done.out) == (3, "")
    assert done.err == (
        f"event-cli: no bus is running for {cli.home} (start event-monitor, or event-monitor --headless)\n"
    )


def test_a_dead_socket_is_no_bus(cli: Cli) -> None:
    ScriptedBus(cli.paths.socket, answering({})).stop()
    assert os.path.exists(cli.paths.socket)
    assert cli("stats").status == 3


@pytest.mark.parametrize(("code", "status"), [("not_found", 1), ("invalid_request", 2), ("bus_closed", 3)])
def test_refusals_set_the_exit_status(cli: Cli, bus: StartBus, code: str, status: int) -> None:
    bus(lambda request, number: refusal(code, "no", "do better"))
    assert cli("stats") == Outcome(status, "", "event-cli: no (do better)\n")


@pytest.mark.parametrize("reply", [b"HTTP/1.1 200 OK\r\n", success({"unexpected": 1})])
def test_another_protocol_is_named(cli: Cli, bus: StartBus, reply: bytes) -> None:
    bus(lambda request, number: reply)
    done = cli("stats")
    assert done.status == 3
    assert "does not speak this protocol" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["dlq", "retry"],
        ["dlq", "drop", "4", "--all"],
        ["dlq", "drop", "4", "--group", "3"],
        ["dlq", "retry", "4", "--rate", "3"],
        ["dlq", "retry", "--all", "--rate", "0"],
        ["dlq", "rate", "7", "fast"],
        ["dlq", "edit"],
        ["dlq", "retry", "x"],
        ["dlq", "show", "99999999999999999999"],
        ["alerts", "--ack", "some"],
        ["subscribe", "#", "mail:me"],
        ["subscribe", "#", "-", "--name", "n"],
        ["subscribe", "#", "exec:x", "--count", "1"],
        ["routes", "a.b", "[]"],
        ["events", "--limit", "-1"],
        ["events", "--status", "lost"],
        ["events", "--follow", "--status", "dead"],
        ["completion", "tcsh"],
    ],
)
def test_bad_values_exit_2(cli: Cli, bus: StartBus, arguments: list[str]) -> None:
    started = bus(answering({}))
    done = cli(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert started.requests == []


def test_several_letters_are_retried_and_a_missing_one_is_named(cli: Cli, bus: StartBus) -> None:
    def script(request: dict[str, Any], number: int) -> Answer:
        if request["event_id"] == 5:
            return refusal("not_found", "event 5 has no dead letters")
        return success({"count": 2, "message": "2 queued again"})

    bus(script)
    done = cli("dlq", "retry", "4", "5", "6")
    assert (done.status, done.json["count"]) == (1, 4)
    assert done.err == "event-cli: event 5 has no dead letters\n"


@pytest.mark.parametrize(("answer", "dropped"), [(b"y\n", True), (b"\n", False), (b"no\n", False)])
def test_dropping_all_asks_on_a_terminal(cli: Cli, bus: StartBus, answer: bytes, dropped: bool) -> None:
    started = bus(answering({"count": 9, "message": "9 dropped"}))
    leader, follower = pty.openpty()
    os.write(leader, answer)
    with cli.start(
        "dlq", "drop", "--all", stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        _, err = process.communicate()
    os.close(leader)
    os.close(follower)
    assert process.returncode == (0 if dropped else 1)
    assert b"[y/N]" in err
    assert bool(started.requests) is dropped


def test_an_event_without_dead_letters_says_so(cli: Cli, bus: StartBus) -> None:
    bus(answering({"dead_letters": [], "more": False}))
    done = cli("dlq", "show", "4")
    assert (done.status, done.out) == (1, "")
    assert "event 4 has no dead letters" in done.err


def test_dead_letters_are_read_page_by_page(cli: Cli, bus: StartBus) -> None:
    def script(request: dict[str, Any], number: int) -> Answer:
        first = request["after"][0] + 1 if request["after"] else 1
        return success({"dead_letters": [letter(first), letter(first + 1)], "more": first < 5})

    started = bus(script)
    assert [item["id"] for item in cli("dlq", "list", "--limit", "0").lines] == [1, 2, 3, 4, 5, 6]
    assert started.requests[1]["after"] == [2, "log"]


def recorded(count: int, page: int) -> Script:
    """A history of ``count`` events that is handed out in pages of at most ``page``."""

    def script(request: dict[str, Any], number: int) -> Answer:
        size = min(page, request["limit"])
        if request["newest_first"]:
            top = (request["before_id"] or count + 1) - 1
            ids = list(range(top, max(0, top - size), -1))
            cursor = ids[-1] if ids and ids[-1] > 1 else None
        else:
            first = (request["after_id"] or 0) + 1
            ids = list(range(first, min(count, first + size - 1) + 1))
            cursor = ids[-1] if ids and ids[-1] < count else None
        return success({"events": [event(number) for number in ids], "cursor": cursor})

    return script


@pytest.mark.parametrize(("limit", "first"), [("3", 8), ("7", 4), ("100", 1), ("0", 1)])
def test_events_are_the_newest_in_order(cli: Cli, bus: StartBus, limit: str, first: int) -> None:
    started = bus(recorded(10, page=2))
    done = cli(
        "events", "--limit", limit, "--type", "a.#", "--since", "-15m", "--until", "-1m", "--filter", "x"
    )
    assert [item["id"] for item in done.lines] == list(range(first, 11))
    wanted = {"type": "a.#", "since": "-15m", "until": "-1m", "filter": "x"}
    assert all(wanted.items() <= request.items() for request in started.requests)


def test_no_events_print_nothing_when_piped(cli: Cli, bus: StartBus) -> None:
    bus(recorded(0, page=2))
    assert cli("events") == Outcome(0, "", "")
    assert cli("events", "--output", "table").out == "no events\n"


def stream(*items: dict[str, Any]) -> bytes:
    return success({"stream": True}) + b"".join(
        json.dumps(item, separators=(",", ":")).encode() + b"\n" for item in items
    )


def test_follow_shows_history_then_what_is_new_once(cli: Cli, bus: StartBus) -> None:
    history = recorded(3, page=10)

    def script(request: dict[str, Any], number: int) -> Answer:
        if request["do"] == "subscribe":
            return stream(*({"event": event(n)} for n in (2, 3, 4)), {"gap": 6}, {"event": event(11)})
        return history(request, number)

    started = bus(script)
    with cli.start("events", "--follow", "--type", "a.#", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(6)]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert [line.get("id", line.get("gap")) for line in lines] == [1, 2, 3, 4, 6, 11]
    assert {request["do"]: request for request in started.requests}["subscribe"]["pattern"] == "a.#"


def test_subscribe_prints_json_lines_and_counts(cli: Cli, bus: StartBus) -> None:
    exact = b'{"event":{"id":1,  "payload":{"x":1.50}}}\n{"gap":3}\n{"event":{"id":5}}\n{"event":{"id":6}}\n'
    started = bus(lambda request, number: success({"stream": True}) + exact)
    done = cli("subscribe", "a.#", "-", "--count", "2", "--filter", "x")
    assert done == Outcome(0, '{"id":1,  "payload":{"x":1.50}}\n{"gap":3}\n{"id":5}\n', "")
    assert {"pattern": "a.#", "handler": "-", "filter": "x"}.items() <= started.requests[0].items()


def test_a_stream_that_the_bus_ends_says_so(cli: Cli, bus: StartBus) -> None:
    bus(lambda request, number: [stream({"event": event(1)})])
    done = cli("subscribe", "#", "-")
    assert (done.status, done.lines[0]["id"]) == (3, 1)
    assert done.err.startswith("event-cli: no bus is running")


def test_a_refused_subscription_is_reported(cli: Cli, bus: StartBus) -> None:
    bus(lambda request, number: refusal("invalid_request", "bad pattern"))
    assert cli("subscribe", "a..b", "-") == Outcome(2, "", "event-cli: bad pattern\n")


def test_a_gap_is_told_in_words(cli: Cli, bus: StartBus) -> None:
    bus(
        lambda request, number: stream(
            {"gap": 1_200}, {"event": event(1, payload={"token": "s3cret", "x": "\x1b[2J"})}
        )
    )
    done = cli("subscribe", "#", "-", "--count", "1", "--output", "table")
    gap, line = done.out.splitlines()
    assert gap == "… 1,200 events were skipped: they came faster than they were read"
    assert "s3cret" not in line
    assert "\x1b" not in line


def test_subscribe_ends_when_its_reader_leaves_while_nothing_happens(cli: Cli, bus: StartBus) -> None:
    listening = threading.Event()

    def script(request: dict[str, Any], number: int) -> Answer:
        listening.set()
        return stream({"event": event(1)})

    bus(script)
    with cli.start("subscribe", "#", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["id"] == 1
        process.stdout.close()
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == b""


def test_live_stats_are_a_line_a_second_until_interrupted(cli: Cli, bus: StartBus) -> None:
    bus(answering(STATS))
    with cli.start("stats", "--live", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert [json.loads(process.stdout.readline())["dead"] for _ in range(2)] == [6, 6]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == b""


def test_a_command_that_waits_is_interrupted_without_a_traceback(cli: Cli, bus: StartBus) -> None:
    asked = threading.Event()

    def script(request: dict[str, Any], number: int) -> Answer:
        asked.set()
        return b""

    bus(script)
    with cli.start("stats", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert asked.wait(30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.parametrize("arguments", [["--output", "table", "stats"], ["stats", "--output", "table"]])
def test_global_options_stand_before_or_after(cli: Cli, bus: StartBus, arguments: list[str]) -> None:
    bus(answering(STATS))
    out = cli(*arguments).out
    assert "p50 0.5 ms, p95 1.0 ms, p99 -" in out
    assert "TARGET  DELIVERED" in out


def test_json_on_a_terminal_has_no_control_characters(cli: Cli, bus: StartBus) -> None:
    hostile = event(1, payload={"x": "\x9b2J\u202e\u200b\U000e0001\x7f é 界"})
    bus(lambda request, number: success({"events": [hostile], "cursor": None}))
    leader, follower = pty.openpty()
    with cli.start("events", "--output", "json", stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        assert process.wait() == 0
    shown = os.read(leader, 10_000).decode()
    os.close(leader)
    assert json.loads(shown)["payload"] == hostile["payload"]
    assert shown.removesuffix("\r\n").isprintable()
    assert "é 界" in shown


def test_the_version_is_shown(cli: Cli) -> None:
    assert cli("--version") == Outcome(0, f"event-cli {__version__}\n", "")


def test_values_for_completion_are_harmless_and_silent(cli: Cli, bus: StartBus) -> None:
    assert cli("completion", "types") == Outcome(0, "\n", "")
    bus(answering({"subscriptions": [SUBSCRIPTION | {"name": "$(reboot)"}, SUBSCRIPTION]}))
    assert cli("completion", "subscriptions").out == "pager\n"


def test_a_bus_that_does_not_answer_is_not_called_absent(cli: Cli, bus: StartBus) -> None:
    bus(lambda request, number: b"")
    with Connection(cli.paths, seconds=0.05) as connection, pytest.raises(NoBus, match="does not answer"):
        connection.request(Ping())


def test_an_error_that_nobody_reads_keeps_its_status(cli: Cli) -> None:
    command = f"{sys.executable} -m event_monitor.cli stats 2>&-"
    assert subprocess.run(["sh", "-c", command], env=cli.environ, check=False).returncode == 3
