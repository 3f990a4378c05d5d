"""The ``recovery`` target: begins the recovery of the service that an event names."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from event_monitor.bus.inflight import Pending
from event_monitor.model import Event
from event_monitor.redaction import redact
from event_monitor.resilience.retry import PermanentError
from event_monitor.summary import summarise
from event_monitor.targets.notification import printable

logger = logging.getLogger(__name__)

_NAMED_BY = ("service", "server", "name")
_SHOWN = 20


class Recoverable(Protocol):
    """The services that can be recovered."""

    def names(self) -> Collection[str]:
        """The names of all services."""

    async def recover(self, name: str, reason: str) -> str:
        """Restart or probe the service and let its breaker try again; answer what was done.

        A delivery may come twice and late: a service that is well again is left alone. Raises if
        recovery could not be begun and may be tried again.
        """


class RecoveryTarget:
    """Recovers the service named by ``service``, ``server``, ``name`` or ``mcp_server.name``.

    Serve it with batches of one: a failure is one delivery's.
    """

    def __init__(self, services: Recoverable, mask: Sequence[str] = ()) -> None:
        self._services = services
        self._mask = tuple(mask)

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Recover what each event names, if anything. Raises ``PermanentError`` for an unknown name."""
        for delivery in batch:
            event = delivery.record.event
            name = service_name(event.payload)
            if name is None:
                logger.info("event %d names no service: there is nothing to recover", event.id)
                continue
            known = sorted(self._services.names())
            if name not in known:
                raise PermanentError(f"no service is named {name[:100]!r}: {_choice(known)}")
            done = await self._services.recover(name, reason(event, self._mask))
            logger.info("recovery of %s for event %d: %s", name, event.id, done)


def service_name(payload: dict[str, Any]) -> str | None:
    """The service that a payload is about, ``None`` if it names none."""
    for key in _NAMED_BY:
        value = payload.get(key)
        if isinstance(value, str) and value:
            return value
    server = payload.get("mcp_server")
    name = server.get("name") if isinstance(server, dict) else None
    return name if isinstance(name, str) and name else None


def reason(event: Event, mask: Sequence[str]) -> str:
    """Why something is done for an event: its id, type and summary, fit for a terminal, with
    secrets masked."""
    summary = summarise(event.event_type, redact(event.payload, mask))
    text = f"event {event.id} {event.event_type}"
    return printable(f"{text}: {summary}" if summary else text)


def _choice(known: Sequence[str]) -> str:
    if not known:
        return "none is configured, add it under services in event-monitor.yaml"
    shown = ", ".join(known[:_SHOWN])
    return f"choose {shown}{' ...' if len(known) > _SHOWN else ''}, or configure it"
