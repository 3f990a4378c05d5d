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

from event_monitor.resilience.breaker import CircuitBreaker, CircuitOpenError
from event_monitor.resilience.budget import RetryBudget
from event_monitor.resilience.bulkhead import Bulkhead, BulkheadFull
from event_monitor.resilience.fallback import Answer, FallbackChain
from event_monitor.resilience.retry import PermanentError, RetriesExhausted, RetryPolicy
from event_monitor.resilience.timeouts import DeadlineExceeded, DeadlineScope, current_deadline

NO_RETRY = RetryPolicy(max_retries=0)


class Pipeline:
    """Calls one service. Every part may be left out but the timeout.

    ``retry_on`` says which errors a further attempt may mend; an open breaker, a full bulkhead and a
    ``PermanentError`` are never retried here. Counts no cancellation as anything.
    """

    __slots__ = (
        "breaker",
        "budget",
        "bulkhead",
        "fallback",
        "name",
        "policy",
        "retry_on",
        "rng",
        "sleep",
        "timeout",
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
        try:
            return await self._attempt(func, args, kwargs)
        except Exception as error:
            if not self.policy.max_retries or not self._may_retry(error):
                raise
            return await self._retry(func, args, kwargs, error)

    def _may_retry(self, error: Exception) -> bool:
        return not isinstance(error, CircuitOpenError | BulkheadFull | PermanentError) and self.retry_on(
            error
        )

    async def _retry(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
    ) -> Any:
        loop = asyncio.get_running_loop()
        errors = [(loop.time(), error)]
        for retry in range(self.policy.max_retries):
            delay = self.policy.delay(retry, self.rng)
            wished = getattr(error, "retry_after", None)
            if isinstance(wished, int | float) and wished > delay:
                delay = min(float(wished), self.policy.max_delay)
            deadline = current_deadline.get()
            late = deadline is not None and loop.time() + delay >= deadline
            if late or (self.budget is not None and not self.budget.try_retry()):
                raise RetriesExhausted(tuple(errors), late) from error
            await self.sleep(delay)
            try:
                return await self._attempt(func, args, kwargs)
            except Exception as again:
                error = again
                errors.append((loop.time(), error))
                if not self._may_retry(error):
                    raise
        raise RetriesExhausted(tuple(errors)) from error

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
            if permit is not None:
                if isinstance(failure, Exception):
                    permit.failure(failure)
                else:
                    permit.release()
            if ours:
                raise failure from error
            raise
        scope.leave(None)
        if permit is not None:
            permit.success()
        return value
