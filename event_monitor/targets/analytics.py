"""The ``analytics`` target: counts, failures and durations by event type and command, by minute."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Sequence
from typing import Any

from event_monitor.bus.inflight import Pending
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.clock import to_iso
from event_monitor.model import Event
from event_monitor.replies.general import Analytics, AnalyticsRow

BATCH = 256
_MINUTE = len("2026-11-23T15:42")

_UPSERT = """
INSERT INTO analytics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (minute, kind, name) DO UPDATE SET
count = count + excluded.count, failures = failures + excluded.failures, timed = timed + excluded.timed,
total_ms = total_ms + excluded.total_ms,
max_ms = MAX(COALESCE(max_ms, excluded.max_ms), COALESCE(excluded.max_ms, max_ms)),
last_at = MAX(last_at, excluded.last_at)"""


class _Tally:
    """What one batch adds to one row."""

    __slots__ = ("count", "failures", "last_at", "max_ms", "timed", "total_ms")

    def __init__(self) -> None:
        self.count = self.failures = self.timed = 0
        self.total_ms = 0.0
        self.max_ms: float | None = None
        self.last_at = ""

    def add(self, failed: bool, duration: float | None, at: str) -> None:
        self.count += 1
        self.failures += failed
        self.last_at = max(self.last_at, at)
        if duration is not None:
            self.timed += 1
            self.total_ms += duration
            self.max_ms = duration if self.max_ms is None else max(self.max_ms, duration)


class AnalyticsTarget:
    """Adds events to per-minute rows in the store, one transaction a batch.

    Counts are of deliveries, which are at least once: a crash may count an event twice.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Add a batch."""
        tallies: dict[tuple[str, str, str], _Tally] = {}
        for delivery in batch:
            event = delivery.record.event
            failed, duration = is_failure(event), duration_ms(event.payload)
            minute = event.timestamp[:_MINUTE]
            names = [("type", event.event_type)]
            command = command_name(event)
            if command:
                names.append(("command", command))
            for kind, name in names:
                tallies.setdefault((minute, kind, name), _Tally()).add(failed, duration, event.timestamp)
        rows = [
            (*key, tally.count, tally.failures, tally.timed, tally.total_ms, tally.max_ms, tally.last_at)
            for key, tally in tallies.items()
        ]

        def write(ledger: Ledger) -> None:
            ledger.connection.executemany(_UPSERT, rows)

        await self._store.write(write)

    async def report(self, since: float | None) -> Analytics:
        """Totals by type and by command since a time (epoch seconds), the most frequent first."""
        minute = to_iso(since)[:_MINUTE] if since is not None else ""

        def read(connection: sqlite3.Connection, kind: str) -> list[AnalyticsRow]:
            rows = connection.execute(
                "SELECT name, SUM(count), SUM(failures), SUM(timed), SUM(total_ms), MAX(max_ms), "
                "MAX(last_at) "
                "FROM analytics WHERE kind = ? AND minute >= ? GROUP BY name ORDER BY 2 DESC, name LIMIT 200",
                (kind, minute),
            ).fetchall()
            return [
                AnalyticsRow(
                    name=name,
                    count=count,
                    failures=failures,
                    success_rate=round(1 - failures / count, 4),
                    mean_ms=round(total / timed, 3) if timed else None,
                    max_ms=longest,
                    last_at=last_at,
                )
                for name, count, failures, timed, total, longest, last_at in rows
            ]

        return await self._store.read(
            lambda connection: Analytics(
                by_type=read(connection, "type"), by_command=read(connection, "command")
            )
        )


def is_failure(event: Event) -> bool:
    """Whether an event tells of something that went wrong."""
    payload = event.payload
    code = payload.get("exit_code")
    return (
        event.event_type.endswith(".failed")
        or (isinstance(code, int) and code != 0)
        or payload.get("success") is False
    )


def duration_ms(payload: dict[str, Any]) -> float | None:
    """A reported duration: ``duration_ms``, or ``duration`` in seconds."""
    for key, scale in (("duration_ms", 1.0), ("duration", 1_000.0)):
        value = payload.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return float(value) * scale
    return None


def command_name(event: Event) -> str | None:
    """The program of a command event, as in ``git`` for ``GIT_DIR=x git status``."""
    if not event.event_type.startswith("command."):
        return None
    tool = event.payload.get("tool_input")
    text = tool.get("command") if isinstance(tool, dict) else event.payload.get("command")
    if not isinstance(text, str):
        return None
    try:
        words = shlex.split(text[:4_096], comments=True)
    except ValueError:
        words = text[:4_096].split()
    program = next((word for word in words if "=" not in word), None)
    return program.rsplit("/", 1)[-1][:80] if program else None
