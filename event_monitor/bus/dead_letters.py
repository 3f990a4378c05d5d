"""The dead letter queue: deliveries that were given up, with every error, until a person decides."""

from __future__ import annotations

from event_monitor.bus.dispatcher import Dispatcher
from event_monitor.bus.history import read_dead_letters
from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock, to_iso
from event_monitor.model import DeliveryState
from event_monitor.replies import DeadLetter
from event_monitor.topics import TopicPattern

PAGE = 500


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
        *,
        pattern: TopicPattern | None = None,
        target: str | None = None,
        event_id: int | None = None,
        after: tuple[int, str] | None = None,
        limit: int = 100,
    ) -> tuple[list[DeadLetter], bool]:
        """The oldest dead letters after ``after``, and whether there are more."""
        await self._store.catch_up()
        return await self._store.read(
            lambda connection: read_dead_letters(
                connection, pattern=pattern, target=target, event_id=event_id, after=after, limit=limit
            )
        )

    async def retry(
        self, *, pattern: TopicPattern | None = None, target: str | None = None, event_id: int | None = None
    ) -> int:
        """Queue matching dead letters again with a fresh set of attempts. Answers how many."""
        return await self._settle(DeliveryState.QUEUED, pattern, target, event_id)

    async def drop(
        self, *, pattern: TopicPattern | None = None, target: str | None = None, event_id: int | None = None
    ) -> int:
        """Give matching dead letters up. Their events keep the status ``dead``. Answers how many."""
        return await self._settle(DeliveryState.DROPPED, pattern, target, event_id)

    async def _settle(
        self, state: DeliveryState, pattern: TopicPattern | None, target: str | None, event_id: int | None
    ) -> int:
        total = 0
        after: tuple[int, str] | None = None
        while True:
            page, more = await self.page(
                pattern=pattern, target=target, event_id=event_id, after=after, limit=PAGE
            )
            chosen = [(letter.id, letter.target) for letter in page]
            if chosen:
                now = to_iso(self._clock.wall())
                moved = await self._store.write(
                    lambda ledger, chosen=chosen, now=now: ledger.settle_dead(chosen, state.value, now)  # type: ignore[misc]
                )
                self._dispatcher.counts[DeliveryState.DEAD] -= sum(moved.values())
                if state is DeliveryState.QUEUED:
                    self._dispatcher.take_stored(moved)
                total += sum(moved.values())
                after = chosen[-1]
            if not more:
                return total
