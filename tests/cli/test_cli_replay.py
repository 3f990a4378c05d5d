"""``event-cli replay`` against the real bus."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cli.scripted import Cli, Script, ScriptedBus, success
from tests.processes import Headless, headless, wait_for


@pytest.fixture
def live(cli: Cli) -> Iterator[Headless]:
    with headless(cli.home) as running:
        yield running


def publish(cli: Cli, count: int, event_type: str = "a.b") -> None:
    lines = b"".join(
        b'{"event_type":"%s","payload":{"n":%d}}\n' % (event_type.encode(), n) for n in range(count)
    )
    assert cli("publish", "-", "--batch", stdin=lines).json["accepted"] == count


def spread(live: Headless, cli: Cli, gap: float = 3_600.0) -> None:
    """Put recorded events hours apart, as if the day had been long."""
    wait_for(lambda: live.ask(do="get_stats")["pending"] == 0)
    connection = sqlite3.connect(cli.home / "event-bus" / "events.db", timeout=30)
    with connection:
        connection.execute(
            "UPDATE events SET timestamp = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-' || "
            "(((SELECT MAX(id) FROM events) - id + 1) * ?) || ' seconds') WHERE event_type = 'a.b'",
            (gap,),
        )
    connection.close()


def replays_of(cli: Cli) -> list[dict[str, Any]]:
    return [event for event in cli("events", "--limit", "0").lines if event["replay_of"] is not None]


def test_a_dry_run_delivers_nothing_and_the_replay_does_what_it_said(cli: Cli, live: Headless) -> None:
    publish(cli, 20)
    publish(cli, 3, "service.down")
    dry = cli("replay", "--from", "-1h", "--type", "*.*", "--dry-run")
    assert dry.status == 0
    assert {"events", "first", "last", "seconds", "by_type", "by_target", "excluded"} <= set(dry.json)
    assert dry.json["by_type"] == {"a.b": 20, "service.down": 3}
    assert dry.json["by_target"] == {"log": 23}
    assert dry.json["excluded"]["alert"] == dry.json["excluded"]["recovery"] == 3
    assert replays_of(cli) == []
    done = cli("replay", "--from", "-1h", "--type", "*.*", "--speed", "max")
    assert (done.status, done.err) == (0, "")
    assert {name: done.json[name] for name in ("replayed", "failed", "skipped")} == {
        "replayed": 23,
        "failed": 0,
        "skipped": 0,
    }
    assert len({event["replay_of"] for event in replays_of(cli)}) == 23


def test_nothing_in_the_span_is_said_and_is_no_failure(cli: Cli, live: Headless) -> None:
    done = cli("replay", "--from", "-3h", "--to", "-2h")
    assert done.status == 0
    assert (done.json["replayed"], done.json["failed"], done.json["skipped"]) == (0, 0, 0)
    assert "nothing was recorded in this span" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "-1h", "--to", "-2h"], "after its end"),
        (["--from", "-1h", "--target", "nobody"], "no target is named nobody (known: alert,"),
        (["--from", "-1h", "--speed", "0"], "speed 0 is out of range"),
        (["--from", "-1h", "--speed", "1000", "--dry-run"], "speed 1000 is out of range"),
        (["--from", "-1h", "--speed", "fast"], "'fast' is not a speed"),
        ([], "--from is missing"),
    ],
)
def test_bad_input_is_refused(cli: Cli, live: Headless, words: list[str], said: str) -> None:
    refused = cli("replay", *words)
    assert (refused.status, refused.out) == (2, "")
    assert said in refused.err


def test_without_a_bus_it_says_so(cli: Cli) -> None:
    assert cli("replay", "--from", "-1h").status == 3


def test_a_detached_replay_is_stepped_listed_and_stopped(cli: Cli, live: Headless) -> None:
    publish(cli, 10)
    begun = cli("replay", "--from", "-1h", "--type", "a.b", "--detach", "--paused").json
    number = str(begun["id"])
    assert cli("replay", "step", number, "--count", "3").json["replayed"] == 3
    refused = cli("replay", "--from", "-1h", "--type", "a.b")
    assert refused.status == 1
    assert f"replay {number}, which is paused" in refused.err
    assert cli("replay", "speed", number, "max").json["speed"] == "max"
    assert cli("replay", "pause", number).json["state"] == "paused"
    assert [one["replayed"] for one in cli("replay", "list").lines] == [3]
    stopped = cli("replay", "stop", number).json
    assert (stopped["state"], stopped["skipped"]) == ("stopped", 7)
    assert cli("replay", "resume", number).status == 1
    assert cli("replay", "show", "99").status == 1
    assert "stopped" in cli("replay", "show", number, "--output", "table").out
    assert len(replays_of(cli)) == 3


def test_an_event_whose_delivery_is_given_up_makes_it_fail(cli: Cli) -> None:
    (cli.home / "event-bus").mkdir(parents=True)
    settings = cli.home / "event-bus" / "event-monitor.yaml"
    settings.write_text("targets: {failing: {retry: {max_retries: 0}}}\n")
    with headless(cli.home):
        assert cli("publish", "a.b", '{"n": 1}').status == 0
        assert cli("subscribe", "a.b", "exec:false", "--name", "failing").status == 0
        plan = cli("replay", "--from", "-1h", "--type", "a.b", "--dry-run").json
        assert plan["excluded"]["failing"] == 1
        done = cli("replay", "--from", "-1h", "--type", "a.b", "--target", "failing", "--speed", "max")
        assert done.status == 1
        assert (done.json["replayed"], done.json["failed"], done.json["skipped"]) == (1, 1, 0)


def test_progress_is_json_lines_that_end_with_the_result(cli: Cli, live: Headless) -> None:
    publish(cli, 3)
    spread(live, cli)
    number = cli("replay", "--from", "-1d", "--type", "a.b", "--detach").json["id"]
    assert cli("replay", "stop", str(number)).status == 0
    with cli.start(
        *("replay", "--from", "-1d", "--type", "a.b", "--speed", "100", "--progress"),
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["state"], first["events"]) == ("running", 3)
        assert cli("replay", "speed", str(first["id"]), "max").status == 0
        last = json.loads(process.stdout.read().splitlines()[-1])
        assert process.wait() == 0
    assert (last["state"], last["replayed"], last["failed"]) == ("done", 3, 0)


def test_ctrl_c_pauses_and_says_how_to_go_on(cli: Cli, live: Headless) -> None:
    publish(cli, 3)
    spread(live, cli)
    main, terminal = pty.openpty()
    with cli.start(
        "replay", "--from", "-1d", "--type", "a.b", stdout=subprocess.PIPE, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = b""
        while b"1 of 3" not in shown:
            shown += os.read(main, 4_096)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        while b"stop 1 ends it" not in shown:
            shown += os.read(main, 4_096)
    os.close(main)
    assert b"replay 1 is paused after 1 of 3 events (event-cli replay resume 1 goes on" in shown
    assert cli("replay", "show", "1").json["state"] == "paused"


def report_of(**fields: Any) -> dict[str, Any]:
    report = {"id": 7, "state": "running", "since": "", "until": "", "type": None, "filter": None}
    report |= {"targets": ["log"], "speed": 1.0, "events": 9, "replayed": 3, "failed": 0, "skipped": 0}
    return report | fields


def test_a_replay_that_failed_by_itself_is_not_waited_for(
    cli: Cli, bus: Callable[[Script], ScriptedBus]
) -> None:
    def script(request: dict[str, Any], number: int) -> bytes:
        if request["do"] == "start_replay":
            return success(report_of())
        return success({"replays": [report_of(state="paused", note="it failed: ValueError: no")]})

    bus(script)
    done = cli("replay", "--from", "-1h")
    assert (done.status, done.json["replayed"]) == (1, 3)
    assert "replay 7 is paused: it failed: ValueError: no (event-cli replay resume 7" in done.err
