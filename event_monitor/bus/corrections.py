"""Publishing an event again with another payload, in place of its dead letters."""

from __future__ import annotations

import asyncio
from typing import Any

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.history import read_event
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.storms import GO_ON
from event_monitor.clock import to_iso
from event_monitor.errors import Conflict, EventMonitorError, NotFound
from event_monitor.model import DeliveryState
from event_monitor.replies.dead_letters import Corrected

_ADVICE = "event-cli dlq list shows which have"


async def correct(
    bus: EventBus,
    event_id: int,
    payload: dict[str, Any],
    *,
    target: str | None = None,
    rerouted: bool = False,
) -> Corrected:
    """Publish the event with ``payload`` and drop its dead letters, or that of ``target``, in one
    transaction: whenever the process dies, both happened or neither.

    The new event is caused by the old one. It goes to the targets whose letters it replaces, which have
    seen nothing of it; with ``rerouted`` wherever such an event would go now. Its idempotency key is its
    own: the old one stays that of the old event. Raises ``NotFound``, ``Conflict`` if somebody dealt
    with the letters meanwhile, and as ``publish`` does; then nothing has changed.
    """
    await bus.store.catch_up()
    found = await bus.store.read(lambda connection: read_event(connection, event_id))
    if found is None:
        raise NotFound(f"no event has the number {event_id}", "it may have passed the retention")
    event, _, deliveries = found
    letters = [
        (event_id, delivery.target)
        for delivery in deliveries
        if delivery.state is DeliveryState.DEAD and target in (None, delivery.target)
    ]
    if not letters:
        of = f" of {target[:80]}" if target else ""
        raise NotFound(f"event {event_id} has no dead letter{of}", _ADVICE)

    def drop(ledger: Ledger) -> EventMonitorError | None:
        there = ledger.connection.execute(
            "SELECT target FROM deliveries WHERE event_id = ? AND state = 'dead'", (event_id,)
        )
        gone = {name for _, name in letters} - {name for (name,) in there}
        if gone:
            return Conflict(
                f"the dead letter of {', '.join(sorted(gone))} was dealt with meanwhile", "look at it again"
            )
        ledger.settle_dead(letters, DeliveryState.DROPPED.value, to_iso(bus.clock.wall()))
        return None

    future, receipt = bus.submit(
        event.event_type,
        payload,
        priority=event.priority,
        source=event.source,
        correlation_id=event.correlation_id,
        causation_id=event.id,
        depth=event.depth + 1,
        schema_version=event.schema_version,
        traceparent=event.traceparent,
        targets=None if rerouted else tuple(name for _, name in letters),
        verdict=GO_ON,
        condition=drop,
    )

    def count(done: asyncio.Future[int]) -> None:
        if not done.cancelled() and done.exception() is None:
            bus.dispatcher.counts[DeliveryState.DEAD] -= len(letters)

    future.add_done_callback(count)
    # Whoever gives up waiting does not take it back: the count must follow all the same.
    await asyncio.shield(future)
    return Corrected(
        id=receipt.id,
        event_type=event.event_type,
        priority=event.priority,
        targets=list(receipt.targets),
        corrects=event_id,
        dropped=len(letters),
    )
