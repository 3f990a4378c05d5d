"""Forgets events that are older than the retention, so gently that no publisher notices."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock, to_iso

PAGE = 500
# What one transaction may take: a publish waits for at most one, which design section 4 bounds at 50 ms.
BATCH_SECONDS = 0.01
# Between two transactions the disk is the publishers'.
PAUSE = 0.03
_DAY = 86_400.0

_SCAN = """
SELECT timestamp, id, status != 'pending' AND queued IS NULL FROM events
WHERE timestamp >= ? AND timestamp < ? AND (timestamp, id) > (?, ?) ORDER BY timestamp, id LIMIT ?"""

_KEEP_HIGHEST_ID = """
INSERT INTO counters SELECT 'highest_id', MAX(id) FROM events HAVING MAX(id) IS NOT NULL
ON CONFLICT (name) DO UPDATE SET value = MAX(value, excluded.value)"""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many events were deleted, and how many dead letters went with them."""

    events: int = 0
    dead_letters: int = 0


class StoreRetention:
    """Deletes concluded events older than ``days``, with what is known of their deliveries.

    Events with an open delivery stay, whatever their age. Totals stay, and no id is used twice.
    ``on_forgotten`` hears of each transaction's part, so that counts held in memory can follow.
    """

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        *,
        days: float,
        on_forgotten: Callable[[Forgotten], None] = lambda forgotten: None,
        batch_seconds: float = BATCH_SECONDS,
        pause: float = PAUSE,
    ) -> None:
        self._store = store
        self._clock = clock
        self._seconds = days * _DAY
        self._on_forgotten = on_forgotten
        self._batch_seconds = batch_seconds
        self._pause = pause

    async def run(self) -> Forgotten:
        """Delete all that is too old now. Raises ``StoreUnavailable``; what was deleted before stays
        deleted, and a cancelled run leaves every transaction whole."""
        cutoff = to_iso(max(0.0, self._clock.wall() - self._seconds))
        total = Forgotten()
        place = ("", 0)
        while True:
            rows = await self._store.read(lambda c, place=place: _scan(c, place, cutoff))  # type: ignore[misc]
            if not rows:
                return total
            place = rows[-1][:2]
            waiting = deque(event_id for _, event_id, concluded in rows if concluded)
            while waiting:
                part = await self._store.write(lambda ledger, ids=tuple(waiting): self._forget(ledger, ids))  # type: ignore[misc]
                for _ in range(part[0]):
                    waiting.popleft()
                self._on_forgotten(part[1])
                total = Forgotten(total.events + part[1].events, total.dead_letters + part[1].dead_letters)
                await asyncio.sleep(self._pause)

    def _forget(self, ledger: Ledger, ids: tuple[int, ...]) -> tuple[int, Forgotten]:
        """Delete events until the time is up, at least one. Answers how many were looked at."""
        execute = ledger.connection.execute
        execute(_KEEP_HIGHEST_ID)
        end = self._clock.monotonic() + self._batch_seconds
        events = dead = looked_at = 0
        for event_id in ids:
            looked_at += 1
            # Since it was found, somebody may have queued a dead letter of it again.
            gone = execute(
                "DELETE FROM events WHERE id = ? AND status != 'pending' AND queued IS NULL", (event_id,)
            )
            if gone.rowcount:
                events += 1
                states = execute("DELETE FROM deliveries WHERE event_id = ? RETURNING state", (event_id,))
                dead += sum(state == "dead" for (state,) in states.fetchall())
            if self._clock.monotonic() >= end:
                break
        return looked_at, Forgotten(events, dead)


def _scan(connection: sqlite3.Connection, place: tuple[str, int], cutoff: str) -> list[tuple[str, int, int]]:
    return connection.execute(_SCAN, (place[0], cutoff, *place, PAGE)).fetchall()
