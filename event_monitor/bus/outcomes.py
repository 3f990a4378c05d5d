"""Waiting for what becomes of an event, without asking the disk again and again.

A wait by a handler is an edge in the graph of waits: the deliveries that are not settled yet, and
the handlers that stand in their way, are what it depends on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from event_monitor.bus.history import read_event
from event_monitor.bus.inflight import InFlight
from event_monitor.bus.lane import Lane
from event_monitor.bus.store import EventStore
from event_monitor.errors import NotFound
from event_monitor.model import DeliveryState, Status
from event_monitor.resilience.waits import WaitGraph

_SETTLED = frozenset(
    {DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.EXPIRED, DeliveryState.DROPPED}
)


class AwaitedEvent:
    """An event that somebody waits for: its targets that have not settled it."""

    def __init__(self, event_id: int, lanes: Mapping[str, Lane]) -> None:
        self.event_id = event_id
        self.open: frozenset[str] = frozenset()
        self.settled: set[str] = set()
        self.futures: set[asyncio.Future[Status]] = set()
        self._lanes = lanes

    @property
    def name(self) -> str:
        """What is waited for, in words."""
        targets = ", ".join(sorted(self.open - self.settled))
        return f"the outcome of event {self.event_id}" + (f" ({targets})" if targets else "")

    def blockers(self) -> Iterable[Collection[asyncio.Task[Any]]]:
        """For each open delivery the handler that has it, or those that all its lane's places have."""
        lanes = (self._lanes.get(target) for target in sorted(self.open - self.settled))
        return (lane.in_the_way(self.event_id) for lane in lanes if lane is not None)


class Outcomes:
    """Tells those who wait for an event's end. ``awaited`` holds what is waited for, by id."""

    def __init__(self, store: EventStore, lanes: Mapping[str, Lane], waits: WaitGraph) -> None:
        self.awaited: dict[int, AwaitedEvent] = {}
        self._store = store
        self._lanes = lanes
        self._waits = waits
        store.on_concluded = self._concluded
        waits.describe = self.describe

    async def of(self, event_id: int) -> Status:
        """The status of the event once every delivery of it is settled and that is on disk."""
        awaited = self.awaited.setdefault(event_id, AwaitedEvent(event_id, self._lanes))
        future: asyncio.Future[Status] = asyncio.get_running_loop().create_future()
        awaited.futures.add(future)
        try:
            # What was settled before must be seen as such: a stale answer would look like a deadlock.
            await self._store.flush()
            found = await self._store.read(lambda connection: read_event(connection, event_id))
            if found is None:
                raise NotFound(f"no event has the id {event_id}", "it may be older than the retention")
            event, targets, deliveries = found
            if event.status is not Status.PENDING:
                return event.status
            if not awaited.open:
                done = {delivery.target for delivery in deliveries if delivery.state in _SETTLED}
                awaited.open = frozenset(targets) - done
                self._take_from_memory(awaited)
            return await self._waits.wait(future, awaited)
        finally:
            awaited.futures.discard(future)
            if not awaited.futures:
                self.awaited.pop(event_id, None)

    def describe(self, task: asyncio.Task[Any]) -> str:
        """A task's name, and the event that it handles."""
        for lane in self._lanes.values():
            for busy, _, batch in lane.handling():
                if busy is task:
                    return f"{task.get_name()} (event {batch[0].record.event.id})"
        return task.get_name()

    def _take_from_memory(self, awaited: AwaitedEvent) -> None:
        """What is simply done has no row on disk while another delivery of the event is under way."""
        for target in awaited.open:
            lane = self._lanes.get(target)
            record = lane.find(awaited.event_id) if lane is not None else None
            if record is not None and not record.stored:
                self.moved(record)
                return

    def moved(self, record: InFlight) -> None:
        """The outcome of a delivery of an awaited event is known."""
        self.awaited[record.event.id].settled.update(
            target for target, state in zip(record.targets, record.outcomes, strict=True) if state in _SETTLED
        )

    def _concluded(self, delivered: Iterable[int], others: Mapping[int, str]) -> None:
        if not self.awaited:
            return
        ends = dict.fromkeys(delivered, Status.DELIVERED)
        ends.update((event_id, Status(status)) for event_id, status in others.items())
        for event_id in ends.keys() & self.awaited.keys():
            for future in self.awaited[event_id].futures:
                if not future.done():
                    future.set_result(ends[event_id])
