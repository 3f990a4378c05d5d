"""Timeouts by tier, deadlines that are inherited, and calls that ignore their cancellation.

A deadline belongs to the running task's context. A call within another gets at most what is left
of it, less a margin and the grace, so that the inner one always ends first and its handler runs
before the outer one fires. At the limit the call is cancelled; ``hard_kill`` runs it as a task of
its own and, when it has not ended after a tenth more, leaves it behind and lists it.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

from event_monitor.resilience.listeners import tell

T = TypeVar("T")

TIERS: Mapping[str, float] = MappingProxyType(
    {"critical_path": 5.0, "normal_operations": 30.0, "batch_processing": 300.0, "research_tasks": 1_800.0}
)
GRACE = 0.1
MARGIN = 0.05
MAX_ABANDONED = 100

current_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar(
    "current_deadline", default=None
)
"""When the running call must be over, in the loop's time; ``None`` without a limit."""


class DeadlineExceeded(TimeoutError):
    """Our own limit was reached. A ``TimeoutError`` of the callee's is never turned into this."""


class TooManyAbandoned(Exception):
    """So many calls were left behind that no further one is begun."""


def remaining(now: float) -> float:
    """Seconds that the running call has left at ``now``; infinite without a limit."""
    deadline = current_deadline.get()
    return math.inf if deadline is None else deadline - now


def child_limit(seconds: float, now: float) -> float:
    """What a call may take at most that would like ``seconds``: always less than its parent has."""
    left = remaining(now)
    return seconds if left == math.inf else min(seconds, (left - MARGIN) / (1 + GRACE))


class DeadlineScope:
    """``async with DeadlineScope(seconds)``: cancels its body at the deadline and raises
    ``DeadlineExceeded``. ``deadline`` is in the loop's time.
    ``expired`` says that it was reached, also where the body swallowed its cancellation."""

    __slots__ = ("_cancelling", "_task", "_timer", "_token", "deadline", "expired", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.deadline = 0.0
        self.expired = False

    async def __aenter__(self) -> Self:
        self.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.leave(error):
            raise DeadlineExceeded(f"no answer within {self.seconds:.3g} s") from error

    def enter(self) -> None:
        """Begin: the deadline is inherited from the context and handed on through it."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a running task")
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.seconds = max(0.0, child_limit(self.seconds, now))
        self.deadline = now + self.seconds
        self._task = task
        self._cancelling = task.cancelling()
        self._token = current_deadline.set(self.deadline)
        self._timer = loop.call_at(self.deadline, self._expire)

    def leave(self, error: BaseException | None) -> bool:
        """End; answers whether the body was ended by this deadline."""
        self._timer.cancel()
        current_deadline.reset(self._token)
        if not self.expired:
            return False
        return self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError)

    def _expire(self) -> None:
        self.expired = True
        self._task.cancel()


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A call that swallowed its cancellation and runs on."""

    name: str
    since: float
    task: asyncio.Task[Any]


@dataclass(slots=True)
class TimeoutCounters:
    """How calls ended: ``cancelled`` by their caller, ``expired`` by our limit. Of those, ``abandoned``
    ones ignored it, and ``returned`` in the end; ``refused`` ones were never begun."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    abandoned: int = 0
    returned: int = 0
    refused: int = 0

    def ended(self, error: BaseException, ours: bool) -> None:
        """A call ended in an error; ``ours`` says that our limit was its cause."""
        if ours:
            self.expired += 1
        elif isinstance(error, Exception):
            self.failed += 1
        else:
            self.cancelled += 1


@dataclass(slots=True)
class TimeoutManager:
    """Runs calls under a tier's limit. ``tiers`` are seconds by name. ``on_expired`` hears the name
    and the limit, in seconds, of each call that reached it, ``on_abandoned`` of each left behind."""

    tiers: Mapping[str, float] = field(default_factory=lambda: TIERS)
    on_expired: Callable[[str, float], None] = lambda name, seconds: None
    on_abandoned: Callable[[Abandoned], None] = lambda abandoned: None
    counters: TimeoutCounters = field(default_factory=TimeoutCounters)
    abandoned: dict[asyncio.Task[Any], Abandoned] = field(default_factory=dict)

    def seconds(self, tier: str | float) -> float:
        """A tier's limit. Raises ``ValueError`` for an unknown one."""
        if isinstance(tier, str):
            if tier not in self.tiers:
                raise ValueError(f"no timeout tier is named {tier!r}: choose {', '.join(self.tiers)}")
            return self.tiers[tier]
        if not tier > 0:
            raise ValueError(f"a timeout must be a positive number of seconds, not {tier}")
        return tier

    async def run(
        self,
        func: Callable[[], Awaitable[T] | T],
        tier: str | float = "normal_operations",
        *,
        hard_kill: bool = False,
        name: str = "",
    ) -> T:
        """The result of ``func`` within its tier and its caller's deadline.

        Raises ``DeadlineExceeded``, ``TooManyAbandoned`` (``hard_kill`` only), or what ``func`` raises.
        """
        seconds = self.seconds(tier)
        name = name or getattr(func, "__name__", "call")
        if hard_kill:
            return await self._run_apart(func, seconds, name)
        scope = DeadlineScope(seconds)
        scope.enter()
        try:
            result = func()
            value: Any = await result if inspect.isawaitable(result) else result
        except BaseException as error:
            ours = scope.leave(error)
            self.counters.ended(error, ours)
            if ours:
                tell(self.on_expired, name, scope.seconds)
                raise DeadlineExceeded(f"no answer within {scope.seconds:.3g} s") from error
            raise
        scope.leave(None)
        self.counters.completed += 1
        return value  # type: ignore[no-any-return]

    async def _run_apart(self, func: Callable[[], Awaitable[T] | T], seconds: float, name: str) -> T:
        if len(self.abandoned) >= MAX_ABANDONED:
            self.counters.refused += 1
            raise TooManyAbandoned(
                f"{len(self.abandoned)} calls ignore their cancellation; {name} is not begun"
            )
        loop = asyncio.get_running_loop()
        limit = max(0.0, child_limit(seconds, loop.time()))
        token = current_deadline.set(loop.time() + limit)
        try:
            task: asyncio.Task[T] = asyncio.create_task(_awaited(func), name=name)
        finally:
            current_deadline.reset(token)
        expired = False
        try:
            done, _ = await asyncio.wait([task], timeout=limit)
            expired = not done
        except asyncio.CancelledError:
            self.counters.cancelled += 1
            raise
        finally:
            if not task.done():
                await self._end(task, GRACE * limit, name)
        if expired and (not task.done() or task.cancelled()):
            self.counters.expired += 1
            tell(self.on_expired, name, limit)
            raise DeadlineExceeded(f"{name}: no answer within {limit:.3g} s")
        try:
            value = task.result()
        except BaseException as error:
            self.counters.ended(error, ours=False)
            raise
        self.counters.completed += 1
        return value

    async def _end(self, task: asyncio.Task[Any], grace: float, name: str) -> None:
        """Cancel the task; leave it behind if it has not ended after the grace."""
        task.cancel()
        try:
            await asyncio.wait([task], timeout=grace)
        finally:
            if not task.done():
                self.counters.abandoned += 1
                self.abandoned[task] = left = Abandoned(name, asyncio.get_running_loop().time(), task)
                tell(self.on_abandoned, left)
            task.add_done_callback(self._returned)

    def _returned(self, task: asyncio.Task[Any]) -> None:
        if self.abandoned.pop(task, None) is not None:
            self.counters.returned += 1
        if not task.cancelled():
            task.exception()


async def _awaited(func: Callable[[], Awaitable[T] | T]) -> T:
    result = func()
    value: Any = await result if inspect.isawaitable(result) else result
    return value  # type: ignore[no-any-return]
