"""Long work on the store: one piece at a time, on a thread, with its progress for whoever asks."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from event_monitor.bus.store_files import Moved, Stopped
from event_monitor.errors import Conflict, EventMonitorError, NotFound
from event_monitor.replies.store import StoreWork

logger = logging.getLogger(__name__)

T = TypeVar("T")

KEPT = 16


@dataclass(slots=True)
class Work:
    """One piece of work, as it is carried out. ``moved`` is for the thread that does it."""

    id: int
    kind: str
    path: str
    unit: str
    state: Literal["running", "done", "failed", "cancelled"] = "running"
    done: int = 0
    total: int = 0
    problems: list[str] = field(default_factory=list)
    note: str = ""
    size: int = 0
    sha256: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    connection: sqlite3.Connection | None = None

    def moved(self, done: int, total: int) -> None:
        """Note how far it is. Raises ``Stopped`` if it is to end."""
        self.done, self.total = done, total
        if self.stop.is_set():
            raise Stopped

    def end(self) -> None:
        """Have it end soon."""
        self.stop.set()
        if self.connection is not None:
            self.connection.interrupt()

    def report(self) -> StoreWork:
        """How it stands."""
        return StoreWork(
            id=self.id,
            kind=self.kind,
            state=self.state,
            path=self.path,
            done=self.done,
            total=self.total,
            unit=self.unit,
            problems=list(self.problems),
            note=self.note,
            size=self.size,
            sha256=self.sha256,
        )


Do = Callable[[Work], Awaitable[str]]
"""Carries work out; answers what came of it, in words."""


class WorkBench:
    """Carries out one piece of work at a time and remembers the last ``KEPT``."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._works: deque[Work] = deque(maxlen=KEPT)
        self._task: asyncio.Task[None] | None = None

    def begin(self, kind: str, path: str, unit: str, do: Do) -> StoreWork:
        """Begin work. Raises ``Conflict`` while other work is under way."""
        if self._task is not None and not self._task.done():
            last = self._works[-1]
            raise Conflict(f"a {last.kind} of the store is under way", "wait for its end, or interrupt it")
        work = Work(next(self._numbers), kind, path, unit)
        self._works.append(work)
        self._task = asyncio.create_task(self._carry_out(work, do), name=f"store-{kind}")
        return work.report()

    def find(self, number: int | None) -> Work:
        """The work of a number, or the last one. Raises ``NotFound``."""
        for work in reversed(self._works):
            if number is None or work.id == number:
                return work
        raise NotFound(
            "no work on the store was begun since the start"
            if number is None
            else f"no work has number {number}"
        )

    async def cancel(self, number: int) -> StoreWork:
        """End work and answer how it stands then. Raises ``NotFound``."""
        work = self.find(number)
        work.end()
        if work.state == "running" and self._task is not None:
            await asyncio.shield(self._task)
        return work.report()

    async def close(self) -> None:
        """End what is under way."""
        if self._task is not None and not self._task.done():
            self._works[-1].end()
            await self._task

    async def _carry_out(self, work: Work, do: Do) -> None:
        try:
            work.note = await do(work)
            work.state = "done"
        except Exception as error:
            work.state = "cancelled" if work.stop.is_set() else "failed"
            work.note = "" if work.stop.is_set() else str(error)
            if not isinstance(error, EventMonitorError | OSError | sqlite3.Error | Stopped):
                logger.error("a %s of the store failed", work.kind, exc_info=error)


async def on_a_thread(work: Work, do: Callable[[Moved], T]) -> T:
    """Run ``do`` on a thread of its own; a cancelled caller ends it."""
    try:
        return await asyncio.to_thread(do, work.moved)
    except asyncio.CancelledError:
        work.end()
        raise
