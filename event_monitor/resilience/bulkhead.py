"""The bulkhead: at most so many calls at a time, so many waiting, in the order they came."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from event_monitor.resilience.listeners import tell

T = TypeVar("T")


class BulkheadFull(Exception):
    """All places are taken and the queue is full: the call was refused at once."""


class BulkheadTimeout(Exception):
    """No place became free in time."""


@dataclass(slots=True)
class BulkheadCounters:
    """What happened at the door."""

    entered: int = 0
    queued: int = 0
    rejected: int = 0
    timed_out: int = 0
    cancelled: int = 0


class Bulkhead:
    """``max_concurrent`` places and a first-in-first-out queue of ``queue_size``, in which a call
    waits at most ``timeout`` seconds. ``on_refused`` hears each ``BulkheadFull`` and
    ``BulkheadTimeout``. Used from one event loop.

    No cancellation at any point loses a place: a place is handed over by setting the waiter's
    future, and a waiter that was cancelled after that passes it on.
    """

    __slots__ = (
        "_free",
        "_waiting",
        "counters",
        "max_concurrent",
        "name",
        "on_refused",
        "queue_size",
        "timeout",
    )

    def __init__(
        self, max_concurrent: int = 10, queue_size: int = 50, timeout: float = 30.0, *, name: str = ""
    ) -> None:
        if max_concurrent < 1 or queue_size < 0:
            raise ValueError("max_concurrent must be 1 or more, queue_size 0 or more")
        if not 0 < timeout < math.inf:
            raise ValueError("timeout must be a positive number of seconds")
        self.name = name
        self.max_concurrent = max_concurrent
        self.queue_size = queue_size
        self.timeout = timeout
        self.on_refused: Callable[[BulkheadFull | BulkheadTimeout], None] = lambda error: None
        self.counters = BulkheadCounters()
        self._free = max_concurrent
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def busy(self) -> int:
        """Calls that hold a place."""
        return self.max_concurrent - self._free

    @property
    def waiting(self) -> int:
        """Calls that wait for one."""
        return sum(not waiter.done() for waiter in self._waiting)

    def try_acquire(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if self._free and not self._waiting:
            self._free -= 1
            self.counters.entered += 1
            return True
        return False

    async def acquire(self, timeout: float | None = None) -> None:
        """Take a place, waiting at most ``timeout`` seconds, and never longer than the bulkhead's.

        Raises ``BulkheadFull`` or ``BulkheadTimeout``.
        """
        if self.try_acquire():
            return
        if self.waiting >= self.queue_size:
            self.counters.rejected += 1
            raise self._refused(
                BulkheadFull(
                    f"{self.name or 'the bulkhead'} is full: {self.busy} running, {self.waiting} waiting"
                )
            )
        wait = self.timeout if timeout is None else min(timeout, self.timeout)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiter)
        self.counters.queued += 1
        timer = loop.call_later(wait, self._expire, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            self.counters.cancelled += 1
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release()
            else:
                self._forget(waiter)
            raise
        except BulkheadTimeout:
            self.counters.timed_out += 1
            raise self._refused(
                BulkheadTimeout(f"no place in {self.name or 'the bulkhead'} within {wait:.3g} s")
            ) from None
        finally:
            timer.cancel()
        self.counters.entered += 1

    def release(self) -> None:
        """Give a place back: to the one who waits longest, if any."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def _refused(self, error: BulkheadFull | BulkheadTimeout) -> BulkheadFull | BulkheadTimeout:
        tell(self.on_refused, error)
        return error

    def _expire(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            self._forget(waiter)
            waiter.set_exception(BulkheadTimeout())

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(waiter)

    async def execute(self, func: Callable[..., Awaitable[T] | T], *args: Any, **kwargs: Any) -> T:
        """The result of ``func``, run in a place of its own. Raises what ``func`` raises,
        ``BulkheadFull`` or ``BulkheadTimeout``."""
        await self.acquire()
        try:
            result = func(*args, **kwargs)
            value: Any = await result if inspect.isawaitable(result) else result
        finally:
            self.release()
        return value  # type: ignore[no-any-return]
