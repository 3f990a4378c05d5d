"""One successful call, and a refused one, through a resilience library: ``guarded_calls.py LIBRARY``.

Each function answers cases by pattern, and how the library is used where there are several ways.
Limits are the same for all: 5 failures, 30 s, 5 attempts, 10 places, 5 s. A breaker that is to stay
open waits for an hour.
"""

import asyncio
import logging
import sys
import warnings
from datetime import timedelta

from common import percall

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
call, opened = percall.call, percall.opened
HOUR = 3_600


async def spare(*_):
    return 0


async def through(func):
    """For libraries that only decorate: the function that is called is an argument."""
    return await func()


def inside(manager):
    """A call within an asynchronous context manager."""

    async def guarded(func=call):
        async with manager:
            return await func()

    return guarded


async def standard_library():
    semaphore = asyncio.Semaphore(10)

    async def within():
        async with asyncio.timeout(5):
            return await call()

    return {
        "bare call": call,
        "bulkhead|asyncio.Semaphore": inside(semaphore),
        "timeout|asyncio.timeout": within,
        "timeout|asyncio.wait_for": lambda: asyncio.wait_for(call(), 5),
    }


async def anyio():
    import anyio

    async def within():
        with anyio.fail_after(5):
            return await call()

    return {
        "bulkhead|CapacityLimiter": inside(anyio.CapacityLimiter(10)),
        "bulkhead|Semaphore": inside(anyio.Semaphore(10)),
        "timeout|fail_after": within,
    }


async def pybreaker():
    import pybreaker

    breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=30)
    broken = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=HOUR)
    return {
        "breaker|call_async": lambda: breaker.call_async(call),
        "rejection|call_async": await opened(broken.call_async),
    }


async def purgatory():
    from purgatory import AsyncCircuitBreakerFactory

    factory = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=HOUR)
    return {
        "breaker|decorator": factory("decorated")(call),
        "breaker|async with": inside(await factory.get_breaker("held")),
        "rejection|async with": await opened(inside(await factory.get_breaker("broken"))),
    }


async def aiobreaker():
    from aiobreaker import CircuitBreaker

    breaker = CircuitBreaker(fail_max=5, timeout_duration=timedelta(seconds=30))
    broken = CircuitBreaker(fail_max=5, timeout_duration=timedelta(seconds=HOUR))
    return {
        "breaker|call_async": lambda: breaker.call_async(call),
        "rejection|call_async": await opened(broken.call_async),
    }


async def circuitbreaker():
    from circuitbreaker import CircuitBreaker

    def breaker(seconds):
        return CircuitBreaker(failure_threshold=5, recovery_timeout=seconds)

    return {
        "breaker|decorator": breaker(30)(call),
        "rejection|decorator": await opened(breaker(HOUR)(through)),
    }


async def hyx():
    from hyx.bulkhead import bulkhead
    from hyx.circuitbreaker import consecutive_breaker
    from hyx.fallback import fallback
    from hyx.retry import retry
    from hyx.timeout import timeout

    pipeline = fallback(spare, on=Exception)(
        retry(attempts=5)(consecutive_breaker()(bulkhead(10, 60)(timeout(5)(call))))
    )
    return {
        "breaker|decorator": consecutive_breaker(failure_threshold=5)(call),
        "breaker|async with": inside(consecutive_breaker(failure_threshold=5)),
        "rejection|decorator": await opened(
            consecutive_breaker(failure_threshold=5, recovery_time_secs=HOUR)(through)
        ),
        "retry|decorator": retry(on=ValueError, attempts=5)(call),
        "bulkhead|decorator": bulkhead(10, 60)(call),
        "timeout|decorator": timeout(5)(call),
        "pipeline|decorators": pipeline,
        "retry and breaker|decorators": retry(attempts=5)(consecutive_breaker()(call)),
    }


async def pyresilience():
    from pyresilience import (
        BulkheadConfig,
        CircuitBreakerConfig,
        FallbackConfig,
        RetryConfig,
        TimeoutConfig,
        resilient,
    )

    places = BulkheadConfig(max_concurrent=10, max_wait=30)
    broken = resilient(circuit_breaker=CircuitBreakerConfig(recovery_timeout=HOUR))(through)
    return {
        "breaker|in a row": resilient(circuit_breaker=CircuitBreakerConfig())(call),
        "breaker|window of 100": resilient(circuit_breaker=CircuitBreakerConfig(sliding_window_size=100))(
            call
        ),
        "rejection|in a row": await opened(broken),
        "retry|decorator": resilient(retry=RetryConfig(max_attempts=5))(call),
        "bulkhead|decorator": resilient(bulkhead=places)(call),
        "timeout|decorator": resilient(timeout=TimeoutConfig(5))(call),
        "pipeline|decorator": resilient(
            circuit_breaker=CircuitBreakerConfig(),
            retry=RetryConfig(max_attempts=5),
            timeout=TimeoutConfig(5),
            bulkhead=places,
            fallback=FallbackConfig(handler=spare),
        )(call),
        "retry and breaker|decorator": resilient(
            circuit_breaker=CircuitBreakerConfig(), retry=RetryConfig(max_attempts=5)
        )(call),
    }


async def fluxgate():
    from fluxgate import AsyncCircuitBreaker
    from fluxgate.retries import Cooldown
    from fluxgate.trippers import FailureStreak

    broken = AsyncCircuitBreaker(tripper=FailureStreak(5), retry=Cooldown(HOUR))
    return {
        "breaker|in a row": AsyncCircuitBreaker(tripper=FailureStreak(5))(call),
        "breaker|window of 100": AsyncCircuitBreaker()(call),
        "rejection|in a row": await opened(broken(through)),
    }


async def redress():
    from redress import AsyncPolicy, AsyncRetry, AsyncRetryPolicy, CircuitBreaker, default_classifier
    from redress.strategies import decorrelated_jitter

    def breaker(seconds):
        return CircuitBreaker(failure_threshold=5, recovery_timeout_s=seconds)

    waits = decorrelated_jitter(max_s=5.0)
    guarded = AsyncPolicy(circuit_breaker=breaker(30), retry=None)
    broken = AsyncPolicy(circuit_breaker=breaker(HOUR), retry=None)
    retrying = AsyncRetryPolicy(classifier=default_classifier, strategy=waits, max_attempts=5)
    both = AsyncPolicy(
        circuit_breaker=breaker(30),
        retry=AsyncRetry(classifier=default_classifier, strategy=waits, deadline_s=60, max_attempts=5),
    )
    return {
        "breaker|AsyncPolicy": lambda: guarded.call(call),
        "rejection|AsyncPolicy": await opened(broken.call),
        "retry|AsyncRetryPolicy": lambda: retrying.call(call),
        "retry and breaker|AsyncPolicy": lambda: both.call(call),
    }


async def aioresilience():
    from aioresilience import CircuitBreaker
    from aioresilience.bulkhead import Bulkhead
    from aioresilience.config import (
        BulkheadConfig,
        CircuitConfig,
        FallbackConfig,
        RetryConfig,
        TimeoutConfig,
    )
    from aioresilience.fallback import FallbackHandler, with_fallback_handler
    from aioresilience.retry import RetryPolicy
    from aioresilience.timeout import TimeoutManager

    places = BulkheadConfig(max_concurrent=10, max_waiting=50, timeout=30)
    breaker, bulkhead = CircuitBreaker(name="alone"), Bulkhead("alone", places)
    broken = CircuitBreaker("broken", CircuitConfig(failure_threshold=5, recovery_timeout=HOUR))
    timeout = TimeoutManager(config=TimeoutConfig(timeout=5))
    retry = RetryPolicy(config=RetryConfig(max_attempts=5))
    together, gate = CircuitBreaker(name="together"), Bulkhead("together", places)
    pair = CircuitBreaker(name="pair")

    async def attempt():
        return await timeout.execute(call)

    async def counted():
        return await together.call(attempt)

    async def placed():
        return await gate.execute(counted)

    async def pipeline():
        return await retry.execute(placed)

    async def counted_alone():
        return await pair.call(call)

    return {
        "breaker|call": lambda: breaker.call(call),
        "rejection|call": await opened(broken.call),
        "retry|execute": lambda: retry.execute(call),
        "bulkhead|execute": lambda: bulkhead.execute(call),
        "timeout|execute": lambda: timeout.execute(call),
        "pipeline|nested": with_fallback_handler(FallbackHandler(config=FallbackConfig(fallback=0)))(
            pipeline
        ),
        "retry and breaker|nested": lambda: retry.execute(counted_alone),
    }


async def tenacity():
    import tenacity

    limits = {
        "stop": tenacity.stop_after_attempt(5),
        "wait": tenacity.wait_exponential_jitter(),
        "reraise": True,
    }

    async def loop():
        async for attempt in tenacity.AsyncRetrying(**limits):
            with attempt:
                return await call()

    return {"retry|decorator": tenacity.retry(**limits)(call), "retry|AsyncRetrying": loop}


async def stamina():
    import stamina

    caller = stamina.AsyncRetryingCaller(attempts=5).on(ValueError)
    return {
        "retry|decorator": stamina.retry(on=ValueError, attempts=5)(call),
        "retry|AsyncRetryingCaller": lambda: caller(call),
    }


async def stitched():
    """What people put together from single libraries: tenacity around aiobreaker."""
    import tenacity
    from aiobreaker import CircuitBreaker

    semaphore = asyncio.Semaphore(10)

    def breaker():
        return CircuitBreaker(fail_max=5, timeout_duration=timedelta(seconds=30))

    def retried(func):
        return tenacity.retry(
            stop=tenacity.stop_after_attempt(5), wait=tenacity.wait_exponential_jitter(), reraise=True
        )(func)

    whole, pair = breaker(), breaker()

    async def within():
        async with asyncio.timeout(5):
            return await call()

    async def attempt():
        async with semaphore:
            return await whole.call_async(within)

    attempts = retried(attempt)

    async def pipeline():
        try:
            return await attempts()
        except Exception:  # noqa: BLE001 - a fallback is there for whatever is raised
            return await spare()

    @retried
    async def counted():
        return await pair.call_async(call)

    return {"pipeline|nested": pipeline, "retry and breaker|nested": counted}


LIBRARIES = {
    "asyncio": standard_library,
    "anyio": anyio,
    "pybreaker": pybreaker,
    "purgatory": purgatory,
    "aiobreaker": aiobreaker,
    "circuitbreaker": circuitbreaker,
    "hyx": hyx,
    "pyresilience": pyresilience,
    "fluxgate": fluxgate,
    "redress": redress,
    "aioresilience": aioresilience,
    "tenacity": tenacity,
    "stamina": stamina,
    "tenacity+aiobreaker": stitched,
}
percall.serve(LIBRARIES[sys.argv[1]])
