"""Reads back what a lane owes on disk: deliveries spilled, retried, parked or left by a former run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from event_monitor.bus.history import StoredDelivery, next_stored
from event_monitor.bus.inflight import InFlight, Pending
from event_monitor.bus.lane import Lane
from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock, from_iso
from event_monitor.errors import StoreUnavailable
from event_monitor.model import PRIORITIES, DeliveryState

REFILL = 256
STORE_RETRY = 1.0

Spawn = Callable[[Coroutine[Any, Any, None], str], None]


class ReadBack:
    """Keeps the lanes supplied from disk, one read at a time for each.

    ``orphans`` counts the stored deliveries whose target nobody serves, by (target, priority).
    ``take`` is given each delivery that was read, ``moved`` is called after each read.
    """

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        *,
        lanes: Mapping[str, Lane],
        counts: Counter[DeliveryState],
        spawn: Spawn,
        moved: Callable[[], None],
        take: Callable[[Pending, Lane], None],
    ) -> None:
        self.orphans: Counter[tuple[str, int]] = Counter()
        self.stopping = False
        self._store = store
        self._clock = clock
        self._lanes = lanes
        self._counts = counts
        self._spawn = spawn
        self._moved = moved
        self._take = take
        self._reading: set[str] = set()

    def adopt(self, lane: Lane) -> None:
        """A target is served from now on: it owes what was an orphan."""
        for rank in range(len(PRIORITIES)):
            lane.stored[rank] = self.orphans.pop((lane.name, rank), 0)
        if any(lane.stored):
            self.refill(lane)

    def owe(self, owed: Mapping[tuple[str, int], int]) -> None:
        """Deliveries on disk are queued for their targets, by (target, priority)."""
        for (target, rank), count in owed.items():
            lane = self._lanes.get(target)
            if lane is None:
                self.orphans[(target, rank)] += count
                continue
            lane.stored[rank] += count
            self.refill(lane)

    def unload(self, lane: Lane, record: InFlight) -> None:
        """A delivery that was read back has its outcome."""
        if not record.stored:
            return
        rank = record.rank
        lane.loaded[rank].discard(record.event.id)
        lane.stored[rank] -= 1
        if lane.stored[rank] <= 0:
            lane.overflowing[rank] = False
        elif lane.on_disk(rank) and len(lane.queues[rank]) < lane.low_water:
            self.refill(lane)

    def refill(self, lane: Lane) -> None:
        """Read more of what waits on disk for ``lane``."""
        if lane.name not in self._reading and not self.stopping:
            self._reading.add(lane.name)
            self._spawn(self._read(lane), f"refill-{lane.name}")

    async def _read(self, lane: Lane) -> None:
        try:
            for rank in range(len(PRIORITIES)):
                if lane.on_disk(rank) <= 0 or len(lane.queues[rank]) >= lane.low_water or lane.closed:
                    continue
                await self._read_rank(lane, rank)
        except StoreUnavailable:
            await asyncio.sleep(STORE_RETRY)
        finally:
            self._reading.discard(lane.name)
            self._moved()
            lane.wake_all()

    async def _read_rank(self, lane: Lane, rank: int) -> None:
        skip = set(lane.loaded[rank])
        expected = lane.on_disk(rank)
        found = await self._store.write(
            lambda ledger: next_stored(ledger.connection, lane.name, rank, REFILL, skip)
        )
        if not found:
            # What was counted is not there, a person having settled it: do not wait for it.
            lane.stored[rank] -= expected
            lane.overflowing[rank] = lane.stored[rank] > 0
        for stored in found:
            lane.loaded[rank].add(stored.event.id)
            self._take(Pending(self._loaded(stored), 0, stored.attempts, stored.errors), lane)

    def _loaded(self, stored: StoredDelivery) -> InFlight:
        now = self._clock.monotonic()
        deadline = None
        if stored.event.expires_at is not None:
            deadline = now + from_iso(stored.event.expires_at) - self._clock.steady()
        return InFlight(
            stored.event, (stored.target,), size=stored.size, accepted_at=now, deadline=deadline, stored=True
        )

    async def bury_orphans(self, now: str) -> None:
        """Make dead letters of stored deliveries whose target nobody serves any more."""
        for target in {target for target, _ in self.orphans}:
            count = await self._store.write(
                lambda ledger, target=target: ledger.bury_target(target, now)  # type: ignore[misc]
            )
            self._counts[DeliveryState.QUEUED] -= count
            self._counts[DeliveryState.DEAD] += count
        self.orphans.clear()
