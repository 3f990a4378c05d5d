"""Replays as they are kept in the store: what was asked, what was planned, and how far they are."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from event_monitor.bus.ledger import Ledger
from event_monitor.bus.replay.plan import Plan
from event_monitor.messages import Speed, StartReplay
from event_monitor.model import ReplayState

logger = logging.getLogger(__name__)

KEPT = 100
LIVE = frozenset({ReplayState.RUNNING, ReplayState.PAUSED})

_COLUMNS = (
    "id, state, request, plan, mark, created_at, speed, position, at, clock, replayed, failed, skipped, note"
)


@dataclass(slots=True)
class Job:
    """One replay. ``position`` is the highest id of an original that is dealt with, ``at`` the time it
    was recorded, ``clock`` the recorded time reached (epoch seconds). Its events have the idempotency
    key ``mark`` with the original's id, so none is published twice, whenever the process dies."""

    id: int
    state: ReplayState
    request: StartReplay
    plan: Plan
    mark: str
    created_at: str
    speed: float | None
    position: int
    at: str | None
    clock: float
    replayed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE

    @property
    def left(self) -> int:
        """Planned events that were not dealt with yet."""
        return max(0, self.plan.events - self.replayed - (self.skipped - self.plan.skipped))

    @property
    def spoken_speed(self) -> Speed:
        """Its speed, as people write it."""
        return "max" if self.speed is None else self.speed

    def inserting(self) -> Callable[[Ledger], object]:
        """The change that writes it down, and forgets the oldest that have ended."""
        row = (
            self.id,
            self.state.value,
            msgspec.json.encode(self.request).decode(),
            msgspec.json.encode(self.plan).decode(),
            self.mark,
            self.created_at,
            *self._progress(),
        )

        ended_before = self.id - KEPT

        def insert(ledger: Ledger) -> None:
            places = ", ".join("?" * len(row))
            ledger.connection.execute(f"INSERT INTO replays ({_COLUMNS}) VALUES ({places})", row)
            ledger.connection.execute(
                "DELETE FROM replays WHERE state NOT IN ('running', 'paused') AND id <= ?", (ended_before,)
            )

        return insert

    def deleting(self) -> Callable[[Ledger], object]:
        """The change that forgets it."""
        number = self.id
        return lambda ledger: ledger.connection.execute("DELETE FROM replays WHERE id = ?", (number,))

    def saving(self) -> Callable[[Ledger], object]:
        """The change that writes down how far it is now."""
        row = (self.state.value, *self._progress(), self.id)
        return lambda ledger: ledger.connection.execute(
            "UPDATE replays SET state = ?, speed = ?, position = ?, at = ?, clock = ?, replayed = ?, "
            "failed = ?, skipped = ?, note = ? WHERE id = ?",
            row,
        )

    def _progress(self) -> tuple[float | int | str | None, ...]:
        return (
            self.speed,
            self.position,
            self.at,
            self.clock,
            self.replayed,
            self.failed,
            self.skipped,
            self.note,
        )


def load_jobs(connection: sqlite3.Connection) -> tuple[list[Job], int]:
    """All that are kept, the oldest first, without those that cannot be read; and the highest id."""
    jobs = []
    highest = 0
    for row in connection.execute(f"SELECT {_COLUMNS} FROM replays ORDER BY id"):
        highest = row[0]
        try:
            request = msgspec.json.decode(row[2], type=StartReplay)
            jobs.append(
                Job(row[0], ReplayState(row[1]), request, msgspec.json.decode(row[3], type=Plan), *row[4:])
            )
        except (msgspec.MsgspecError, ValueError) as error:
            logger.warning("replay %d cannot be read and is left alone: %s", highest, error)
    return jobs, highest
