"""A lock that knows who holds it and since when, so that a deadlock over it is found and named."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any

from event_monitor.resilience.waits import WaitGraph, current_waits

LIMIT = 30.0


class TrackedLock:
    """``async with TrackedLock("name")``: one task at a time, first come first served.

    Waits are recorded in ``waits``, else in the graph of the running task's context; with neither it
    is a plain lock. ``limit`` is how many seconds it should be held at most: the watchdog tells of
    one that is held longer.
    """

    def __init__(self, name: str, *, limit: float = LIMIT, waits: WaitGraph | None = None) -> None:
        self._name = name
        self.limit = limit
        self.owner: asyncio.Task[Any] | None = None
        self.since = 0.0
        self._waits = waits
        self._graph: WaitGraph | None = None
        self._waiters: deque[tuple[asyncio.Task[Any], asyncio.Future[None]]] = deque()

    @property
    def name(self) -> str:
        """What is waited for, in words."""
        return f"the lock {self._name}"

    def blockers(self) -> Iterable[Collection[asyncio.Task[Any]]]:
        """Its owner must get on."""
        return ((self.owner,),) if self.owner is not None else ()

    def locked(self) -> bool:
        """Whether a task holds it."""
        return self.owner is not None

    async def acquire(self) -> None:
        """Wait for the lock. Raises ``DeadlockBroken`` if it would never come free; then, and when
        cancelled, it is not held."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a lock needs a running task")
        graph = self._waits or current_waits.get()
        if self.owner is None:
            self._take(task, graph)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (task, future)
        self._waiters.append(waiter)
        try:
            await (future if graph is None else graph.wait(future, self))
        except BaseException:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif self.owner is task:
                self.release()
            raise
        self._take(task, graph)

    def _take(self, task: asyncio.Task[Any], graph: WaitGraph | None) -> None:
        self.owner = task
        self._graph = graph
        if graph is not None:
            self.since = graph.clock()
            graph.held[self] = None

    def release(self) -> None:
        """Hand the lock to the next who waits. Raises ``RuntimeError`` if nobody holds it."""
        if self.owner is None:
            raise RuntimeError(f"{self.name} is not held")
        if self._graph is not None:
            self._graph.held.pop(self, None)
            self._graph = None
        self.owner = None
        while self._waiters:
            task, future = self._waiters.popleft()
            if not future.done():
                # The next owner counts as such before it runs: nobody slips in between.
                self.owner = task
                future.set_result(None)
                return

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
