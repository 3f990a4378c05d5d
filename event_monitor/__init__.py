"""event-monitor: a durable event bus, a resilience layer and a terminal dashboard in one process."""

from __future__ import annotations

__version__ = "0.1.0"
