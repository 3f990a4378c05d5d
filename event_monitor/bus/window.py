"""The bounded window that memory holds on the disk queue.

Every accepted event is on disk. For each priority ``cursor`` is the highest id that was taken
into memory and ``tail`` the highest id that is known to be on disk: while they differ, the rest
is paged in by (priority, id) as room appears, and newly accepted events wait behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from event_monitor.bus.history import QueuedEvent, next_queued, next_targets
from event_monitor.bus.inflight import InFlight
from event_monitor.bus.store import EventStore
from event_monitor.errors import StoreUnavailable
from event_monitor.model import PRIORITIES
from event_monitor.resilience.locks import TrackedLock

logger = logging.getLogger(__name__)

PAGE = 1_000
# How far ahead on disk is looked for work of an idle target.
PEEK = 2_000
RETRY_DELAY = 1.0
# The share of the window that each priority may fill, so that an urgent event finds room.
_SHARES = (1.0, 0.95, 0.9, 0.8)
# What a Python event costs beside its encoded payload, in bytes.
_OVERHEAD = 1_024


class Window:
    """Takes accepted events into memory, in order, within ``max_events`` and ``max_bytes``.

    ``dispatch`` is called for each event that was taken; ``revive`` makes the in-flight record of
    one that was paged in; ``relieve`` is asked to make room when other work could go on.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        max_events: int,
        max_bytes: int,
        dispatch: Callable[[InFlight], None],
        revive: Callable[[QueuedEvent], InFlight | None],
        relieve: Callable[[Collection[str]], bool],
    ) -> None:
        self._store = store
        self._limits = [max(1, int(max_events * share)) for share in _SHARES]
        self._byte_limits = [int(max_bytes * share) for share in _SHARES]
        self._page = max(1, min(PAGE, max_events // 4))
        self._dispatch = dispatch
        self._revive = revive
        self._relieve = relieve
        self._wake = asyncio.Event()
        self.cursor = [0] * len(PRIORITIES)
        self.tail = [0] * len(PRIORITIES)
        self.in_memory = [0] * len(PRIORITIES)
        self.on_disk = [0] * len(PRIORITIES)
        self.count = 0
        self.bytes = 0
        self.lock = TrackedLock("queue window")
        self.on_filled: Callable[[], None] = lambda: None

    def restore(self, queued: Sequence[tuple[int, int]]) -> None:
        """Begin with what a former run left: for each priority its count and its highest id."""
        for rank, (count, highest) in enumerate(queued):
            self.on_disk[rank] = count
            self.tail[rank] = highest
        self._wake.set()

    def accept(self, records: Sequence[InFlight]) -> None:
        """Take what fits of newly committed events; the rest is on disk and is paged in later."""
        for record in records:
            rank = record.rank
            if self.cursor[rank] == self.tail[rank] and self._has_room(rank):
                self.tail[rank] = self.cursor[rank] = record.event.id
                self._take(record)
            else:
                self.tail[rank] = record.event.id
                self.on_disk[rank] += 1
                self._wake.set()

    def release(self, record: InFlight) -> None:
        """Memory owes the event nothing any more."""
        record.held = False
        self.in_memory[record.rank] -= 1
        self.count -= 1
        self.bytes -= record.size + _OVERHEAD
        if self.behind and self.count <= self._limits[-1] - self._page:
            self._wake.set()

    @property
    def behind(self) -> bool:
        """Whether events wait on disk."""
        return self.cursor != self.tail

    def must_wait(self, rank: int) -> bool:
        """Whether events of this priority would overtake more urgent ones on disk that there is room
        for. Those are fetched then, and ``on_filled`` tells when."""
        for above in range(rank):
            if self.cursor[above] < self.tail[above] and self._has_room(above):
                self._wake.set()
                return True
        return False

    def nudge(self) -> None:
        """Look again: a lane has gone idle, or its way is free."""
        if self.behind:
            self._wake.set()

    def _has_room(self, rank: int) -> bool:
        return self.count < self._limits[rank] and (self.bytes < self._byte_limits[rank] or self.count == 0)

    def _take(self, record: InFlight) -> None:
        record.held = True
        self.in_memory[record.rank] += 1
        self.count += 1
        self.bytes += record.size + _OVERHEAD
        self._dispatch(record)

    async def run(self) -> None:
        """Page in for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._fill()
                self.on_filled()
            except StoreUnavailable as error:
                logger.warning("cannot read the queue: %s", error)
                await asyncio.sleep(RETRY_DELAY)
                self._wake.set()

    async def _fill(self) -> None:
        for rank in range(len(PRIORITIES)):
            while self.cursor[rank] < self.tail[rank]:
                if not self._has_room(rank) and not await self._make_room(rank):
                    return
                async with self.lock:
                    await self._page_in(rank)
                if any(self.cursor[above] < self.tail[above] for above in range(rank)):
                    self._wake.set()
                    return

    async def _make_room(self, rank: int) -> bool:
        """Whether there is room after all, because what waits on disk is for targets that are idle."""
        cursor = self.cursor[rank]
        waited_for = await self._store.read(lambda connection: next_targets(connection, rank, cursor, PEEK))
        return self._relieve(waited_for) and self._has_room(rank)

    async def _page_in(self, rank: int) -> None:
        known, cursor = self.tail[rank], self.cursor[rank]
        wanted = min(self._page, max(1, self._limits[rank] - self.count))
        budget = max(1, self._byte_limits[rank] - self.bytes)
        page = await self._store.read(
            lambda connection: next_queued(connection, rank, cursor, wanted, budget)
        )
        for queued in page.events:
            self.cursor[rank] = queued.event.id
            self.on_disk[rank] -= 1
            record = self._revive(queued)
            if record is not None:
                self._take(record)
        if page.last:
            self.cursor[rank] = max(self.cursor[rank], known)
            if self.cursor[rank] == self.tail[rank]:
                self.on_disk[rank] = 0
