"""A handler that gives every event up at once: ``py:tests.faults.failing:fail``."""

from __future__ import annotations

from event_monitor.model import Event
from event_monitor.resilience.retry import PermanentError


def fail(event: Event) -> None:
    """Raise what no retry can mend."""
    raise PermanentError(f"{event.event_type} is given up")
