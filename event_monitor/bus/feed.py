"""The live feed: the last accepted events with what has become of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from event_monitor.bus.inflight import InFlight
from event_monitor.model import DeliveryState, FeedItem, Status
from event_monitor.redaction import redact
from event_monitor.summary import summarise

# Above this an event's payload is not kept for its line in the feed; its summary is.
_KEEP_BELOW = 4_096


class Feed:
    """Keeps ``limit`` records. ``revision`` rises whenever a line may have changed."""

    def __init__(self, limit: int, mask: Sequence[str]) -> None:
        self._mask = tuple(mask)
        self._records: deque[tuple[InFlight, str | None]] = deque(maxlen=limit)
        self._places: dict[int, InFlight] = {}
        self.revision = 0

    def add(self, records: Sequence[InFlight]) -> None:
        """New events were accepted."""
        self.revision += 1
        limit = self._records.maxlen or len(records)
        for record in records[-limit:]:
            if len(self._records) == limit:
                self._places.pop(self._records[0][0].event.id, None)
            self._records.append((record, None if record.size < _KEEP_BELOW else self._summary(record)))
            self._places[record.event.id] = record

    def changed(self, record: InFlight) -> None:
        """The outcome of one of an event's deliveries is known."""
        shown = self._places.get(record.event.id)
        if shown is None:
            return
        self.revision += 1
        if shown is not record:
            for place, target in enumerate(record.targets):
                if target in shown.targets:
                    shown.outcomes[shown.targets.index(target)] = record.outcomes[place]

    def items(self) -> tuple[FeedItem, ...]:
        """The lines, the oldest first."""
        return tuple(self._item(record, summary) for record, summary in self._records)

    def _item(self, record: InFlight, summary: str | None) -> FeedItem:
        event = record.event
        return FeedItem(
            id=event.id,
            timestamp=event.timestamp,
            priority=event.priority,
            event_type=event.event_type,
            summary=self._summary(record) if summary is None else summary,
            status=_status(record.outcomes),
            outcomes=tuple(zip(record.targets, record.outcomes, strict=True)),
        )

    def _summary(self, record: InFlight) -> str:
        return summarise(record.event.event_type, redact(record.event.payload, self._mask))


_OPEN = {DeliveryState.QUEUED, DeliveryState.RUNNING, DeliveryState.RETRYING, DeliveryState.PARKED}


def _status(outcomes: Sequence[DeliveryState]) -> Status:
    states = set(outcomes)
    if states & _OPEN:
        return Status.PENDING
    if states & {DeliveryState.DEAD, DeliveryState.DROPPED}:
        return Status.DEAD
    return Status.EXPIRED if DeliveryState.EXPIRED in states else Status.DELIVERED
