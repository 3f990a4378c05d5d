"""What the tests of the patterns share: a clock that is moved by hand, and breakers in a known state."""

from __future__ import annotations

import asyncio
from typing import Any

from event_monitor.resilience import BreakerState, CircuitBreaker

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Clock:
    """Seconds that move when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def now() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()


def fail_times(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.acquire().failure(OSError("down"))


def opened(clock: Clock, **more: Any) -> CircuitBreaker:
    """A breaker that five failures opened at the clock's time."""
    breaker = CircuitBreaker(clock=clock, **more)
    fail_times(breaker, 5)
    assert breaker.state is OPEN
    return breaker


async def works() -> str:
    return "done"


async def fails() -> None:
    raise OSError("down")
