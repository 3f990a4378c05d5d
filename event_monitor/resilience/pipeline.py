"""All patterns around one service's calls, in one order:
fallback( retry( breaker( bulkhead( timeout( call ))))).

A breaker that is open never queues a call, and a probe never waits for a place while it holds the
breaker's only permit: the breaker is looked at first, asked again once there is a place.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable
from typing import Any

from event_monitor.resilience.breaker import BreakerState, CircuitBreaker, CircuitOpenError
from event_monitor.resilience.budget import RetryBudget
from event_monitor.resilience.bulkhead import Bulkhead, BulkheadFull
from event_monitor.resilience.fallback import Answer, FallbackChain
from event_monitor.resilience.listeners import tell
from event_monitor.resilience.retry import PermanentError, RetriesExhausted, RetryCounters, RetryPolicy
from event_monitor.resilience.timeouts import (
    DeadlineExceeded,
    DeadlineScope,
    TimeoutCounters,
    current_deadline,
    remaining,
)

NO_RETRY = RetryPolicy(max_retries=0)


class Pipeline:
    """Calls one service. Every part may be left out but the timeout.

    ``retry_on`` says which errors a further attempt may mend; an open breaker, a full bulkhead and a
    ``PermanentError`` are never retried here. Counts no cancellation as anything. With a breaker the
    fallback's degraded mode ends only once that is closed. ``on_retry`` is told the retry's number
    from 0, the delay in seconds and the error, before each wait; ``counters`` and ``timeouts`` say
    what became of the calls, beside the counters of the parts.
    """

    __slots__ = (
        "breaker",
        "budget",
        "bulkhead",
        "counters",
        "fallback",
        "name",
        "on_retry",
        "policy",
        "retry_on",
        "rng",
        "sleep",
        "timeout",
        "timeouts",
    )

    def __init__(
        self,
        name: str = "",
        *,
        timeout: float = 30.0,
        breaker: CircuitBreaker | None = None,
        bulkhead: Bulkhead | None = None,
        policy: RetryPolicy = NO_RETRY,
        budget: RetryBudget | None = None,
        fallback: FallbackChain | None = None,
        retry_on: Callable[[Exception], bool] = lambda error: True,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.timeout = timeout
        self.breaker = breaker
        self.bulkhead = bulkhead
        self.policy = policy
        self.budget = budget
        self.fallback = fallback
        self.retry_on = retry_on
        self.rng = rng or random.Random()
        self.sleep = sleep
        self.on_retry: Callable[[int, float, Exception], None] = lambda retry, delay, error: None
        self.counters = RetryCounters()
        self.timeouts = TimeoutCounters()
        if breaker is not None and fallback is not None:
            fallback.is_back = lambda: breaker.state is BreakerState.CLOSED

    async def call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The result of ``func``, or a fallback's. Raises ``CircuitOpenError``, ``BulkheadFull``,
        ``BulkheadTimeout``, ``DeadlineExceeded``, ``RetriesExhausted``, or what ``func`` raises when
        it is not retried."""
        if self.fallback is None:
            return await self._attempts(func, args, kwargs)
        return (await self.ask(func, *args, **kwargs)).value

    async def ask(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Answer[Any]:
        """``call``, with where the answer came from and how old it is."""
        if self.fallback is None:
            return Answer(await self._attempts(func, args, kwargs), self.name or "primary")

        async def primary(*args: Any, **kwargs: Any) -> Any:
            return await self._attempts(func, args, kwargs)

        return await self.fallback.call(primary, *args, **kwargs)

    async def _attempts(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.budget is not None:
            self.budget.attempt()
        counters = self.counters
        try:
            value = await self._attempt(func, args, kwargs)
        except Exception as error:
            counters.attempts += 1
            if not self._may_retry(error):
                counters.permanent += 1
                raise
            if not self.policy.max_retries:
                counters.gave_up(late=False, early=False)
                raise
            return await self._retry(func, args, kwargs, error)
        counters.attempts += 1
        counters.successes += 1
        return value

    def _may_retry(self, error: Exception) -> bool:
        return not isinstance(error, CircuitOpenError | BulkheadFull | PermanentError) and self.retry_on(
            error
        )

    async def _retry(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
    ) -> Any:
        loop = asyncio.get_running_loop()
        errors = [(loop.time(), error)]
        budget, counters = self.budget, self.counters
        for retry in range(self.policy.max_retries):
            delay, earliest = self.policy.wait(retry, error, self.rng)
            late = earliest >= remaining(loop.time())
            if late or (budget is not None and not budget.has_room()):
                raise self._exhausted(errors, late)
            tell(self.on_retry, retry, delay, error)
            await self.sleep(delay)
            if budget is not None and not budget.try_retry():
                raise self._exhausted(errors, late=False)
            counters.retries += 1
            try:
                value = await self._attempt(func, args, kwargs)
            except Exception as again:
                counters.attempts += 1
                error = again
                errors.append((loop.time(), error))
                if not self._may_retry(error):
                    counters.permanent += 1
                    raise
            else:
                counters.attempts += 1
                counters.successes += 1
                return value
        raise self._exhausted(errors, late=False, early=False)

    def _exhausted(
        self, errors: list[tuple[float, Exception]], late: bool, early: bool = True
    ) -> RetriesExhausted:
        self.counters.gave_up(late, early)
        exhausted = RetriesExhausted(tuple(errors), late)
        exhausted.__cause__ = errors[-1][1]
        return exhausted

    async def _attempt(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        breaker, bulkhead = self.breaker, self.bulkhead
        if bulkhead is None:
            return await self._guarded(func, args, kwargs)
        if breaker is not None and not breaker.would_pass():
            breaker.acquire().release()
        if not bulkhead.try_acquire():
            deadline = current_deadline.get()
            left = None if deadline is None else deadline - asyncio.get_running_loop().time()
            await bulkhead.acquire(left)
        try:
            return await self._guarded(func, args, kwargs)
        finally:
            bulkhead.release()

    async def _guarded(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        permit = self.breaker.acquire() if self.breaker is not None else None
        scope = DeadlineScope(self.timeout)
        scope.enter()
        try:
            result = func(*args, **kwargs)
            value = await result if inspect.isawaitable(result) else result
        except BaseException as error:
            ours = scope.leave(error)
            failure: BaseException = (
                DeadlineExceeded(f"no answer within {scope.seconds:.3g} s") if ours else error
            )
            self.timeouts.ended(error, ours)
            if permit is not None:
                if isinstance(failure, Exception):
                    permit.failure(failure)
                else:
                    permit.release()
            if ours:
                raise failure from error
            raise
        scope.leave(None)
        self.timeouts.completed += 1
        if permit is not None:
            permit.success()
        return value
