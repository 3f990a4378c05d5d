"""One successful call, and a refused one, through our resilience patterns.

``python -m tests.bench.workers.guarded_calls``. Clocks are the loop's, as in the program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from event_monitor.resilience.breaker import CircuitBreaker
from event_monitor.resilience.budget import RetryBudget
from event_monitor.resilience.bulkhead import Bulkhead
from event_monitor.resilience.fallback import AnswerCache, FallbackChain, Step
from event_monitor.resilience.pipeline import Pipeline
from event_monitor.resilience.retry import RetryHandler, RetryPolicy
from event_monitor.resilience.timeouts import DeadlineScope, TimeoutManager
from tests.bench.percall import Call, call, opened, serve

HOUR = 3_600.0


async def spare() -> int:
    return 0


async def within() -> int:
    async with DeadlineScope(5.0):
        return await call()


def pipeline(clock: Callable[[], float], *, cache: AnswerCache | None = None) -> Pipeline:
    """Everything around one service, with its shipped defaults."""
    return Pipeline(
        "service",
        breaker=CircuitBreaker(clock=clock),
        bulkhead=Bulkhead(),
        policy=RetryPolicy(),
        budget=RetryBudget(clock),
        fallback=FallbackChain("service", [Step("spare", spare)], cache),
    )


async def cases() -> Mapping[str, Call]:
    """By pattern and how it is used; the first of a pattern is the one that is compared."""
    clock = asyncio.get_running_loop().time
    breaker = CircuitBreaker(clock=clock)
    broken = CircuitBreaker(recovery_timeout=HOUR, clock=clock)
    retry, bulkhead, timeouts = RetryHandler(clock=clock), Bulkhead(), TimeoutManager()
    whole = pipeline(clock)
    remembering = pipeline(clock, cache=AnswerCache(clock))
    inner = CircuitBreaker(clock=clock)

    async def by_permit() -> int:
        permit = breaker.acquire()
        answer = await call()
        permit.success()
        return answer

    async def counted() -> int:
        return await inner.call(call)

    return {
        "breaker|call": lambda: breaker.call(call),
        "breaker|permit": by_permit,
        "rejection|call": await opened(broken.call),
        "retry|retry_with_backoff": lambda: retry.retry_with_backoff(call),
        "bulkhead|execute": lambda: bulkhead.execute(call),
        "timeout|DeadlineScope": within,
        "timeout|TimeoutManager.run": lambda: timeouts.run(call, "critical_path"),
        "pipeline|call": lambda: whole.call(call),
        "pipeline|call, answers cached": lambda: remembering.call(call),
        "retry and breaker|nested": lambda: retry.retry_with_backoff(counted),
    }


if __name__ == "__main__":
    serve(cases)
