"""Our bus end to end: publish, commit, route, handle, settle.

``python -m tests.bench.workers.bus_throughput DIRECTORY DURABILITY SECONDS PUBLISHERS BATCH``.
Each publisher waits until its batch is on disk before it publishes the next one. The clock stops
when every event is handled and its settlement is committed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.inflight import Pending
from event_monitor.bus.lane import single
from event_monitor.bus.rules import load_rules
from event_monitor.config import Settings, StoreSettings
from event_monitor.steady import settle_down
from tests.bench.measure import PAYLOAD, percentiles

RULES = {
    "mcp.server.down": ["other"],
    "command.#": {"targets": ["other"], "filter": {"path": "$.exit_code", "regex": "^[1-9]"}},
    "order.*": ["handler"],
    "*.failed": ["other"],
    "system.#": ["other"],
}


async def run(
    directory: Path, durability: str, seconds: float, publishers: int, batch: int
) -> dict[str, float]:
    settings = Settings(store=StoreSettings(durability=durability))  # type: ignore[arg-type]
    rules = load_rules(json.dumps({"routing": RULES}), "rules.json", {"log", "handler", "other"})
    # The program does so, too, once it has started.
    settle_down()
    bus = await EventBus.open(directory / "events.db", settings=settings, rules=rules)
    clock = time.perf_counter
    handled = 0
    waits: list[float] = []

    async def handle(delivery: Pending) -> None:
        nonlocal handled
        handled += delivery.record.event.payload["order"] > 0

    async def ignore(batch: Sequence[Pending]) -> None:
        raise AssertionError("no rule leads here")

    bus.add_target("handler", single(handle))
    for name in ("other", "log"):
        bus.add_target(name, ignore)
    async with bus:
        begun = clock()
        end = begun + seconds

        async def publisher(number: int) -> int:
            sent = 0
            while (asked := clock()) < end:
                event_type = f"order.t{number % 20}"
                if batch == 1:
                    await bus.publish(event_type, PAYLOAD)
                else:
                    submitted = [bus.submit(event_type, PAYLOAD) for _ in range(batch)]
                    await asyncio.wait([future for future, _ in submitted])
                waits.append(clock() - asked)
                sent += batch
            return sent

        sent = sum(await asyncio.gather(*(publisher(number) for number in range(publishers))))
        await bus.settled()
        elapsed = clock() - begun
        assert handled == sent == bus.store.counters["delivered"], (handled, sent)
    return {
        "events_per_s": sent / elapsed,
        "events": sent,
        "seconds": elapsed,
        **{f"publish_{name}": value for name, value in percentiles(waits).items()},
    }


if __name__ == "__main__":
    _, where, durability, seconds, publishers, batch = sys.argv
    answer = asyncio.run(run(Path(where), durability, float(seconds), int(publishers), int(batch)))
    print(json.dumps(answer))
