"""The live feed: the last accepted events with what has become of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from event_monitor.bus.inflight import InFlight
from event_monitor.model import DeliveryState, Event, FeedItem, Status
from event_monitor.redaction import redact
from event_monitor.summary import summarise

# The payload of a larger event is not kept for its line in the feed; its summary is.
_KEEP_BELOW = 4_096


class _Entry:
    """What one line needs. ``outcomes`` is the in-flight record's own list, so it stays up to date."""

    __slots__ = (
        "event_type",
        "id",
        "outcomes",
        "payload",
        "priority",
        "sampled",
        "summary",
        "targets",
        "timestamp",
    )

    def __init__(self, event: Event, targets: Sequence[str], outcomes: list[DeliveryState]) -> None:
        self.id = event.id
        self.timestamp = event.timestamp
        self.priority = event.priority
        self.event_type = event.event_type
        self.sampled = event.status is Status.SAMPLED
        self.targets = targets
        self.outcomes = outcomes
        self.payload: dict[str, Any] = event.payload
        self.summary: str | None = None


class Feed:
    """Keeps the last ``limit`` events. ``revision`` rises whenever a line may have changed."""

    def __init__(self, limit: int, mask: Sequence[str]) -> None:
        self._limit = limit
        self._mask = tuple(mask)
        self._entries: dict[int, _Entry] = {}
        self.revision = 0

    def add(self, records: Sequence[InFlight]) -> None:
        """New events were accepted."""
        for record in records[-self._limit :]:
            entry = _Entry(record.event, record.targets, record.outcomes)
            if record.size >= _KEEP_BELOW:
                self._summarise(entry)
            self._put(entry)
        self.revision += 1

    def restore(self, recent: Sequence[tuple[Event, Sequence[str], Mapping[str, DeliveryState]]]) -> None:
        """Begin with what a former run left in the store, the oldest first."""
        for event, targets, states in recent:
            entry = _Entry(event, targets, [states[target] for target in targets])
            self._summarise(entry)
            self._put(entry)
        self.revision += 1

    def _put(self, entry: _Entry) -> None:
        self._entries[entry.id] = entry
        if len(self._entries) > self._limit:
            del self._entries[next(iter(self._entries))]

    def changed(self, record: InFlight) -> None:
        """The outcome of one of an event's deliveries is known."""
        entry = self._entries.get(record.event.id)
        if entry is None:
            return
        self.revision += 1
        if entry.outcomes is not record.outcomes:
            for target, state in zip(record.targets, record.outcomes, strict=True):
                if target in entry.targets:
                    entry.outcomes[entry.targets.index(target)] = state

    def items(self) -> tuple[FeedItem, ...]:
        """The lines, the oldest first."""
        return tuple(self._item(entry) for entry in self._entries.values())

    def _item(self, entry: _Entry) -> FeedItem:
        if entry.summary is None:
            self._summarise(entry)
        return FeedItem(
            id=entry.id,
            timestamp=entry.timestamp,
            priority=entry.priority,
            event_type=entry.event_type,
            summary=entry.summary or "",
            status=Status.SAMPLED if entry.sampled else _status(entry.outcomes),
            outcomes=tuple(zip(entry.targets, entry.outcomes, strict=True)),
        )

    def _summarise(self, entry: _Entry) -> None:
        entry.summary = summarise(entry.event_type, redact(entry.payload, self._mask))
        entry.payload = {}


_OPEN = {DeliveryState.QUEUED, DeliveryState.RUNNING, DeliveryState.RETRYING, DeliveryState.PARKED}


def _status(outcomes: Sequence[DeliveryState]) -> Status:
    states = set(outcomes)
    if states & _OPEN:
        return Status.PENDING
    if states & {DeliveryState.DEAD, DeliveryState.DROPPED}:
        return Status.DEAD
    return Status.EXPIRED if DeliveryState.EXPIRED in states else Status.DELIVERED
