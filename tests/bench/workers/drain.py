"""Drains a backlog with a handler that only counts.

``python -m tests.bench.workers.drain DIRECTORY DURABILITY COUNT``. The first delivery is timed from
before the store is opened, the drain from the bus's start until all is settled.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.inflight import Pending
from event_monitor.config import QueueSettings, Settings, StoreSettings
from tests.bench.backlog import fill

PAGE = os.sysconf("SC_PAGE_SIZE")
BATCH = 256


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def run(directory: Path, durability: str, count: int) -> dict[str, float]:
    settings = Settings(
        store=StoreSettings(durability=durability),  # type: ignore[arg-type]
        queue=QueueSettings(max_backlog=2_000_000),
    )
    path = directory / "events.db"
    fill(path, count)
    async with await EventBus.open(directory / "empty.db", settings=settings):
        empty = resident()
    clock = time.perf_counter
    first: float | None = None
    handled = 0
    largest = 0
    done = asyncio.Event()

    async def handle(batch: Sequence[Pending]) -> None:
        nonlocal first, handled, largest
        if first is None:
            first = clock()
        handled += len(batch)
        if handled == count:
            done.set()
        if handled % (16 * BATCH) < BATCH:
            largest = max(largest, resident())

    begun = clock()
    bus = await EventBus.open(path, settings=settings)
    bus.add_target("log", handle, batch_size=BATCH)
    async with bus:
        started = clock()
        await done.wait()
        while bus.pending:
            await bus.store.flush()
        elapsed = clock() - started
        assert handled == count == bus.store.counters["delivered"], (handled, count)
    assert first is not None
    return {
        "events_per_s": count / elapsed,
        "seconds": elapsed,
        "first_delivery_ms": (first - begun) * 1_000,
        "over_empty_mb": (max(largest, resident()) - empty) / 2**20,
    }


if __name__ == "__main__":
    _, where, durability, count = sys.argv
    print(json.dumps(asyncio.run(run(Path(where), durability, int(count)))))
