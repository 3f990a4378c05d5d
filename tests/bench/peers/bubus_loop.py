"""bubus: dispatch to one async handler. It accepts at most 50 queued events, so bursts of 45 are
awaited. ``memory`` stores nothing, ``wal`` appends finished events to a file without fsync."""

import os

os.environ.setdefault("BUBUS_LOGGING_LEVEL", "CRITICAL")
import asyncio
import logging

from bubus import BaseEvent, EventBus
from common import PAYLOAD, answer, arguments, clock

logging.disable(logging.CRITICAL)
BURST = 45


class OrderCreated(BaseEvent):
    payload: dict = {}


async def main():
    directory, variant, seconds = arguments()
    wal = str(directory / "wal.jsonl") if variant == "wal" else None
    bus = EventBus(name="Bench", wal_path=wal, max_history_size=50)
    handled = 0

    async def handler(event: OrderCreated):
        nonlocal handled
        handled += event.payload["order"] > 0

    bus.on(OrderCreated, handler)
    begun = clock()
    sent = 0
    while clock() - begun < seconds:
        events = [bus.dispatch(OrderCreated(payload=PAYLOAD)) for _ in range(BURST)]
        sent += BURST
        await events[-1]
    await bus.wait_until_idle()
    elapsed = clock() - begun
    assert handled == sent, (handled, sent)
    answer(sent, elapsed)
    # Its own tasks swallow the cancellation at the loop's end, so that a run would never return.
    os._exit(0)


asyncio.run(main())
