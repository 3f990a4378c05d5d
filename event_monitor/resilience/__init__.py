"""The resilience patterns. Each stands alone and knows nothing of the bus."""

from __future__ import annotations

from event_monitor.resilience.breaker import BreakerState, CircuitBreaker, CircuitOpenError
from event_monitor.resilience.budget import RetryBudget
from event_monitor.resilience.bulkhead import Bulkhead, BulkheadFull, BulkheadTimeout
from event_monitor.resilience.fallback import Answer, FallbackChain, FallbacksExhausted
from event_monitor.resilience.health import CheckKind, Health, HealthMonitor
from event_monitor.resilience.pipeline import Pipeline
from event_monitor.resilience.retry import PermanentError, RetriesExhausted, RetryHandler, RetryPolicy
from event_monitor.resilience.timeouts import DeadlineExceeded, DeadlineScope, TimeoutManager

__all__ = [
    "Answer",
    "BreakerState",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadTimeout",
    "CheckKind",
    "CircuitBreaker",
    "CircuitOpenError",
    "DeadlineExceeded",
    "DeadlineScope",
    "FallbackChain",
    "FallbacksExhausted",
    "Health",
    "HealthMonitor",
    "PermanentError",
    "Pipeline",
    "RetriesExhausted",
    "RetryBudget",
    "RetryHandler",
    "RetryPolicy",
    "TimeoutManager",
]
