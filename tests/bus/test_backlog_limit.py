"""What counts against the backlog's limit while the disk has not answered yet."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from event_monitor.config import QueueSettings, Settings
from event_monitor.errors import BusFull, StoreUnavailable
from tests.bus.helpers import Recorder, open_bus

THREE = Settings(queue=QueueSettings(max_backlog=3, reserve=0))


async def test_what_the_disk_refused_does_not_count(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db", settings=THREE) as bus:
        await bus.store._writer.run(lambda c: c.execute("PRAGMA query_only = 1").fetchone())
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                await bus.publish("a", {})
        await bus.store._writer.run(lambda c: c.execute("PRAGMA query_only = 0").fetchone())
        assert (await bus.publish("a", {})).status == "accepted"


async def test_a_publisher_that_gives_up_still_counts_until_its_event_is_on_disk(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with open_bus(
        tmp_path / "events.db", lambda bus: bus.subscribe("#", recorder, name="r"), settings=THREE
    ) as bus:
        submitted = [bus.submit("a", {})[0] for _ in range(3)]
        for future in submitted:
            future.cancel()
        await asyncio.sleep(0)
        with pytest.raises(BusFull):
            bus.submit("a", {})
        await bus.store.flush()
        with pytest.raises(BusFull):
            bus.submit("a", {})
        recorder.gate.set()
        await bus.settled()
        assert (await bus.publish("a", {})).status == "accepted"
    assert len(recorder.ids) == 4
