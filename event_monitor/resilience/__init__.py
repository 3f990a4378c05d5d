"""The resilience patterns. Each stands alone and knows nothing of the bus."""

from __future__ import annotations

from event_monitor.resilience.breaker import BreakerChange, BreakerState, CircuitBreaker, CircuitOpenError
from event_monitor.resilience.budget import RetryBudget
from event_monitor.resilience.bulkhead import Bulkhead, BulkheadFull, BulkheadTimeout
from event_monitor.resilience.fallback import Answer, AnswerCache, FallbackChain, FallbacksExhausted, Step
from event_monitor.resilience.health import CheckKind, CheckPolicy, CheckResult, Health, HealthMonitor
from event_monitor.resilience.locks import TrackedLock
from event_monitor.resilience.pipeline import Pipeline
from event_monitor.resilience.retry import PermanentError, RetriesExhausted, RetryHandler, RetryPolicy
from event_monitor.resilience.timeouts import (
    DeadlineExceeded,
    DeadlineScope,
    TimeoutManager,
    TooManyAbandoned,
)
from event_monitor.resilience.waits import DeadlockBroken, WaitGraph

__all__ = [
    "Answer",
    "AnswerCache",
    "BreakerChange",
    "BreakerState",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadTimeout",
    "CheckKind",
    "CheckPolicy",
    "CheckResult",
    "CircuitBreaker",
    "CircuitOpenError",
    "DeadlineExceeded",
    "DeadlineScope",
    "DeadlockBroken",
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
    "Step",
    "TimeoutManager",
    "TooManyAbandoned",
    "TrackedLock",
    "WaitGraph",
]
