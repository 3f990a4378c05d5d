"""How many events were recorded when: what a span of history is chosen on."""

from __future__ import annotations

import sqlite3

from event_monitor.bus.store import EventStore
from event_monitor.clock import from_iso, to_iso
from event_monitor.topics import TopicPattern

# One read counts whole buckets until it has counted so many events, for the bus's own wait behind it.
COUNTED = 50_000


async def recorded_span(store: EventStore) -> tuple[float, float] | None:
    """The times (epoch seconds) of the earliest and the latest event; ``None`` if there is none."""

    def ends(connection: sqlite3.Connection) -> tuple[str | None, str | None]:
        (first,) = connection.execute("SELECT MIN(timestamp) FROM events").fetchone()
        (last,) = connection.execute("SELECT MAX(timestamp) FROM events").fetchone()
        return first, last

    first, last = await store.read(ends)
    return None if first is None or last is None else (from_iso(first), from_iso(last))


async def count_events(
    store: EventStore, since: float, until: float, buckets: int, pattern: TopicPattern | None = None
) -> list[int]:
    """How many events lie in each of ``buckets`` equal parts from ``since`` to before ``until``.

    Without a pattern the index on timestamps alone answers.
    """
    width = (until - since) / buckets
    edges = [to_iso(since + number * width) for number in range(buckets)] + [to_iso(until)]
    counts: list[int] = []

    def read(connection: sqlite3.Connection) -> list[int]:
        found: list[int] = []
        looked_at = 0
        for place in range(len(counts), buckets):
            scanned, matching = _count(connection, edges[place], edges[place + 1], pattern)
            found.append(matching)
            looked_at += scanned
            if looked_at > COUNTED:
                break
        return found

    while len(counts) < buckets:
        counts += await store.read(read)
    return counts


def _count(
    connection: sqlite3.Connection, since: str, until: str, pattern: TopicPattern | None
) -> tuple[int, int]:
    """How many events lie in a span, and how many of them match."""
    span = "FROM events WHERE timestamp >= ? AND timestamp < ?"
    if pattern is None:
        (count,) = connection.execute(f"SELECT COUNT(*) {span}", (since, until)).fetchone()
        return count, count
    by_type = connection.execute(
        f"SELECT event_type, COUNT(*) {span} GROUP BY event_type", (since, until)
    ).fetchall()
    return sum(count for _, count in by_type), sum(
        count for event_type, count in by_type if pattern.matches(event_type)
    )
