"""Handlers that people write: coroutine functions or plain ones, each a target of its own."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from event_monitor.bus.inflight import Pending
from event_monitor.bus.lane import Handle, blocking, single
from event_monitor.model import Event
from event_monitor.topics import TopicPattern

Handler = Callable[[Event], Awaitable[None] | None]

current_event: contextvars.ContextVar[Event | None] = contextvars.ContextVar("current_event", default=None)
"""The event whose handler is running: what it publishes is caused by that event."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A handler's name as a target, and the events that are routed to it."""

    name: str
    pattern: TopicPattern
    matches: Callable[[Event], bool] | None = None


def handler_name(handler: Handler) -> str:
    """The name of a handler that was given none: its module and qualified name."""
    kind = handler if hasattr(handler, "__qualname__") else type(handler)
    return f"{kind.__module__}.{kind.__qualname__}"


def to_handle(handler: Handler, threads: Executor) -> Handle:
    """A handler as a lane takes it: a plain function runs on one of ``threads``."""
    if _is_coroutine_function(handler):
        return single(_coroutine_handler(handler))
    return blocking(_plain_handler(handler), threads)


def _is_coroutine_function(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _coroutine_handler(handler: Handler) -> Callable[[Pending], Awaitable[None]]:
    async def handle(delivery: Pending) -> None:
        token = current_event.set(delivery.record.event)
        try:
            await handler(delivery.record.event)  # type: ignore[misc]
        finally:
            current_event.reset(token)

    return handle


def _plain_handler(handler: Handler) -> Callable[[Pending], None]:
    def handle(delivery: Pending) -> None:
        handler(delivery.record.event)

    return handle
