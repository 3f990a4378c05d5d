"""The ``storage`` target: keeps learned patterns in the store, one row for each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from event_monitor.bus.inflight import Pending
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock, to_iso
from event_monitor.model import Event

_UPSERT = """
INSERT INTO patterns VALUES (?, ?, 1, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET pattern = excluded.pattern, seen = seen + 1,
last_event_id = excluded.last_event_id, updated_at = excluded.updated_at
WHERE excluded.last_event_id > last_event_id"""


class StorageTarget:
    """Stores the payload of each event under its ``name``, else under its ``pattern``'s digest.

    An event that is delivered twice is counted once.
    """

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Store a batch in one transaction."""
        now = to_iso(self._clock.wall())
        rows = [
            (
                pattern_name(event),
                msgspec.json.encode(event.payload).decode(),
                event.id,
                event.id,
                now,
            )
            for event in (delivery.record.event for delivery in batch)
        ]

        def write(ledger: Ledger) -> None:
            ledger.connection.executemany(_UPSERT, rows)

        await self._store.write(write)


def pattern_name(event: Event) -> str:
    """Under which name a learned pattern is kept."""
    name = event.payload.get("name")
    if isinstance(name, str) and name:
        return name[:255]
    pattern = event.payload.get("pattern", event.payload)
    encoded = msgspec.json.encode(pattern, order="sorted")
    return f"pattern-{hashlib.sha256(encoded).hexdigest()[:16]}"
