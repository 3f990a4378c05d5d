"""What one write transaction does to the tables. Runs on the writer's thread.

A ``Ledger`` lives for one transaction. It keeps the counters in step with the rows that it
changes, so that totals never need a scan.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from event_monitor.bus.dead_groups import group_of
from event_monitor.model import DeliveryError

EVENT_COLUMNS = (
    "id, timestamp, event_type, payload, status, retry_count, priority, queued, route, source, key, "
    "expires_at, schema_version, correlation_id, causation_id, replay_of, traceparent, depth"
)
_WIDTH = EVENT_COLUMNS.count(",") + 1
_CHUNK = 64
_PLACES = f"({', '.join('?' * _WIDTH)})"
_INSERT_ONE = f"INSERT INTO events ({EVENT_COLUMNS}) VALUES {_PLACES}"
_INSERT_CHUNK = f"INSERT INTO events ({EVENT_COLUMNS}) VALUES {', '.join([_PLACES] * _CHUNK)}"
_INSERT_KEYED = f"{_INSERT_ONE} ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING"
_PUT_DELIVERY = (
    "INSERT OR REPLACE INTO deliveries (event_id, target, state, priority, attempts, next_attempt_at, "
    "errors, updated_at, dead_group) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_STATUS = 4
_KEY = 10

EventRow = tuple[
    int, str, str, str, str, int, int, int | None, int, str | None, str | None, str | None, int,
    str | None, int | None, int | None, str | None, int,
]  # fmt: skip


class DeliveryRow(NamedTuple):
    """A delivery that is not simply done, as it is stored."""

    event_id: int
    target: str
    state: str
    priority: int
    attempts: int
    next_attempt_at: str | None
    errors: str
    updated_at: str


class Ledger:
    """The statements of one transaction over ``connection``; ``close`` writes the counters.
    ``concluded`` holds the new status of each event that ended otherwise than simply delivered."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.concluded: dict[int, str] = {}
        self._counts: Counter[str] = Counter()

    def insert(self, rows: Sequence[EventRow]) -> list[int]:
        """Insert events; answer the id under which each is known. An id that differs from the
        row's own belongs to the earlier event with the same idempotency key."""
        ids = [row[0] for row in rows]
        plain = [row for row in rows if row[_KEY] is None]
        execute = self.connection.execute
        whole = len(plain) - len(plain) % _CHUNK
        for start in range(0, whole, _CHUNK):
            execute(_INSERT_CHUNK, list(chain.from_iterable(plain[start : start + _CHUNK])))
        for row in plain[whole:]:
            execute(_INSERT_ONE, row)
        sampled = sum(row[_STATUS] == "sampled" for row in rows)
        duplicates = 0
        if len(plain) < len(rows):
            for position, row in enumerate(rows):
                if row[_KEY] is not None and execute(_INSERT_KEYED, row).rowcount == 0:
                    (ids[position],) = execute("SELECT id FROM events WHERE key = ?", (row[_KEY],)).fetchone()
                    duplicates += 1
                    sampled -= row[_STATUS] == "sampled"
        self._counts["accepted"] += len(rows) - duplicates
        self._counts["sampled"] += sampled
        return ids

    def insert_past(self, row: EventRow, status: str) -> None:
        """Insert an event of the past that waits for no delivery and has this status."""
        self.connection.execute(_INSERT_ONE, row)
        self._counts["accepted"] += 1
        self._counts[status] += 1

    def delivered(self, event_ids: Iterable[int]) -> None:
        """All deliveries of these queued events are simply done. Runs of ids cost one statement."""
        single: list[tuple[int]] = []
        for first, last in runs(event_ids):
            self._counts["delivered"] += last - first + 1
            if last - first < 2:
                single.extend((event_id,) for event_id in range(first, last + 1))
            else:
                self.connection.execute(
                    "UPDATE events SET status = 'delivered', queued = NULL WHERE id BETWEEN ? AND ?",
                    (first, last),
                )
        self.connection.executemany(
            "UPDATE events SET status = 'delivered', queued = NULL WHERE id = ?", single
        )

    def put_delivery(self, row: DeliveryRow) -> None:
        """Insert or replace what is known of a delivery, and count its retries on the event."""
        group = self._group(row.event_id, row.target, row.errors) if row.state == "dead" else None
        self.connection.execute(_PUT_DELIVERY, (*row, group))
        if row.attempts > 1:
            self.connection.execute(
                "UPDATE events SET retry_count = MAX(retry_count, ?) WHERE id = ?",
                (row.attempts - 1, row.event_id),
            )

    def _group(self, event_id: int, target: str, errors: str) -> int:
        found = self.connection.execute("SELECT event_type FROM events WHERE id = ?", (event_id,)).fetchone()
        return group_of(self.connection, found[0] if found else "", target, errors)

    def drop_delivery(self, event_id: int, target: str) -> None:
        """Forget a stored delivery that went through at its first attempt; remember that it did for as
        long as the event is queued, from where it would be delivered again."""
        key = (event_id, target)
        if self.connection.execute(
            "SELECT 1 FROM events WHERE id = ? AND queued IS NOT NULL", (event_id,)
        ).fetchone():
            self.connection.execute(
                "UPDATE deliveries SET state = 'delivered' WHERE event_id = ? AND target = ?", key
            )
        else:
            self.connection.execute("DELETE FROM deliveries WHERE event_id = ? AND target = ?", key)

    def hand_over(self, event_id: int) -> None:
        """Memory holds nothing of the event any more: what is left of it stands in ``deliveries``."""
        self.connection.execute("UPDATE events SET queued = NULL WHERE id = ?", (event_id,))
        self.conclude(event_id)

    def conclude(self, event_id: int) -> None:
        """Set the event's status to the sum over its deliveries, once none of them is open."""
        found = self.connection.execute(
            "SELECT status, queued FROM events WHERE id = ?", (event_id,)
        ).fetchone()
        if found is None or found[1] is not None:
            return
        states = {
            state
            for (state,) in self.connection.execute(
                "SELECT DISTINCT state FROM deliveries WHERE event_id = ?", (event_id,)
            )
        }
        if states & {"queued", "retrying", "parked"}:
            status = "pending"
        elif states & {"dead", "dropped"}:
            status = "dead"
        elif "expired" in states:
            status = "expired"
        else:
            status = "delivered"
        self._set_status(event_id, found[0], status)

    def _set_status(self, event_id: int, before: str, after: str) -> None:
        if before == after:
            return
        self.connection.execute("UPDATE events SET status = ? WHERE id = ?", (after, event_id))
        if before != "pending":
            self._counts[before] -= 1
        if after != "pending":
            self._counts[after] += 1
            self.concluded[event_id] = after

    def expire_queued(self, now: str, above: Sequence[int], limit: int = 2_000) -> int:
        """Expire queued events whose time has passed and that memory does not hold, which are
        those with an id over ``above[priority]``. Answers how many."""
        expired = 0
        for priority, floor in enumerate(above):
            ids = [
                row[0]
                for row in self.connection.execute(
                    "SELECT id FROM events INDEXED BY events_expiry WHERE queued IS NOT NULL "
                    "AND expires_at IS NOT NULL AND expires_at <= ? AND priority = ? AND id > ? LIMIT ?",
                    (now, priority, floor, limit),
                )
            ]
            for event_id in ids:
                self.hand_over_expired(event_id)
            expired += len(ids)
        return expired

    def hand_over_expired(self, event_id: int) -> None:
        """A queued event passed its time before any of it was delivered."""
        self.connection.execute("UPDATE events SET queued = NULL WHERE id = ?", (event_id,))
        self._set_status(event_id, "pending", "expired")

    def promote_due(self, now: str, limit: int = 500) -> tuple[Counter[tuple[str, int]], str | None]:
        """Queue the retries whose time has come. Answers how many for each (target, priority),
        and when the next one is due."""
        due = self.connection.execute(
            "SELECT event_id, target, priority FROM deliveries "
            "WHERE state = 'retrying' AND next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?",
            (now, limit),
        ).fetchall()
        self.connection.executemany(
            "UPDATE deliveries SET state = 'queued' WHERE event_id = ? AND target = ?",
            [(event_id, target) for event_id, target, _ in due],
        )
        (following,) = self.connection.execute(
            "SELECT MIN(next_attempt_at) FROM deliveries WHERE state = 'retrying'"
        ).fetchone()
        return Counter((target, priority) for _, target, priority in due), following

    def settle_dead(
        self, chosen: Sequence[tuple[int, str]], state: str, now: str
    ) -> Counter[tuple[str, int]]:
        """Move dead deliveries to ``queued`` (a fresh set of attempts) or ``dropped``."""
        moved: Counter[tuple[str, int]] = Counter()
        for event_id, target in chosen:
            found = self.connection.execute(
                "UPDATE deliveries SET state = ?, attempts = CASE ? WHEN 'queued' THEN 0 ELSE attempts END, "
                "next_attempt_at = NULL, updated_at = ?, dead_group = NULL "
                "WHERE event_id = ? AND target = ? AND state = 'dead' RETURNING priority",
                (state, state, now, event_id, target),
            ).fetchone()
            if found is not None:
                moved[(target, found[0])] += 1
                self.conclude(event_id)
        return moved

    def clamp_retries(self, horizon: str) -> None:
        """No retry waits past ``horizon``: the clock may have been set back since it was planned."""
        self.connection.execute(
            "UPDATE deliveries SET next_attempt_at = ? WHERE state = 'retrying' AND next_attempt_at > ?",
            (horizon, horizon),
        )

    def bury_target(self, target: str, now: str) -> int:
        """Make dead letters of all that waits on disk for a target that is gone. Answers how many."""
        reason = msgspec.json.encode(DeliveryError(now, f"no target is named {target}")).decode()
        buried = self.connection.execute(
            "UPDATE deliveries SET state = 'dead', next_attempt_at = NULL, updated_at = ?, "
            "errors = json_insert(errors, '$[#]', json(?)) "
            "WHERE target = ? AND state = 'queued' RETURNING event_id, errors",
            (now, reason, target),
        ).fetchall()
        for event_id, errors in buried:
            self.connection.execute(
                "UPDATE deliveries SET dead_group = ? WHERE event_id = ? AND target = ?",
                (self._group(event_id, target, errors), event_id, target),
            )
            self.conclude(event_id)
        return len(buried)

    def close(self) -> None:
        """Add what this transaction counted to the stored counters."""
        self.connection.executemany(
            "INSERT INTO counters VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, count) for name, count in self._counts.items() if count],
        )

    @property
    def counts(self) -> Counter[str]:
        """What this transaction added to each counter."""
        return self._counts


def runs(numbers: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Consecutive runs (first, last) of numbers, which need not be sorted and must be distinct."""
    first = last = None
    for number in sorted(numbers):
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last
