"""Who may publish next, while more want to than the disk takes: each source in its turn.

What was accepted is never reordered: fairness is in who is accepted now. Publishers of one source
go in the order in which they came.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from contextvars import ContextVar

from event_monitor.errors import RateLimited

RETRY_AFTER = 1.0
MAX_NAMED = 1_024
OTHERS = "(others)"

publisher: ContextVar[str | None] = ContextVar("publisher", default=None)
"""Who publishes events that name no source, such as one connection of the control socket."""

Turn = tuple[str | None, bool]
_Queue = OrderedDict[asyncio.Future[None], None]


class Turns:
    """At most ``places`` events are on their way to disk at a time; publishers beyond that wait, at
    most ``longest`` of a source, and get places by source in rotation. CRITICAL events have a turn of
    their own within their source, and any number of them may wait. ``shed`` counts by source those
    that were refused because too many waited."""

    def __init__(self, places: int, longest: int) -> None:
        self.taken = 0
        self.shed: Counter[str | None] = Counter()
        self._places = places
        self._longest = longest
        self._granted = 0
        self._waiting: OrderedDict[Turn, _Queue] = OrderedDict()

    @property
    def open(self) -> bool:
        """Whether nobody waits and there is a place."""
        return not self._waiting and self.taken + self._granted < self._places

    @property
    def waiting(self) -> int:
        """Publishers that wait for their turn."""
        return sum(map(len, self._waiting.values()))

    async def wait(self, source: str | None, critical: bool) -> None:
        """Return when it is this publisher's turn; it must then take the place (``enter``) without
        waiting for anything else. Raises ``RateLimited`` if too many of its source wait."""
        if self.open:
            return
        turn = (source or publisher.get(), critical)
        queue = self._waiting.get(turn)
        if queue is not None and len(queue) >= self._longest and not critical:
            self._count_shed(source)
            raise RateLimited(
                f"{len(queue):,} publishers of {source or 'no named source'} are waiting",
                "publish more slowly, or wait for each receipt before the next event",
                RETRY_AFTER,
            )
        if queue is None:
            queue = self._waiting[turn] = OrderedDict()
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        queue[mine] = None
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._granted -= 1
            else:
                self._forget(turn, mine)
            self._give_on()
            raise
        self._granted -= 1
        # Should the place not be taken after all, it is the next one's.
        loop.call_soon(self._give_on)

    def enter(self) -> None:
        """An event goes on its way to disk."""
        self.taken += 1

    def leave(self, count: int) -> None:
        """So many of them have arrived, or were refused there."""
        self.taken -= count
        if self._waiting:
            self._give_on()

    def _give_on(self) -> None:
        while self._waiting and self.taken + self._granted < self._places:
            turn, queue = self._waiting.popitem(last=False)
            mine, _ = queue.popitem(last=False)
            if queue:
                self._waiting[turn] = queue
            if not mine.done():
                self._granted += 1
                mine.set_result(None)

    def _forget(self, turn: Turn, mine: asyncio.Future[None]) -> None:
        queue = self._waiting.get(turn)
        if queue is not None and mine in queue:
            del queue[mine]
            if not queue:
                del self._waiting[turn]

    def _count_shed(self, source: str | None) -> None:
        self.shed[source if source in self.shed or len(self.shed) < MAX_NAMED else OTHERS] += 1
