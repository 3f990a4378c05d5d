"""Long work on the store in steps so short that no publisher notices."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock

T = TypeVar("T")

# What one step may keep the writer busy, before its commit.
STEP_SECONDS = 0.004
# Between two steps the disk is the publishers': at least so long, and so many times a step's length.
PAUSE = 0.03
REST = 3.0
_MOST = 2_000
_FIRST = 32
# A busy machine makes each step look slow; with fewer the work would hardly get on.
_LEAST = 8


class Upkeep:
    """Carries out one piece of long work, step by step. How much a step does follows from what the
    ones before took, so that it keeps to ``seconds`` on a slow disk and on a fast one."""

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        *,
        seconds: float = STEP_SECONDS,
        pause: float = PAUSE,
        rest: float = REST,
    ) -> None:
        self.size = _FIRST
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._pause = pause
        self._rest = rest
        self._took = 0.0

    async def step(self, work: Callable[[Ledger, int], T]) -> T:
        """Rest after the step before, then have ``work`` do about ``size`` things in a transaction of its
        own. A cancelled step is whole or not done. Raises ``StoreUnavailable``."""
        if self._took and self._pause:
            await asyncio.sleep(max(self._pause, self._rest * self._took))
        return await self._store.write_aside(self._timed(work))

    def _timed(self, work: Callable[[Ledger, int], T]) -> Callable[[Ledger], T]:
        def timed(ledger: Ledger) -> T:
            begun = self._clock.monotonic()
            result = work(ledger, self.size)
            self._took = self._clock.monotonic() - begun
            # At most doubled: the pages of the next rows may be cold.
            fitting = self.size * self._seconds / self._took if self._took > 0 else 2.0 * self.size
            self.size = max(_LEAST, min(_MOST, 2 * self.size, int(fitting)))
            return result

        return timed


def free_pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many pages of the file hold nothing, and how many there are."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return free, pages


def gives_back(connection: sqlite3.Connection) -> bool:
    """Whether free pages of this file can be given back to the disk bit by bit."""
    return bool(connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 2)


async def give_back(
    store: EventStore,
    upkeep: Upkeep,
    *,
    leave: float = 0.0,
    moved: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Give free pages back to the disk, until the share ``leave`` of all is free; ``moved`` hears how many
    of how many. Answers how many; none of a file that was made without this ability."""

    def look(connection: sqlite3.Connection) -> int:
        free, pages = free_pages(connection)
        excess = int((free - leave * pages) / (1 - leave))
        return max(0, excess) if gives_back(connection) else 0

    total, done = await store.read(look), 0
    moved(done, total)
    while done < total:
        gone = await upkeep.step(lambda ledger, size: _vacuum(ledger.connection, min(size, total - done)))  # noqa: B023
        if not gone:
            break
        done += gone
        moved(done, total)
    return done


def _vacuum(connection: sqlite3.Connection, count: int) -> int:
    before, _ = free_pages(connection)
    for _ in range(count):
        # The module takes one step of a statement without columns, which is one page, whatever N is.
        connection.execute("PRAGMA incremental_vacuum(1)")
    return before - free_pages(connection)[0]
