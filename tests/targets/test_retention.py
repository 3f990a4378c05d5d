"""Retention, on a real store: what goes, what stays, and what a publisher notices."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus.event_bus import EventBus
from event_monitor.config import StoreSettings
from event_monitor.targets.retention import Forgotten, StoreRetention
from tests.bus.helpers import open_bus, rows, rules

DAY = 86_400.0


@dataclass
class Ahead:
    """A clock so many days ahead of the real one."""

    days: float

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return time.time() + self.days * DAY

    steady = wall


class Ticking(Ahead):
    """Each look at it takes a second."""

    now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


def retention(bus: EventBus, days_ahead: float, **options: Any) -> StoreRetention:
    limits = StoreSettings(**options.pop("limits", {}))
    return StoreRetention(
        bus.store, Ticking(days_ahead), limits, **{"pause": 0.0, "step_seconds": 1e9, **options}
    )


async def accept(batch: Any) -> None:
    assert batch


def logged(bus: EventBus) -> None:
    bus.add_target("log", accept, batch_size=256)


def ids(path: Path) -> list[int]:
    return [row[0] for row in rows(path, "SELECT id FROM events ORDER BY id")]


@pytest.mark.parametrize(("days_ahead", "left"), [(29.9, 3), (30.1, 0)])
async def test_events_go_at_the_age_of_the_retention(tmp_path: Path, days_ahead: float, left: int) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, logged) as bus:
        for _ in range(3):
            await bus.publish("a.b", {"x": 1})
        await bus.settled()
        assert await retention(bus, days_ahead).run() == Forgotten(3 - left, 0)
        assert len(ids(path)) == left
        assert (bus.store.counters["accepted"], bus.pending) == (3, 0)


async def test_what_is_pending_stays_and_a_dead_letter_goes_with_its_event(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    forgotten: list[Forgotten] = []
    gate = asyncio.Event()

    async def refuse_or_wait(event: Any) -> None:
        if event.payload.get("wait"):
            await gate.wait()
        elif event.payload.get("fail"):
            raise ValueError("no")

    def prepare(bus: EventBus) -> None:
        logged(bus)
        bus.subscribe("#", refuse_or_wait, name="w")

    async with open_bus(path, prepare) as bus:
        dead = asyncio.Event()
        bus.dispatcher.on_dead = lambda record, target, error: dead.set()
        await bus.publish("a.b", {"fail": True})
        await dead.wait()
        await bus.publish("a.b")
        await bus.settled()
        await bus.publish("a.b", {"wait": True})
        await bus.publish("a.b")
        result = await retention(bus, 31, on_forgotten=forgotten.append).run()
        assert result == Forgotten(2, 1)
        assert sum(part.dead_letters for part in forgotten) == 1
        assert ids(path) == [3, 4]
        assert rows(path, "SELECT COUNT(*) FROM deliveries WHERE state = 'dead'") == [(0,)]
        gate.set()
        await bus.settled()
        assert bus.pending == 0


async def test_no_id_is_used_twice_after_everything_was_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, logged) as bus:
        for _ in range(5):
            last = await bus.publish("a.b")
        await bus.settled()
        await retention(bus, 31).run()
        assert ids(path) == []
    async with open_bus(path, logged) as bus:
        assert (await bus.publish("a.b")).id > last.id
        assert bus.store.counters["accepted"] == 6


async def test_a_step_does_less_when_the_one_before_took_too_long(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    parts: list[Forgotten] = []
    async with open_bus(path, logged) as bus:
        for _ in range(100):
            await bus.publish("a.b")
        await bus.settled()
        # Each takes a second, of which it may take half: 32 events at first, then 16, then never below 8.
        slow = retention(bus, 31, on_forgotten=parts.append, step_seconds=0.5)
        assert await slow.run() == Forgotten(100, 0)
    assert [part.events for part in parts[:5]] == [32, 16, 8, 8, 8]


async def test_an_event_that_is_queued_again_after_it_was_found_stays(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, logged) as bus:
        for _ in range(40):
            await bus.publish("a.b")
        await bus.settled()

        def queue_again(part: Forgotten) -> None:
            bus.store.change(
                lambda ledger: ledger.connection.execute("UPDATE events SET status = 'pending' WHERE id = 40")
            )

        assert await retention(bus, 31, on_forgotten=queue_again).run() == Forgotten(39, 0)
        assert ids(path) == [40]


async def test_a_cancelled_run_is_taken_up_again_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, logged) as bus:
        for _ in range(40):
            await bus.publish("a.b")
        await bus.settled()
        first = asyncio.Event()
        slow = retention(bus, 31, pause=60.0, on_forgotten=lambda part: first.set())
        run = asyncio.create_task(slow.run())
        await first.wait()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        assert ids(path) == list(range(33, 41))
        assert await retention(bus, 31).run() == Forgotten(8, 0)


async def test_thousands_of_old_pending_events_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    gate = asyncio.Event()

    async def held(batch: Any) -> None:
        await gate.wait()

    def prepare(bus: EventBus) -> None:
        logged(bus)
        bus.add_target("held", held)

    async with open_bus(path, prepare, rules=rules({"wait.for": ["held"]}, "held")) as bus:
        concluded = asyncio.Event()
        bus.dispatcher.on_settled = lambda record: concluded.set()
        await asyncio.gather(*(bus.publish("wait.for") for _ in range(1_200)))
        await bus.publish("go")
        await concluded.wait()
        await bus.store.flush()
        assert await retention(bus, 31).run() == Forgotten(1, 0)
        assert len(ids(path)) == 1_200
        gate.set()
