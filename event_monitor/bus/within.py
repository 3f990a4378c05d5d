"""What a coroutine handler may ask of the bus that calls it, for handlers that were not given the bus."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from event_monitor.errors import InvalidRequest
from event_monitor.model import Status

if TYPE_CHECKING:
    from event_monitor.bus.event_bus import EventBus
    from event_monitor.bus.receipt import Receipt

current_bus: contextvars.ContextVar[EventBus | None] = contextvars.ContextVar("current_bus", default=None)
"""The bus whose handler is running."""


async def publish(event_type: str, payload: dict[str, Any] | None = None, **options: Any) -> Receipt:
    """``EventBus.publish``, caused by the event that is handled."""
    return await _bus().publish(event_type, payload, **options)


async def outcome(event_id: int) -> Status:
    """``EventBus.outcome``."""
    return await _bus().outcome(event_id)


def _bus() -> EventBus:
    bus = current_bus.get()
    if bus is None:
        raise InvalidRequest("this does not run within a handler", "call it from a coroutine handler")
    return bus
