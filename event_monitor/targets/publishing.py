"""How a target publishes what it found out: once for each cause, and marked as its effect."""

from __future__ import annotations

from typing import Any, Protocol

from event_monitor.event_types import SOURCE, OwnEvent
from event_monitor.model import Event


class Publish(Protocol):
    """Accepts an event; returns when it is on disk. A ``key`` that was seen before adds none."""

    async def __call__(
        self,
        event_type: str,
        payload: dict[str, Any],
        *,
        key: str,
        source: str,
        correlation_id: str | None,
        causation_id: int,
    ) -> object: ...


async def publish_effect(publish: Publish, cause: Event, effect: OwnEvent, key: str) -> None:
    """Publish what ``cause`` led to. ``key`` makes it happen once, however often the cause is
    delivered. Raises what ``publish`` raises."""
    await publish(
        effect.TYPE,
        effect.payload(),
        key=f"{SOURCE}:{key}",
        source=SOURCE,
        correlation_id=cause.correlation_id,
        causation_id=cause.id,
    )
