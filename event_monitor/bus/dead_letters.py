"""The dead letter queue: deliveries that were given up, with every error, until a person decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from event_monitor.bus.dead_groups import (
    Letters,
    Place,
    check_groups,
    choose,
    forget_empty_groups,
    read_groups,
)
from event_monitor.bus.dispatcher import Dispatcher
from event_monitor.bus.history import read_dead_letters
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock, to_iso
from event_monitor.model import DeliveryState
from event_monitor.replies.dead_letters import DeadGroups
from event_monitor.replies.general import DeadLetter

PAGE = 500
ALL = Letters()


class DeadLetterQueue:
    """Reads, retries and drops dead letters. One is known by its event's id and its target."""

    def __init__(self, store: EventStore, dispatcher: Dispatcher, clock: Clock) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._clock = clock

    def __len__(self) -> int:
        return self._dispatcher.counts[DeliveryState.DEAD]

    async def page(
        self,
        wanted: Letters = ALL,
        *,
        after: Place | None = None,
        newest_first: bool = False,
        limit: int = 100,
    ) -> tuple[list[DeadLetter], bool]:
        """The oldest dead letters after ``after``, or the newest before it, and whether there are more."""
        await self._store.catch_up()
        return await self._store.read(
            lambda connection: read_dead_letters(
                connection, wanted, after=after, newest_first=newest_first, limit=limit
            )
        )

    async def groups(self, fits: Callable[[str, str, str], bool], limit: int) -> DeadGroups:
        """Dead letters counted by type, target and kind of error, of those that fit all three."""
        await self._store.catch_up()
        at = to_iso(self._clock.wall())
        return await self._store.read(lambda connection: read_groups(connection, fits, at=at, limit=limit))

    async def retry(self, wanted: Letters = ALL) -> int:
        """Queue dead letters again with a fresh set of attempts. Answers how many. Raises ``NotFound``
        for a group that is not known."""
        return await self._settle(DeliveryState.QUEUED, wanted)

    async def drop(self, wanted: Letters = ALL) -> int:
        """Give dead letters up. Their events keep the status ``dead``. Answers how many. Raises
        ``NotFound`` for a group that is not known."""
        dropped = await self._settle(DeliveryState.DROPPED, wanted)
        self._store.change(lambda ledger: forget_empty_groups(ledger.connection))
        return dropped

    async def _settle(self, state: DeliveryState, wanted: Letters) -> int:
        if wanted.groups:
            await self._store.catch_up()
            await self._store.read(lambda connection: check_groups(connection, wanted.groups))
        total = 0
        after: Place | None = None
        while True:

            def step(
                ledger: Ledger, after: Place | None = after
            ) -> tuple[Counter[tuple[str, int]], Place | None]:
                chosen, following = choose(ledger.connection, wanted, after, PAGE)
                return ledger.settle_dead(chosen, state.value, to_iso(self._clock.wall())), following

            moved, after = await self._store.write(step)
            self.settled(moved, state)
            total += sum(moved.values())
            if after is None:
                return total

    def settled(self, moved: Counter[tuple[str, int]], state: DeliveryState) -> None:
        """Dead letters were settled on disk: keep the counts, and deliver what was queued."""
        self._dispatcher.counts[DeliveryState.DEAD] -= sum(moved.values())
        if state is DeliveryState.QUEUED:
            self._dispatcher.take_stored(moved)
