"""``kill -9`` at random moments: what was acknowledged is handled or a dead letter, always."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.processes import Headless, wait_for

ROUNDS = 30
PUBLISHERS = 3
_PUBLISHER = Path(__file__).with_name("publisher.py")


@pytest.mark.slow
def test_no_acknowledged_event_is_lost_over_thirty_kills(home: Path, tmp_path: Path) -> None:
    rng = random.Random(20_261_123)
    (home / "event-bus").mkdir(parents=True)
    (home / "event-bus" / "event-monitor.yaml").write_text("log: {max_bytes: 1000000000}\n")
    bus = Headless(home)
    notes = [tmp_path / f"acknowledged-{number}" for number in range(PUBLISHERS)]
    publishers = [
        subprocess.Popen(
            [sys.executable, str(_PUBLISHER), bus.socket, f"p{number}", str(note)], stdin=subprocess.PIPE
        )
        for number, note in enumerate(notes)
    ]
    try:
        for _ in range(ROUNDS):
            time.sleep(rng.uniform(0.02, 0.5))
            bus.kill()
            bus = Headless(home)
        time.sleep(0.2)
    finally:
        for publisher in publishers:
            publisher.communicate()
    wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0)
    stats = bus.ask(do="get_stats")
    assert bus.stop() == 0

    acknowledged = {line for note in notes for line in note.read_text().split()}
    handled = Counter(handled_names(home / "event-bus" / "logs" / "events.jsonl"))
    dead = set(dead_names(home))
    assert len(acknowledged) > ROUNDS * PUBLISHERS
    assert acknowledged - set(handled) - dead == set()
    check_conservation(home, stats)
    assert not list((home / "event-bus").glob("events.db.damaged*"))


def handled_names(log: Path) -> list[str]:
    """The handled events by name. A kill may cut the last line of a batch short; it is written again."""
    names = []
    for line in log.read_bytes().split(b"\n"):
        start = line.find(b'{"id":')
        if start < 0:
            continue
        try:
            payload = json.loads(line[line.rfind(b'{"id":') :])["payload"]
        except ValueError:
            continue
        if "name" in payload:
            names.append(payload["name"])
    return names


def dead_names(home: Path) -> list[str]:
    connection = sqlite3.connect(home / "event-bus" / "events.db")
    rows = connection.execute(
        "SELECT e.payload ->> '$.name' FROM deliveries d JOIN events e ON e.id = d.event_id "
        "WHERE d.state = 'dead'"
    ).fetchall()
    connection.close()
    return [name for (name,) in rows]


def check_conservation(home: Path, stats: dict[str, int]) -> None:
    connection = sqlite3.connect(home / "event-bus" / "events.db")
    (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    counted = dict(connection.execute("SELECT status, COUNT(*) FROM events GROUP BY status").fetchall())
    stored = dict(connection.execute("SELECT name, value FROM counters").fetchall())
    connection.close()
    assert verdict == "ok"
    assert stats["published"] == stats["delivered"] + stats["dead"] + stats["expired"] + stats["sampled"]
    assert sum(counted.values()) == stored["accepted"]
    assert {status: count for status, count in counted.items() if count} == {
        name: value for name, value in stored.items() if value and name != "accepted"
    }
