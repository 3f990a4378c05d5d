"""Events whose time passes: expired visibly, wherever they wait, and never delivered late."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from event_monitor.model import Status
from tests.bus.helpers import Recorder, open_bus, queue, rows, settings


async def _until(condition: object, timeout: float = 10) -> None:
    async with asyncio.timeout(timeout):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - many things may make it true
            await asyncio.sleep(0.005)


async def test_an_event_past_its_ttl_expires_visibly(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with open_bus(tmp_path / "e.db", lambda bus: bus.subscribe("#", recorder, name="r")) as bus:
        kept = await bus.publish("a", {})
        await recorder.entered.wait()
        late = await bus.publish("a", {}, ttl=0.05)
        fine = await bus.publish("a", {}, ttl=60)
        await asyncio.sleep(0.1)
        recorder.gate.set()
        await bus.settled()
        assert bus.pending == 0
        assert bus.store.counters["expired"] == 1
    assert recorder.ids == [kept.id, fine.id]
    assert dict(rows(tmp_path / "e.db", "SELECT id, status FROM events"))[late.id] == Status.EXPIRED


@pytest.mark.parametrize("why", ["the handler is busy", "dispatch is held", "the breaker is open"])
async def test_what_waits_in_memory_expires_when_its_time_has_passed(tmp_path: Path, why: str) -> None:
    recorder = Recorder()
    async with open_bus(
        tmp_path / "e.db", lambda bus: bus.subscribe("#", recorder, name="r"), protect=True
    ) as bus:
        if why == "the handler is busy":
            recorder.gate.clear()
            await bus.publish("a", {})
            await recorder.entered.wait()
        elif why == "dispatch is held":
            bus.dispatcher.hold(True)
        else:
            bus.circuit_breakers["r"].force_open("a person", "repair")
        ids = [(await bus.publish("a", {}, ttl=ttl)).id for ttl in (0.05, 60, 0.1, 1.3)]
        await _until(lambda: bus.store.counters["expired"] == 3)
        stored = dict(rows(tmp_path / "e.db", "SELECT id, status FROM events"))
        assert [stored[event_id] for event_id in ids] == ["expired", "pending", "expired", "expired"]
        recorder.gate.set()
        bus.dispatcher.hold(False)
        bus.circuit_breakers["r"].reset("a person")
        await bus.settled()
    assert [event_id for event_id in recorder.ids if event_id in ids] == [ids[1]]


async def test_events_expire_on_disk_too(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with open_bus(
        tmp_path / "e.db",
        lambda bus: bus.subscribe("#", recorder, name="r"),
        settings=settings(queue=queue(max_in_memory=16)),
    ) as bus:
        await asyncio.gather(*(bus.publish("a", {}) for _ in range(20)))
        await asyncio.gather(*(bus.publish("a", {}, ttl=0.05) for _ in range(50)))
        await _until(lambda: bus.store.counters["expired"] >= 50)
        recorder.gate.set()
        await bus.settled()
        assert bus.pending == 0
    assert len(recorder.ids) == 20
