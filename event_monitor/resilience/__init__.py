"""The resilience patterns. Each stands alone and knows nothing of the bus."""

from __future__ import annotations

from event_monitor.resilience.retry import PermanentError, RetriesExhausted, RetryHandler, RetryPolicy

__all__ = ["PermanentError", "RetriesExhausted", "RetryHandler", "RetryPolicy"]
