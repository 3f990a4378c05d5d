"""``kill -9`` in the middle of replays: each event is replayed once, none is left out."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Headless, wait_for

EVENTS = 6_000
KILLS = 8


@pytest.mark.slow
def test_no_event_is_replayed_twice_and_none_is_skipped_over_kills(home: Path) -> None:
    rng = random.Random(20_261_124)
    (home / "event-bus").mkdir(parents=True)
    (home / "event-bus" / "event-monitor.yaml").write_text("log: {max_bytes: 1000000000}\n")
    bus = Headless(home)
    _publish(bus, EVENTS)
    wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0)
    begun = bus.ask(do="start_replay", since="-1h", type="kill.#", speed="max")
    assert begun["events"] == EVENTS
    killed_within = 0
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.0, 0.12))
        before = _report(bus, begun["id"])
        killed_within += before["state"] == "running" and before["replayed"] > 0
        bus.kill()
        bus = Headless(home)
    assert killed_within, "no kill hit the replay: publish more events"
    report = wait_for(lambda: (found := _report(bus, begun["id"]))["state"] == "done" and found)
    wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0)
    titles = [alert["title"] for alert in bus.ask(do="query_alerts")["alerts"]]
    assert bus.stop() == 0
    assert f"Replay {begun['id']} goes on" in titles
    assert (report["replayed"], report["failed"], report["skipped"]) == (EVENTS, 0, 0)
    originals, replayed = _originals(home)
    assert replayed == Counter(originals)
    handled = {event["replay_of"] for event in _logged(home) if event["replay_of"] is not None}
    assert handled >= set(originals)


def _publish(bus: Headless, count: int) -> None:
    for start in range(0, count, 500):
        lines = [
            json.dumps({"event_type": f"kill.t{n % 3}", "payload": {"n": n}})
            for n in range(start, min(start + 500, count))
        ]
        assert bus.ask(do="publish_lines", lines=lines)["accepted"] == len(lines)


def _report(bus: Headless, number: int) -> dict[str, Any]:
    (report,) = bus.ask(do="query_replays", replay_id=number)["replays"]
    return dict(report)


def _originals(home: Path) -> tuple[list[int], Counter[int]]:
    """The ids that were to be replayed, and how often each was."""
    connection = sqlite3.connect(home / "event-bus" / "events.db")
    chosen = "SELECT {} FROM events WHERE event_type LIKE 'kill.%' AND replay_of IS {} NULL"
    originals = [row[0] for row in connection.execute(chosen.format("id", ""))]
    replayed = Counter(row[0] for row in connection.execute(chosen.format("replay_of", "NOT")))
    connection.close()
    return originals, replayed


def _logged(home: Path) -> list[dict[str, Any]]:
    """The whole lines of the log; a kill may cut one short, which is written again."""
    events = []
    for line in (home / "event-bus" / "logs" / "events.jsonl").read_bytes().split(b"\n"):
        try:
            events.append(json.loads(line[line.rfind(b'{"id":') :]))
        except ValueError:
            continue
    return events
