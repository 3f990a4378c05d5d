"""What a replay published last, and what has become of it: read by the keys of its events."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from event_monitor.bus.history import read_event
from event_monitor.model import Delivery, Event

# Keys of one length stand in the order of the ids that they end with; between them stand a few that are
# shorter, and those of the events that are not counted yet.
_NEWEST = """
SELECT id, replay_of FROM events
WHERE key >= ? AND key <= ? AND LENGTH(key) = ? ORDER BY key DESC LIMIT ?"""


class Result(NamedTuple):
    """An event that a replay published; ``recorded_at`` is ``None`` if its original is gone.
    ``deliveries`` are those that were not simply done."""

    event: Event
    recorded_at: str | None
    targets: tuple[str, ...]
    deliveries: tuple[Delivery, ...]


def read_results(connection: sqlite3.Connection, mark: str, position: int, limit: int) -> list[Result]:
    """The last ``limit`` events that were published under ``mark`` for originals up to ``position``, the
    newest first. A short read, however many there are."""
    found: list[tuple[int, int]] = []
    digits = len(str(max(0, position)))
    while digits and len(found) < limit:
        highest = min(position, 10**digits - 1)
        keys = (f"{mark}{10 ** (digits - 1)}", f"{mark}{highest}", len(mark) + digits)
        found += connection.execute(_NEWEST, (*keys, limit - len(found))).fetchall()
        digits -= 1
    results = []
    for event_id, original in found:
        read = read_event(connection, event_id)
        if read is None:
            continue
        event, targets, deliveries = read
        recorded = connection.execute("SELECT timestamp FROM events WHERE id = ?", (original,)).fetchone()
        results.append(Result(event, recorded[0] if recorded else None, targets, tuple(deliveries)))
    return results
