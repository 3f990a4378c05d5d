"""event-cli against the real bus."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.scripted import Cli
from tests.control.test_hooks import RECORDED, expected_type
from tests.processes import Headless, headless, wait_for


@pytest.fixture
def live(cli: Cli) -> Iterator[Headless]:
    with headless(cli.home) as running:
        yield running


def published(cli: Cli, *options: str) -> list[dict[str, Any]]:
    done = cli("events", "--limit", "0", *options)
    assert (done.status, done.err) == (0, "")
    return [event for event in done.lines if event["source"] != "event-monitor"]


def assert_hooks_arrived(events: list[dict[str, Any]]) -> None:
    hooks = [event for event in events if event["source"] == "hook"]
    wanted = [json.loads(line) for line in RECORDED]
    assert [(event["event_type"], event["payload"]) for event in hooks] == [
        (expected_type(payload), payload) for payload in wanted
    ]


def test_recorded_hooks_become_events_of_their_types(cli: Cli, live: Headless) -> None:
    for line in RECORDED:
        assert cli("hook", stdin=line).status == 0
    assert cli.spooled() == []
    events = published(cli)
    assert_hooks_arrived(events)
    keys = [event["key"] for event in events if event["source"] == "hook"]
    assert len(set(keys)) == len(RECORDED)
    assert None not in keys


def test_what_was_spooled_is_delivered_once_at_the_start(cli: Cli) -> None:
    for line in RECORDED:
        cli("hook", stdin=line)
    assert cli("publish", "a.b", '{"x":1}', "--priority", "high").json["status"] == "spooled"
    batch = b'{"event_type":"c.d","payload":{"n":1}}\n{"event_type":"c.d","payload":{"n":2},"key":"mine"}\n'
    assert cli("publish", "-", "--batch", stdin=batch).json["spooled"] == 2
    with headless(cli.home):
        wait_for(lambda: not cli.spooled())
        events = published(cli)
        assert_hooks_arrived(events)
        rest = [(e["event_type"], e["payload"], e["priority"]) for e in events if e["source"] != "hook"]
        assert [item for item in rest if item[0] in ("a.b", "c.d")] == [
            ("a.b", {"x": 1}, "HIGH"),
            ("c.d", {"n": 1}, "NORMAL"),
            ("c.d", {"n": 2}, "NORMAL"),
        ]
    with headless(cli.home):
        assert len(published(cli, "--type", "c.d")) == 2


def test_input_that_fits_no_frame_arrives_through_the_spool(cli: Cli, live: Headless) -> None:
    for data in (b"\xff\xfe", b"x" * 2_000_000):
        assert cli("hook", stdin=data).status == 0
    found = wait_for(lambda: len(hooks := published(cli, "--type", "hook.unreadable")) == 2 and hooks)
    assert [event["payload"]["bytes"] for event in found] == [2, 2_000_000]
    assert cli.spooled() == []


def test_an_event_whose_answer_was_lost_is_not_doubled(cli: Cli, live: Headless) -> None:
    first = cli("publish", "a.b").json
    key = published(cli, "--type", "a.b")[0]["key"]
    message = {"do": "publish_text", "event_type": "a.b", "payload": "{}", "key": key}
    new = Path(cli.paths.spool, "new")
    new.mkdir(parents=True, exist_ok=True)
    (new / key.removeprefix("spool:")).write_text(json.dumps(message))
    wait_for(lambda: not cli.spooled())
    assert [event["id"] for event in published(cli, "--type", "a.b")] == [first["id"]]


def test_a_users_key_is_accepted_once(cli: Cli, live: Headless) -> None:
    first, second = (cli("publish", "a.b", "--key", "k").json for _ in range(2))
    assert (first["status"], second["status"]) == ("accepted", "duplicate")
    assert first["id"] == second["id"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["Bad"],
        ["a.b", "[]"],
        ["a.b", "{", "--ttl", "1"],
        ["a.b", "{}", "--ttl", "-1"],
        ["a.b", "{}", "--priority", "x"],
    ],
)
def test_bad_input_is_refused_alike_with_and_without_a_bus(cli: Cli, arguments: list[str]) -> None:
    without = cli("publish", *arguments)
    with headless(cli.home):
        running = cli("publish", *arguments)
    assert (running.status, running.out) == (without.status, without.out) == (2, "")


def test_a_batch_is_stored_in_order(cli: Cli, live: Headless) -> None:
    count = 5_000
    data = b"".join(b'{"event_type":"a.b","payload":{"n":%d}}\n' % number for number in range(count))
    done = cli("publish", "-", "--batch", stdin=data + b'{"event_type":"Bad"}\nnonsense\n')
    assert done.status == 2
    assert {"accepted": count, "refused": 2}.items() <= done.json.items()
    assert sorted(line.split(":")[1] for line in done.err.splitlines()) == [
        f" line {count + 1}",
        f" line {count + 2}",
    ]
    assert [event["payload"]["n"] for event in published(cli, "--type", "a.b")] == list(range(count))


def test_a_bus_that_is_killed_in_a_batch_loses_and_doubles_nothing(cli: Cli) -> None:
    count = 6_000
    running = Headless(cli.home)
    with cli.start("publish", "-", "--batch", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(count):
            process.stdin.write(b'{"event_type":"a.b","payload":{"n":%d}}\n' % number)
            if number == count // 2:
                process.stdin.flush()
                running.kill()
        process.stdin.close()
        summary = json.loads(process.stdout.read())
        assert process.wait() == 0
    assert summary["accepted"] + summary["spooled"] == count
    assert summary["spooled"] > 0
    with headless(cli.home):
        wait_for(lambda: not cli.spooled())
        numbers = [event["payload"]["n"] for event in published(cli, "--type", "a.b")]
    assert sorted(numbers) == list(range(count))


def test_events_are_followed_as_they_happen(cli: Cli, live: Headless) -> None:
    cli("publish", "a.b", '{"n": 1}')
    with cli.start("events", "--follow", "--type", "a.#", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["payload"] == {"n": 1}
        cli("publish", "other.b")
        cli("publish", "a.c", '{"n": 2}')
        assert json.loads(process.stdout.readline())["payload"] == {"n": 2}
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130


def test_queries_answer_in_the_promised_shapes(cli: Cli, live: Headless) -> None:
    cli("publish", "build.done", '{"exit_code": 0}')
    assert {"state", "events_per_second", "queue_depth", "latency_ms", "breakers"} <= set(cli("stats").json)
    assert set(cli("state").json) == {"state", "since", "reason"}
    assert set(cli("state", "--history").lines[0]) == {"from", "to", "at", "reason"}
    assert {"event_type", "priority", "targets", "rules"} <= set(cli("routes", "build.done").json)
    assert cli("dlq", "list").out == ""
    assert cli("reload").status == 0
    assert "log" in cli("completion", "targets").out.split()


def test_a_kept_subscription_is_added_called_and_removed(cli: Cli, live: Headless, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    script = tmp_path / "handler"
    part, whole = taken / "part", taken / "event"
    script.write_text(f"#!/bin/sh\ncat > {part} && mv {part} {whole}\n")
    script.chmod(0o700)
    added = cli("subscribe", "wanted.#", f"exec:{script}", "--name", "taker")
    assert (added.status, added.json["name"]) == (0, "taker")
    assert [item["name"] for item in cli("subscribe", "list").lines] == ["taker"]
    cli("publish", "wanted.now", '{"n": 7}')
    wait_for(whole.exists)
    assert json.loads(whole.read_text())["payload"] == {"n": 7}
    assert cli("subscribe", "remove", "taker").status == 0
    assert cli("subscribe", "list").out == ""
    assert cli("subscribe", "remove", "taker").status == 1
