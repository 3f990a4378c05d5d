"""Makes the patterns from settings, for services and targets alike."""

from __future__ import annotations

from event_monitor.clock import Clock
from event_monitor.config import BreakerSettings
from event_monitor.resilience.breaker import CircuitBreaker, CircuitOpenError
from event_monitor.resilience.bulkhead import BulkheadFull, BulkheadTimeout
from event_monitor.resilience.retry import PermanentError

_NOT_ITS_FAULT = (PermanentError, CircuitOpenError, BulkheadFull, BulkheadTimeout)
# A probe may take its whole time and its grace, and a moment to be counted.
_LEASE = 1.2


def make_breaker(name: str, settings: BreakerSettings, clock: Clock, *, longest: float) -> CircuitBreaker:
    """A breaker by its settings. ``longest`` is how many seconds a call may take: a probe keeps its
    place for as long. What a retry cannot mend is the event's fault, not the target's."""
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
        probe_lease=max(settings.recovery_timeout, _LEASE * longest),
        is_failure=lambda error: not isinstance(error, _NOT_ITS_FAULT),
        clock=clock.monotonic,
    )
