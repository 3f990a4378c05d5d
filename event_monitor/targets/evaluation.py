"""The ``evaluation`` target: scores learned patterns, so that the useful ones stand out."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from event_monitor.bus.inflight import Pending
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock, to_iso
from event_monitor.resilience.retry import PermanentError
from event_monitor.targets.storage import pattern_name

SCHEMA = """
CREATE TABLE IF NOT EXISTS evaluations (
    name TEXT PRIMARY KEY,
    score REAL NOT NULL,
    support INTEGER NOT NULL,
    confidence REAL NOT NULL,
    lift REAL,
    event_id INTEGER NOT NULL,
    evaluated_at DATETIME NOT NULL
) WITHOUT ROWID"""

_UPSERT = """
INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET score = excluded.score, support = excluded.support,
confidence = excluded.confidence, lift = excluded.lift, event_id = excluded.event_id,
evaluated_at = excluded.evaluated_at
WHERE excluded.event_id > event_id"""

# The normal quantile of a two-sided 95 % interval.
_Z = 1.96
_MOST = 2**53


@dataclass(frozen=True, slots=True)
class Figures:
    """What a learned pattern says of itself: occurrences, the share of its beginnings that it
    completed, and that share over what chance would give, if it is known."""

    support: int
    confidence: float
    lift: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A pattern's score from 0 to 1, with the figures that it was made of."""

    name: str
    score: float
    figures: Figures
    event_id: int
    evaluated_at: str


class EvaluationTarget:
    """Keeps one score for each pattern, that of the newest event about it, under the name that the
    ``storage`` target uses. An event that is delivered twice changes nothing.

    Serve it with batches of one: a failure is one delivery's.
    """

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Score a batch. Raises ``PermanentError`` for a pattern without usable figures."""
        now = to_iso(self._clock.wall())
        rows = []
        for delivery in batch:
            event = delivery.record.event
            figures = read_figures(event.payload)
            rows.append(
                (
                    pattern_name(event),
                    score(figures),
                    figures.support,
                    figures.confidence,
                    figures.lift,
                    event.id,
                    now,
                )
            )

        def write(ledger: Ledger) -> None:
            ledger.connection.execute(SCHEMA)
            ledger.connection.executemany(_UPSERT, rows)

        await self._store.write(write)

    async def best(self, limit: int = 20) -> list[Evaluation]:
        """The patterns with the highest scores. Raises ``StoreUnavailable``."""
        return await self._store.read(lambda connection: _read_best(connection, limit))


def score(figures: Figures) -> float:
    """How far a pattern can be relied on, from 0 to 1.

    The lower end of the 95 % Wilson interval of its confidence, so that few occurrences count for
    little, times the share of it that chance does not explain (``1 - 1 / lift``; 1 where the lift is
    not known).
    """
    share = figures.confidence
    trials = figures.support / share
    spread = _Z * _Z / trials
    root = _Z * math.sqrt((share * (1 - share) + spread / 4) / trials)
    reliable = (share + spread / 2 - root) / (1 + spread)
    beyond_chance = 1.0 if figures.lift is None else max(0.0, 1 - 1 / figures.lift)
    return min(1.0, max(0.0, reliable * beyond_chance))


def read_figures(payload: dict[str, Any]) -> Figures:
    """The figures in a ``pattern.learned`` payload. Raises ``PermanentError`` if one is missing or
    cannot be."""
    support = payload.get("support")
    if isinstance(support, bool) or not isinstance(support, int) or not 1 <= support <= _MOST:
        raise PermanentError("the pattern's support is not a count of at least 1: put it into the payload")
    confidence = _number(payload.get("confidence"))
    if confidence is None or not 0 < confidence <= 1:
        raise PermanentError(
            "the pattern's confidence is not a share above 0 and up to 1: put it into the payload"
        )
    lift = _number(payload.get("lift"))
    if payload.get("lift") is not None and (lift is None or lift <= 0):
        raise PermanentError("the pattern's lift is not a number above 0: correct it or leave it out")
    return Figures(support, confidence, lift)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MOST:
        return None
    return float(value)


def _read_best(connection: sqlite3.Connection, limit: int) -> list[Evaluation]:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'evaluations'").fetchone()
    if known is None:
        return []
    return [
        Evaluation(name, value, Figures(support, confidence, lift), event_id, at)
        for name, value, support, confidence, lift, event_id, at in connection.execute(
            "SELECT name, score, support, confidence, lift, event_id, evaluated_at FROM evaluations "
            "ORDER BY score DESC, name LIMIT ?",
            (limit,),
        )
    ]
