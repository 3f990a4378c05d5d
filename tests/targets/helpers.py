"""Events and deliveries as a target gets them, and a publisher that remembers."""

from __future__ import annotations

from typing import Any

from event_monitor.bus.inflight import InFlight, Pending
from event_monitor.model import Event

AT = "2026-11-23T15:42:07.000000Z"


def event(
    number: int = 1, event_type: str = "a.b", payload: dict[str, Any] | None = None, **more: Any
) -> Event:
    return Event(
        **{"id": number, "timestamp": AT, "event_type": event_type, "payload": payload or {}, **more}
    )


def batch(*events: Event) -> list[Pending]:
    return [Pending(InFlight(one, ("t",), size=2, accepted_at=0.0), 0) for one in events]


class Outbox:
    """Takes what a target publishes; like the bus, it keeps one event for each key."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[str, dict[str, Any]]] = {}
        self.calls = 0
        self.options: list[dict[str, Any]] = []
        self.error: Exception | None = None

    async def __call__(self, event_type: str, payload: dict[str, Any], *, key: str, **options: Any) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.options.append(options)
        self.sent.setdefault(key, (event_type, payload))

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return list(self.sent.values())
