"""Forgets what is older than the retention, so gently that no publisher notices."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields

import msgspec

from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.bus.upkeep import PAUSE, STEP_SECONDS, Upkeep, give_back
from event_monitor.clock import Clock, to_iso
from event_monitor.config import StoreSettings

PAGE = 500
# Free pages that stay in the file, as a share of it: the next events need them.
KEEP_FREE = 0.1
_DAY = 86_400.0
_encode = msgspec.json.encode

Forget = Callable[[str], Awaitable[int]]
"""Forgets what ended before a time, where it is kept in memory too; answers how much that was."""

_SCAN = """
SELECT timestamp, id, status NOT IN ('pending', 'dead') AND queued IS NULL FROM events
WHERE timestamp >= ? AND timestamp < ? AND (timestamp, id) > (?, ?) ORDER BY timestamp, id LIMIT ?"""

# The status is written out so that the index of dead events serves.
_SCAN_DEAD = """
SELECT timestamp, id, timestamp < ? AND queued IS NULL FROM events
WHERE status = 'dead' AND id > ? ORDER BY id LIMIT ?"""

# Since they were found, somebody may have queued a dead letter of them again.
_FORGET = """
DELETE FROM events WHERE id IN (SELECT value FROM json_each(?)) AND status != 'pending' AND queued IS NULL
RETURNING id"""

# Not MAX(id) with HAVING: that reads a whole index, and this is done in every transaction.
_KEEP_HIGHEST_ID = """
INSERT INTO counters SELECT 'highest_id', id FROM (SELECT id FROM events ORDER BY id DESC LIMIT 1) WHERE true
ON CONFLICT (name) DO UPDATE SET value = MAX(value, excluded.value)"""

_FORGET_ANALYTICS = """
DELETE FROM analytics WHERE (minute, kind, name) IN (
SELECT minute, kind, name FROM analytics WHERE minute < ? LIMIT ?)"""

_FORGET_PATTERNS = """
DELETE FROM patterns WHERE name IN (SELECT name FROM patterns WHERE updated_at < ? LIMIT ?)"""

_FORGET_EVALUATIONS = """
DELETE FROM evaluations WHERE name IN (SELECT name FROM evaluations WHERE evaluated_at < ? LIMIT ?)"""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many events were deleted, and how many dead letters went with them; how many minutes' rows of
    ``analytics``, learned patterns with their scores, finished replays and seen alerts; and how many
    pages of the file were given back to the disk."""

    events: int = 0
    dead_letters: int = 0
    analytics: int = 0
    patterns: int = 0
    replays: int = 0
    alerts: int = 0
    pages: int = 0

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __str__(self) -> str:
        parts = [f"{getattr(self, f.name):,} {f.name.replace('_', ' ')}" for f in fields(self)]
        return ", ".join(parts)


class StoreRetention:
    """Deletes what is older than ``limits`` say, a little at a time.

    Events with an open delivery stay, whatever their age. Totals stay, and no id is used twice; an
    idempotency key is known for as long as its event. ``on_forgotten`` hears of each transaction's
    part, so that counts held in memory can follow; ``replays`` and ``alerts`` forget what else has
    copies in memory.
    """

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        limits: StoreSettings,
        *,
        on_forgotten: Callable[[Forgotten], None] = lambda forgotten: None,
        replays: Forget | None = None,
        alerts: Forget | None = None,
        step_seconds: float = STEP_SECONDS,
        pause: float = PAUSE,
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._on_forgotten = on_forgotten
        self._replays = replays
        self._alerts = alerts
        self._step_seconds = step_seconds
        self._pause = pause

    async def run(self) -> Forgotten:
        """Delete all that is too old now, then give free pages back. Raises ``StoreUnavailable``; what
        was deleted before stays deleted, and a cancelled run leaves every transaction whole."""
        limits = self._limits
        total = await self._forget_events(self._cutoff(limits.retention_days))
        total += await self._forget_dead(self._cutoff(limits.dead_letter_days))
        minutes = self._cutoff(limits.analytics_days)[: len("2026-11-23T15:42")]
        patterns = self._cutoff(limits.pattern_days)
        total += Forgotten(analytics=await self._forget_rows(_FORGET_ANALYTICS, minutes))
        total += Forgotten(patterns=await self._forget_rows(_FORGET_PATTERNS, patterns))
        if await self._store.read(_has_evaluations):
            await self._forget_rows(_FORGET_EVALUATIONS, patterns)
        if self._replays is not None:
            total += Forgotten(replays=await self._replays(self._cutoff(limits.replay_days)))
        if self._alerts is not None:
            total += Forgotten(alerts=await self._alerts(self._cutoff(limits.alert_days)))
        return total + Forgotten(pages=await give_back(self._store, self._upkeep(), leave=KEEP_FREE))

    def _cutoff(self, days: float) -> str:
        return to_iso(max(0.0, self._clock.wall() - days * _DAY))

    def _upkeep(self) -> Upkeep:
        return Upkeep(self._store, self._clock, seconds=self._step_seconds, pause=self._pause)

    async def _forget_events(self, cutoff: str) -> Forgotten:
        total, upkeep = Forgotten(), self._upkeep()
        place = ("", 0)
        while rows := await self._store.read(
            lambda c, p=place: c.execute(_SCAN, (p[0], cutoff, *p, PAGE)).fetchall()  # type: ignore[misc]
        ):
            place = rows[-1][:2]
            total += await self._delete(upkeep, [row[1] for row in rows if row[2]])
        return total

    async def _forget_dead(self, cutoff: str) -> Forgotten:
        total, upkeep = Forgotten(), self._upkeep()
        place = 0
        while rows := await self._store.read(
            lambda c, p=place: c.execute(_SCAN_DEAD, (cutoff, p, PAGE)).fetchall()  # type: ignore[misc]
        ):
            place = rows[-1][1]
            total += await self._delete(upkeep, [row[1] for row in rows if row[2]])
        return total

    async def _delete(self, upkeep: Upkeep, ids: Sequence[int]) -> Forgotten:
        total, begin = Forgotten(), 0
        while begin < len(ids):
            done, part = await upkeep.step(lambda ledger, size: _forget(ledger, ids[begin : begin + size]))  # noqa: B023
            begin += done
            self._on_forgotten(part)
            total += part
        return total

    async def _forget_rows(self, statement: str, cutoff: str) -> int:
        """Delete rows of a table that nothing in memory follows, until none is left that is too old."""
        upkeep, total = self._upkeep(), 0
        while gone := await upkeep.step(
            lambda ledger, size: ledger.connection.execute(statement, (cutoff, size)).rowcount
        ):
            total += gone
        return total


def _forget(ledger: Ledger, ids: Sequence[int]) -> tuple[int, Forgotten]:
    """Delete events, in few statements: each takes the interpreter's lock anew. Answers how many were
    looked at."""
    execute = ledger.connection.execute
    execute(_KEEP_HIGHEST_ID)
    gone = [event_id for (event_id,) in execute(_FORGET, (_encode(ids).decode(),)).fetchall()]
    named = _encode(gone).decode()
    execute("DELETE FROM imports WHERE event_id IN (SELECT value FROM json_each(?))", (named,))
    states = execute(
        "DELETE FROM deliveries WHERE event_id IN (SELECT value FROM json_each(?)) RETURNING state", (named,)
    ).fetchall()
    return len(ids), Forgotten(len(gone), sum(state == "dead" for (state,) in states))


def _has_evaluations(connection: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE name = 'evaluations'"
    return connection.execute(query).fetchone() is not None
