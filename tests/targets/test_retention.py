"""Retention, on a real store: what goes, what stays, and what a publisher notices."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus.event_bus import EventBus
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
    clock = Ticking(days_ahead)
    return StoreRetention(bus.store, clock, **{"days": 30.0, "pause": 0.0, "batch_seconds": 1e9, **options})


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


async def test_a_transaction_ends_when_its_time_is_up_and_the_next_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    parts: list[Forgotten] = []
    async with open_bus(path, logged) as bus:
        for _ in range(10):
            await bus.publish("a.b")
        await bus.settled()
        slow = retention(bus, 31, on_forgotten=parts.append, batch_seconds=4.0)
        assert await slow.run() == Forgotten(10, 0)
    assert [part.events for part in parts] == [4, 4, 2]


async def test_an_event_that_is_queued_again_after_it_was_found_stays(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, logged) as bus:
        for _ in range(3):
            await bus.publish("a.b")
        await bus.settled()

        def queue_again(part: Forgotten) -> None:
            bus.store.change(
                lambda ledger: ledger.connection.execute("UPDATE events SET status = 'pending' WHERE id = 2")
            )

        assert await retention(bus, 31, batch_seconds=0.0, on_forgotten=queue_again).run() == Forgotten(2, 0)
        assert ids(path) == [2]


async def test_a_cancelled_run_is_taken_up_again_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, logged) as bus:
        for _ in range(10):
            await bus.publish("a.b")
        await bus.settled()
        first = asyncio.Event()
        slow = retention(bus, 31, batch_seconds=3.0, pause=60.0, on_forgotten=lambda part: first.set())
        run = asyncio.create_task(slow.run())
        await first.wait()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        assert ids(path) == list(range(4, 11))
        assert await retention(bus, 31).run() == Forgotten(7, 0)


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


async def test_a_publisher_waits_for_no_more_than_one_short_transaction(tmp_path: Path) -> None:
    """The figure of design section 4 with room for a busy machine: what is held is bounded."""
    path = tmp_path / "events.db"
    held: list[float] = []
    async with open_bus(path, logged) as bus:
        await asyncio.gather(*(bus.publish("a.b", {"text": "x" * 2_000}) for _ in range(4_000)))
        await bus.settled()
        clock = Ahead(31)
        loop = asyncio.get_running_loop()
        clock.monotonic = loop.time  # type: ignore[method-assign]
        running = StoreRetention(bus.store, clock, days=30, batch_seconds=0.01, pause=0.0)
        original = running._forget

        def timed(*arguments: Any) -> Any:
            begun = time.thread_time()
            try:
                return original(*arguments)
            finally:
                held.append(time.thread_time() - begun)

        running._forget = timed  # type: ignore[method-assign]
        assert await running.run() == Forgotten(4_000, 0)
    assert len(held) > 1 and max(held) < 0.05
