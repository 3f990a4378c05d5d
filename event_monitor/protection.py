"""Makes the patterns from settings, for services and targets alike."""

from __future__ import annotations

from event_monitor.clock import Clock
from event_monitor.config import BreakerSettings
from event_monitor.resilience.breaker import CircuitBreaker, CircuitOpenError
from event_monitor.resilience.retry import PermanentError


def make_breaker(name: str, settings: BreakerSettings, clock: Clock) -> CircuitBreaker:
    """A breaker by its settings. What a retry cannot mend is the event's fault, not the target's."""
    return CircuitBreaker(
        settings.failure_threshold,
        settings.timeout,
        settings.recovery_timeout,
        name=name,
        failure_rate=settings.failure_rate,
        slow_rate=settings.slow_rate,
        slow_after=settings.slow_after,
        window=settings.window,
        minimum_calls=settings.minimum_calls,
        is_failure=lambda error: not isinstance(error, PermanentError | CircuitOpenError),
        clock=clock.monotonic,
    )
