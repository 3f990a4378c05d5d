"""Dead letters of a real bus: what is killed in the middle loses and doubles nothing."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flagged import HANDLER
from tests.processes import Headless, connect, wait_for

TARGET = "mine"


Start = Callable[[], Headless]


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts the bus of the home; what still runs at the end of the test is killed."""
    started: list[Headless] = []

    def begin() -> Headless:
        started.append(Headless(home))
        return started[-1]

    yield begin
    for bus in started:
        if bus.process.poll() is None:
            bus.kill()


def doomed(home: Path, start: Start, count: int) -> Headless:
    """A bus with ``count`` dead letters of one target."""
    home.mkdir()
    (home / "broken").touch()
    bus = start()
    bus.ask(do="subscribe", pattern="doomed.#", handler=HANDLER, name=TARGET)
    for start in range(0, count, 250):
        lines = [
            json.dumps({"event_type": "doomed.x", "payload": {"name": n}})
            for n in range(start, min(count, start + 250))
        ]
        assert bus.ask(do="publish_lines", lines=lines)["accepted"] == len(lines)
    wait_for(lambda: bus.ask(do="query_dead_groups")["letters"] == count)
    return bus


def run_of(bus: Headless, number: int) -> dict[str, Any]:
    (run,) = bus.ask(do="query_retry_runs", run_id=number)["runs"]
    return dict(run)


def stored(home: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(home / "event-bus" / "events.db")
    with contextlib.closing(connection):
        return connection.execute(query).fetchall()


def test_a_retry_at_a_rate_outlives_kills_and_takes_each_letter_once(home: Path, start: Start) -> None:
    letters, kills = 600, 4
    rng = random.Random(20_261_126)
    bus = doomed(home, start, letters)
    (group,) = bus.ask(do="query_dead_groups")["groups"]
    begun = bus.ask(do="start_retry_run", groups=[group["id"]], rate=200.0, by="me")
    assert (begun["letters"], begun["state"]) == (letters, "running")
    retried = 0
    for _ in range(kills):
        enough = retried + rng.randint(1, 60)
        _wait_until_retried(bus, begun["id"], enough)
        bus.kill()
        bus = start()
        retried = run_of(bus, begun["id"])["retried"]
        assert enough <= retried < letters
    bus.ask(do="control_retry_run", run_id=begun["id"], action="rate", rate=5_000.0)
    run = wait_for(lambda: (r := run_of(bus, begun["id"]))["state"] == "done" and not r["under_way"] and r)
    titles = [alert["title"] for alert in bus.ask(do="query_alerts")["alerts"]]
    assert f"Retry {begun['id']} of dead letters goes on" in titles
    assert (run["retried"], run["failed"], run["delivered"]) == (letters, letters, 0)
    assert bus.ask(do="get_stats")["dead_letters"] == letters
    (home / "broken").unlink()
    begun = bus.ask(do="start_retry_run", all=True, rate=5_000.0)
    wait_for(lambda: (r := run_of(bus, begun["id"]))["state"] == "done" and not r["under_way"])
    assert run_of(bus, begun["id"])["delivered"] == letters
    assert bus.stop() == 0
    # One error of the first delivery, one of the retry: a letter that was retried twice would have more.
    assert Counter(stored(home, "SELECT json_array_length(errors) FROM deliveries")) == {(2,): letters}
    doomed_ids = [row[0] for row in stored(home, "SELECT id FROM events WHERE event_type = 'doomed.x'")]
    assert sorted(map(int, (home / "seen").read_text().split())) == sorted(doomed_ids)


def test_a_correction_that_is_killed_happened_whole_or_not_at_all(home: Path, start: Start) -> None:
    letters = 200
    rng = random.Random(20_261_127)
    bus = doomed(home, start, letters)
    (home / "broken").unlink()
    ids = sorted(_fates(home))
    for turn in range(4):
        these = ids[turn * 50 : turn * 50 + 50]
        requests = [{"do": "correct_dead_letter", "event_id": n, "payload": {"right": n}} for n in these]
        connection = connect(bus.socket)
        connection.sendall(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        answered = rng.randint(1, 20)
        with connection.makefile("rb") as answers:
            replies = [json.loads(answers.readline()) for _ in range(answered)]
            bus.kill()
        connection.close()
        assert [reply["result"]["corrects"] for reply in replies] == these[:answered]
        fates = _fates(home)
        assert set(fates.values()) <= {("dropped", 1), ("dead", 0)}, "half a correction"
        assert {fates[n] for n in these[:answered]} == {("dropped", 1)}, "an answered correction was lost"
        bus = start()
        assert bus.ask(do="get_stats")["dead_letters"] == sum(fate[0] == "dead" for fate in fates.values())
    corrected = sorted(n for n, fate in fates.items() if fate[0] == "dropped")
    wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0)
    assert bus.stop() == 0
    caused = stored(home, "SELECT causation_id, status FROM events WHERE causation_id IS NOT NULL ORDER BY 1")
    assert caused == [(n, "delivered") for n in corrected]


def _wait_until_retried(bus: Headless, number: int, enough: int) -> None:
    wait_for(lambda: run_of(bus, number)["retried"] >= enough)


def _fates(home: Path) -> dict[int, tuple[str, int]]:
    """For each letter its state, and how many events it caused."""
    caused = Counter(dict(stored(home, "SELECT causation_id, COUNT(*) FROM events GROUP BY 1")))
    letters = stored(home, "SELECT event_id, state FROM deliveries")
    return {event_id: (state, caused[event_id]) for event_id, state in letters}


def test_a_letter_can_be_corrected_once_and_a_run_stopped(home: Path, start: Start) -> None:
    bus = doomed(home, start, 3)
    (home / "broken").unlink()
    number = bus.ask(do="query_dead_letters")["dead_letters"][1]["id"]
    done = bus.ask(do="correct_dead_letter", event_id=number, payload={"right": True})
    assert (done["corrects"], done["dropped"], done["targets"]) == (number, 1, [TARGET])
    wait_for(lambda: (home / "seen").exists())
    detail = bus.ask(do="get_event", event_id=number)
    assert [effect["id"] for effect in detail["effects"]] == [done["id"]]
    begun = bus.ask(do="start_retry_run", all=True, rate=0.01)
    wait_for(lambda: run_of(bus, begun["id"])["retried"] == 1)
    stopped = bus.ask(do="control_retry_run", run_id=begun["id"], action="stop")
    assert stopped["state"] == "stopped"
    wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0)
    assert bus.ask(do="get_stats")["dead_letters"] == 1
    assert bus.stop() == 0
