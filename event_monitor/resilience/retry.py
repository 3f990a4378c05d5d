"""Retries with backoff, jitter and a deadline.

``RetryPolicy`` says how long to wait; ``RetryHandler`` calls again until it succeeds. The bus uses
the policy alone, because its retries are saved and survive a restart. The strategies and the
default figures are the seed's: exponential ``2**n``, linear ``5 * n``, fibonacci, fixed 10 seconds,
0 to 25 % of random jitter added.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import CoroutineType, MappingProxyType
from typing import Any, NoReturn, TypeVar

from event_monitor.resilience.budget import RetryBudget
from event_monitor.resilience.listeners import tell
from event_monitor.resilience.timeouts import remaining

T = TypeVar("T")

Strategy = Callable[[int], float]
"""Seconds to wait before retry n = 0, 1, 2 ..., before jitter and cap."""

_Limits = tuple[Strategy, int, float, float]
_LARGEST = 64
_LARGEST_RETRY = 1_000_000_000


def exponential(n: int) -> float:
    """1, 2, 4, 8, ... seconds."""
    return float(2 ** min(n, _LARGEST))


def linear(n: int) -> float:
    """5, 10, 15, ... seconds."""
    return 5.0 * (min(n, _LARGEST_RETRY) + 1)


def fibonacci(n: int) -> float:
    """1, 1, 2, 3, 5, ... seconds."""
    current, following = 1, 1
    for _ in range(min(n, 2 * _LARGEST)):
        current, following = following, current + following
    return float(current)


def fixed(n: int) -> float:
    """Always 10 seconds."""
    return 10.0


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {"exponential": exponential, "linear": linear, "fibonacci": fibonacci, "fixed": fixed}
)


class PermanentError(Exception):
    """A failure that a retry cannot mend: it is not retried."""


class RetriesExhausted(Exception):
    """The last attempt failed. ``errors`` pairs each attempt's time with its error; the cause is
    the last one. ``deadline_reached`` says that a further wait would have passed the deadline."""

    def __init__(self, errors: tuple[tuple[float, Exception], ...], deadline_reached: bool = False) -> None:
        attempts = "1 attempt" if len(errors) == 1 else f"{len(errors)} attempts"
        last = errors[-1][1]
        super().__init__(f"given up after {attempts}: {type(last).__name__}: {last}")
        self.errors = errors
        self.deadline_reached = deadline_reached


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long apart. ``max_delay`` is in seconds and caps the jitter too; ``jitter``
    is the largest share that is added."""

    strategy: str | Strategy = "exponential"
    max_retries: int = 5
    max_delay: float = 300.0
    jitter: float = 0.25

    def __post_init__(self) -> None:
        if isinstance(self.strategy, str) and self.strategy not in STRATEGIES:
            raise ValueError(f"{self.strategy!r} is not a retry strategy: choose {', '.join(STRATEGIES)}")
        if self.max_retries < 0:
            raise ValueError(f"max_retries is {self.max_retries}: choose 0 or more")
        if not 0 < self.max_delay < math.inf:
            raise ValueError(f"max_delay is {self.max_delay}: choose a positive number of seconds")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is {self.jitter}: choose a share from 0 to 1")

    def delay(self, retry: int, rng: random.Random) -> float:
        """Seconds to wait before retry 0, 1, 2 ... Raises ``ValueError`` if a strategy answers a
        negative number or NaN."""
        strategy = STRATEGIES[self.strategy] if isinstance(self.strategy, str) else self.strategy
        wanted = strategy(retry)
        if not wanted >= 0:
            raise ValueError(f"the retry strategy answered {wanted} for retry {retry}: it must be 0 or more")
        base = min(wanted, self.max_delay)
        return min(base * (1 + self.jitter * rng.random()), self.max_delay)

    def wait(self, retry: int, error: BaseException, rng: random.Random) -> tuple[float, float]:
        """Seconds to wait after ``error``, whose ``retry_after`` beats a shorter delay up to
        ``max_delay``; and the least wait after which an attempt could succeed."""
        delay = self.delay(retry, rng)
        wished = getattr(error, "retry_after", None)
        if isinstance(wished, int | float) and wished > delay:
            return min(float(wished), self.max_delay), float(wished)
        return delay, delay


@dataclass(slots=True)
class RetryCounters:
    """What was done so far. ``attempts`` counts those that ended by themselves, ``retries`` those
    that were begun after a failure; ``permanent`` the calls given up for an error that no retry mends,
    ``exhausted`` those whose retries, time (``late``) or budget (``over_budget``) ran out."""

    attempts: int = 0
    retries: int = 0
    successes: int = 0
    permanent: int = 0
    exhausted: int = 0
    late: int = 0
    over_budget: int = 0

    def gave_up(self, late: bool, early: bool) -> None:
        """A call ended in ``RetriesExhausted``; ``early``: with retries left, which there was no time
        (``late``) or no budget for."""
        self.exhausted += 1
        if early and late:
            self.late += 1
        elif early:
            self.over_budget += 1


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class RetryHandler:
    """Calls a function until it succeeds, its error is permanent, or its retries are used up.

    Holds no state of a single call, so callers may share one. ``strategies`` are this handler's
    own and may be added to. A cancellation is never retried nor counted. ``on_retry`` is told the
    retry's number from 0, the delay in seconds and the error, before each wait; ``on_exhausted``
    of each call that is given up. A ``budget`` bounds the retries of all callers together.
    """

    clock: Callable[[], float] = _loop_time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)
    on_retry: Callable[[int, float, Exception], None] = lambda retry, delay, error: None
    on_exhausted: Callable[[RetriesExhausted], None] = lambda exhausted: None
    budget: RetryBudget | None = None
    strategies: dict[str, Strategy] = field(default_factory=lambda: dict(STRATEGIES))
    counters: RetryCounters = field(default_factory=RetryCounters)
    _last: tuple[_Limits, RetryPolicy] | None = field(default=None, init=False, repr=False)

    async def retry_with_backoff(
        self,
        func: Callable[[], T | Awaitable[T]],
        strategy: str = "exponential",
        max_retries: int = 5,
        max_delay: float = 300.0,
        *,
        jitter: float = 0.25,
        deadline: float | None = None,
        retry_on: Callable[[Exception], bool] = lambda error: True,
        dead_letter: Callable[[RetriesExhausted], Any] | None = None,
    ) -> T:
        """The result of ``func``, which may be a coroutine function.

        Never sleeps past ``deadline`` (in the clock's time) nor past the one it inherits: where the
        next attempt would come too late, it gives up at once. An error's ``retry_after`` (seconds)
        beats a shorter delay, up to ``max_delay``. Raises a permanent error, or one that ``retry_on``
        rejects, as it is, and ``RetriesExhausted`` after the last attempt; in both cases once
        ``dead_letter`` has been given all errors.
        """
        if strategy not in self.strategies:
            raise ValueError(f"{strategy!r} is not a retry strategy: choose {', '.join(self.strategies)}")
        policy = self._policy((self.strategies[strategy], max_retries, max_delay, jitter))
        budget, counters = self.budget, self.counters
        errors: list[tuple[float, Exception]] = []
        if budget is not None:
            budget.attempt()
        while True:
            try:
                value: Any = func()
                if isinstance(value, CoroutineType) or inspect.isawaitable(value):
                    value = await value
            except Exception as raised:  # noqa: BLE001 - raised again or given up with, below
                error = raised
            else:
                counters.attempts += 1
                counters.successes += 1
                return value  # type: ignore[no-any-return]
            counters.attempts += 1
            errors.append((self.clock(), error))
            if isinstance(error, PermanentError) or not retry_on(error):
                counters.permanent += 1
                await _write(dead_letter, RetriesExhausted(tuple(errors)))
                raise error
            retry = len(errors) - 1
            delay, earliest = policy.wait(retry, error, self.rng)
            late = earliest >= self._left(deadline)
            if retry >= max_retries or late or (budget is not None and not budget.has_room()):
                await self._give_up(errors, late, retry < max_retries, dead_letter)
            tell(self.on_retry, retry, delay, error)
            await self.sleep(delay)
            if budget is not None and not budget.try_retry():
                await self._give_up(errors, False, True, dead_letter)
            counters.retries += 1

    def _policy(self, limits: _Limits) -> RetryPolicy:
        """The policy of these limits; most calls have those of the call before, which were checked."""
        if self._last is None or self._last[0] != limits:
            self._last = limits, RetryPolicy(*limits)
        return self._last[1]

    def _left(self, deadline: float | None) -> float:
        """Seconds until the nearer of a call's own deadline and the one it inherits."""
        inherited = remaining(asyncio.get_running_loop().time())
        return inherited if deadline is None else min(deadline - self.clock(), inherited)

    async def _give_up(
        self,
        errors: list[tuple[float, Exception]],
        late: bool,
        early: bool,
        dead_letter: Callable[[RetriesExhausted], Any] | None,
    ) -> NoReturn:
        exhausted = RetriesExhausted(tuple(errors), late)
        self.counters.gave_up(late, early)
        tell(self.on_exhausted, exhausted)
        exhausted.__cause__ = errors[-1][1]
        await _write(dead_letter, exhausted)
        raise exhausted


async def _write(dead_letter: Callable[[RetriesExhausted], Any] | None, exhausted: RetriesExhausted) -> None:
    if dead_letter is not None:
        written = dead_letter(exhausted)
        if inspect.isawaitable(written):
            await written
