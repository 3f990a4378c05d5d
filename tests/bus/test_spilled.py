"""A delivery that waits on disk although its event is still queued for another target."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from event_monitor.bus.event_bus import EventBus
from tests.bus.helpers import Recorder, open_bus, queue, rows, settings


async def _spilled(path: Path) -> None:
    """A file as a kill leaves it: one event for ``a`` and ``b``, what ``a`` is owed written down."""
    stuck = Recorder()
    stuck.gate.clear()

    def prepare(bus: EventBus) -> None:
        bus.subscribe("#", stuck, name="a")
        bus.subscribe("#", stuck, name="b")

    async with open_bus(path, prepare) as bus:
        await bus.publish("x", {})
        await stuck.entered.wait()
        await bus.stop(grace=0)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "INSERT INTO deliveries (event_id, target, state, priority, updated_at) "
            "VALUES (1, 'a', 'queued', 2, '')"
        )
    connection.close()


async def test_it_is_delivered_once_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    await _spilled(path)
    a, b = Recorder(), Recorder()

    def prepare(bus: EventBus) -> None:
        bus.subscribe("#", a, name="a")
        bus.subscribe("#", b, name="b")

    async with open_bus(path, prepare) as bus:
        await bus.settled()
        assert bus.pending == 0
    assert (a.ids, b.ids) == ([1], [1])
    assert rows(path, "SELECT status, queued FROM events") == [("delivered", None)]


async def test_once_delivered_it_is_not_owed_again_while_another_target_is_slow(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    await _spilled(path)
    a, b = Recorder(), Recorder()

    def prepare(bus: EventBus) -> None:
        bus.subscribe("#", a, name="a")
        bus.subscribe("#", b, name="b")

    b.gate.clear()
    async with open_bus(path, prepare) as bus:
        await b.entered.wait()
        async with asyncio.timeout(10):
            await a.entered.wait()
        await bus.store.flush()
        assert rows(path, "SELECT status, queued FROM events") == [("pending", 1)]
        await bus.stop(grace=0)
    b.gate.set()
    async with open_bus(path, prepare) as bus:
        await bus.settled()
    assert (a.ids, b.ids) == ([1], [1])
    assert rows(path, "SELECT status, queued FROM events") == [("delivered", None)]


async def test_memory_holds_no_more_than_its_window(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    most: list[int] = []
    async with open_bus(
        tmp_path / "e.db",
        lambda bus: bus.subscribe("#", recorder, name="r"),
        settings=settings(queue=queue(max_in_memory=16)),
    ) as bus:
        await asyncio.gather(*(bus.publish("a", {}) for _ in range(300)))
        bus.dispatcher.on_settled = lambda *told: most.append(bus.dispatcher.window.count)
        recorder.gate.set()
        await bus.settled()
    assert len(recorder.ids) == len(most) == 300
    assert max(most) <= 16
