"""A million events wait: memory stays flat, and the most urgent are still served first."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.processes import Headless, headless, wait_for

MILLION = 1_000_000
ALLOWED = 60 * 1024 * 1024


@pytest.mark.slow
def test_a_million_pending_events_need_little_memory_and_keep_their_order(home: Path) -> None:
    (home / "event-bus").mkdir(parents=True)
    settings = home / "event-bus" / "event-monitor.yaml"
    settings.write_text("log: {max_bytes: 1000000000}\nstore: {durability: normal}\n")
    with headless(home) as bus:
        bus.ask(do="ping")
        empty = bus.resident_bytes()
        wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0)
    _fill(home / "event-bus" / "events.db", MILLION)
    with headless(home) as bus:
        started = time.monotonic()
        largest = 0
        published = bus.ask(do="publish", event_type="urgent", priority="CRITICAL", payload={"mark": 1})
        backlog = bus.ask(do="get_stats")
        assert backlog["pending"] > MILLION / 2, "the backlog drained before anything could be seen"
        wait_for(lambda: _status(bus, published["id"]) == "delivered")
        assert bus.ask(do="get_stats")["pending"] > MILLION / 4
        while bus.ask(do="get_stats")["pending"] and time.monotonic() < started + 240:
            largest = max(largest, bus.resident_bytes())
            time.sleep(0.2)
        stats = bus.ask(do="get_stats")
        assert stats["pending"] == 0
        assert largest - empty < ALLOWED, f"{(largest - empty) / 2**20:.0f} MB more than an empty bus"
    ranks = _served_ranks(home / "event-bus" / "logs" / "events.jsonl")
    first_low = next(place for place, rank in enumerate(ranks) if rank == "LOW")
    last_high = max(place for place, rank in enumerate(ranks) if rank == "HIGH")
    assert last_high < first_low


def _status(bus: Headless, event_id: int) -> str:
    return str(bus.ask(do="get_event", event_id=event_id)["event"]["status"])


def _fill(path: Path, count: int) -> None:
    """Accepted and pending events, as a bus that was killed would leave them."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    (first,) = connection.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM events").fetchone()
    connection.execute(
        "INSERT OR IGNORE INTO routes VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM routes), '[\"log\"]')"
    )
    (route,) = connection.execute("SELECT id FROM routes WHERE targets = '[\"log\"]'").fetchone()
    payload = json.dumps({"order": 123_456, "customer": "alice", "note": "leave at the door " * 8})
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1) "
        "INSERT INTO events "
        "(id, timestamp, event_type, payload, status, retry_count, priority, queued, route) "
        "SELECT ? + i, '2026-11-23T00:00:00.000000Z', 'load.t' || (i % 20), ?, 'pending', 0, 1 + i % 3, 1, ? "
        "FROM n",
        (count, first, payload, route),
    )
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'accepted'", (count,))
    connection.execute("COMMIT")
    connection.close()


def _served_ranks(log: Path) -> list[str]:
    ranks = []
    with log.open("rb") as lines:
        for line in lines:
            event = json.loads(line)
            if event["event_type"].startswith("load."):
                ranks.append(event["priority"])
    return ranks
