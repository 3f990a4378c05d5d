"""A handler waits for what it published; waits in a circle are found at once, named and broken."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus import within
from event_monitor.bus.event_bus import EventBus
from event_monitor.config import RetrySettings, TargetSettings
from event_monitor.errors import InvalidRequest, NotFound
from event_monitor.model import Event, Status
from event_monitor.resilience.waits import Deadlock
from tests.bus.helpers import FAST_RETRY, open_bus, rows

ONCE = TargetSettings(retry=RetrySettings(max_retries=0))
TWO_AT_A_TIME = TargetSettings(concurrency=2, retry=RetrySettings(max_retries=0))


class Log:
    """What a bus reported, with the seconds since its start."""

    def __init__(self, bus: EventBus) -> None:
        self.deadlocks: list[Deadlock] = []
        self.dead: list[tuple[str, str]] = []
        bus.waits.on_deadlock = self.deadlocks.append
        bus.dispatcher.on_dead = lambda record, target, error: self.dead.append((target, error))


async def publish_and_wait(event_type: str) -> Status:
    receipt = await within.publish(event_type)
    return await within.outcome(receipt.id)


async def test_a_handler_learns_what_became_of_the_event_that_it_published(tmp_path: Path) -> None:
    ends: dict[str, Status] = {}

    async def asks(event: Event) -> None:
        for kind in ("ok", "bad", "nobody"):
            ends[kind] = await publish_and_wait(f"work.{kind}")

    async def works(event: Event) -> None:
        if event.event_type == "work.bad":
            raise ValueError("no")

    async with open_bus(tmp_path / "events.db") as bus:
        log = Log(bus)
        bus.subscribe("ask", asks, name="asks")
        bus.subscribe("work.ok", works, name="works", settings=FAST_RETRY)
        bus.subscribe("work.bad", works, name="fails", settings=FAST_RETRY)
        receipt = await bus.publish("ask")
        async with asyncio.timeout(10):
            assert await bus.outcome(receipt.id) is Status.DELIVERED
        assert ends == {"ok": Status.DELIVERED, "bad": Status.DEAD, "nobody": Status.DELIVERED}
        assert await bus.outcome(receipt.id) is Status.DELIVERED, "what is over is answered at once"
        assert not log.deadlocks and not bus.dispatcher.outcomes.awaited and not bus.waits.waits


async def test_an_unknown_event_and_a_call_outside_a_handler_are_refused(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        with pytest.raises(NotFound):
            await bus.outcome(99)
        with pytest.raises(InvalidRequest):
            await within.outcome(1)


async def test_scenario_31_two_handlers_that_wait_for_each_other_are_broken_by_the_newest(
    tmp_path: Path,
) -> None:
    seen: list[Any] = []

    async def first(event: Event) -> None:
        seen.append(await publish_and_wait("b"))

    async def second(event: Event) -> None:
        await publish_and_wait("a")

    path = tmp_path / "events.db"
    async with open_bus(path) as bus:
        log = Log(bus)
        bus.subscribe("a", first, name="first", settings=ONCE)
        bus.subscribe("b", second, name="second", settings=ONCE)
        began = asyncio.get_running_loop().time()
        receipt = await bus.publish("a")
        async with asyncio.timeout(10):
            assert await bus.outcome(receipt.id) is Status.DELIVERED
        assert asyncio.get_running_loop().time() - began < 5
        assert seen[0] is Status.DEAD, "the one that waited first learns that the other failed"
        assert [target for target, _ in log.dead] == ["second"] * len(log.deadlocks)
        assert "DeadlockBroken" in log.dead[0][1]
        newest, oldest = log.deadlocks[0].waits
        assert newest.task.startswith("target-second (event") and "second" in oldest.awaited
        assert oldest.task.startswith("target-first (event")
        assert any("in test_scenario_31" in line for line in newest.stack), newest.stack
        assert any("in test_scenario_31" in line for line in oldest.stack), oldest.stack
        found = rows(path, "SELECT errors FROM deliveries WHERE target = 'second' AND state = 'dead'")
        assert "waits for the outcome of event" in found[0][0]


async def test_waiting_for_an_event_that_is_queued_behind_oneself_is_a_deadlock(tmp_path: Path) -> None:
    """No handler waits for another here: it is the lane's one place that both need."""
    handled: list[str] = []

    async def only(event: Event) -> None:
        if event.event_type == "outer":
            await publish_and_wait("inner")
        handled.append(event.event_type)

    async with open_bus(tmp_path / "events.db") as bus:
        log = Log(bus)
        bus.subscribe("*", only, name="only", settings=ONCE)
        receipt = await bus.publish("outer")
        async with asyncio.timeout(10):
            assert await bus.outcome(receipt.id) is Status.DEAD
            await bus.settled()
        assert len(log.deadlocks) == 1 and handled == ["inner"], "the lane goes on"


async def test_a_second_place_in_the_lane_makes_the_same_wait_harmless(tmp_path: Path) -> None:
    """Even while the inner event is in nobody's hands, for it waits to be tried again."""
    tried: list[int] = []

    async def handler(event: Event) -> None:
        if event.event_type == "outer":
            assert await publish_and_wait("inner") is Status.DELIVERED
            return
        tried.append(event.id)
        if len(tried) == 1:
            raise ValueError("not yet")

    async with open_bus(tmp_path / "events.db") as bus:
        log = Log(bus)
        retry = RetrySettings(strategy="fixed", max_retries=1, max_delay=0.4, jitter=0)
        bus.subscribe("*", handler, name="only", settings=TargetSettings(concurrency=2, retry=retry))
        receipt = await bus.publish("outer")
        async with asyncio.timeout(10):
            assert await bus.outcome(receipt.id) is Status.DELIVERED
        assert len(tried) == 2 and not log.deadlocks


async def test_both_places_taken_by_waiters_are_a_deadlock_that_one_of_them_ends(tmp_path: Path) -> None:
    ends: list[Status] = []
    gate = asyncio.Event()

    async def handler(event: Event) -> None:
        if event.event_type == "outer":
            if event.payload["number"] == 1:
                await gate.wait()
            gate.set()
            ends.append(await publish_and_wait("inner"))

    async with open_bus(tmp_path / "events.db") as bus:
        log = Log(bus)
        bus.subscribe("*", handler, name="only", settings=TWO_AT_A_TIME)
        receipts = [await bus.publish("outer", {"number": number}) for number in (1, 2)]
        async with asyncio.timeout(10):
            found = {await bus.outcome(receipt.id) for receipt in receipts}
        assert found == {Status.DELIVERED, Status.DEAD}
        assert len(log.deadlocks) == 1 and ends == [Status.DELIVERED]


async def test_what_the_own_lane_has_settled_already_is_not_waited_for(tmp_path: Path) -> None:
    """The delivery here is done in memory only, for another target still works on the event."""
    release = asyncio.Event()
    done = asyncio.Event()
    ids: list[int] = []

    async def quick(event: Event) -> None:
        if event.event_type == "later":
            asyncio.get_running_loop().call_later(0.1, release.set)
            assert await within.outcome(ids[0]) is Status.DELIVERED
            done.set()

    async def slow(event: Event) -> None:
        await release.wait()

    async with open_bus(tmp_path / "events.db") as bus:
        log = Log(bus)
        bus.subscribe("*", quick, name="quick", settings=ONCE)
        bus.subscribe("both", slow, name="slow", settings=ONCE)
        ids.append((await bus.publish("both")).id)
        await bus.publish("later")
        async with asyncio.timeout(10):
            await done.wait()
        assert not log.deadlocks


async def test_what_was_settled_a_moment_ago_is_not_taken_for_a_deadlock(tmp_path: Path) -> None:
    """The lane settles the first event and begins the second before the disk has heard of it."""
    ends: list[Status] = []

    async def handler(event: Event) -> None:
        if event.event_type == "second":
            ends.append(await within.outcome(event.payload["first"]))

    async with open_bus(tmp_path / "events.db") as bus:
        log = Log(bus)
        bus.subscribe("*", handler, name="only", settings=ONCE)
        first, receipt = bus.submit("first")
        second, _ = bus.submit("second", {"first": receipt.id})
        await asyncio.gather(first, second)
        async with asyncio.timeout(10):
            await bus.settled()
        assert ends == [Status.DELIVERED] and not log.deadlocks


async def test_a_cancelled_wait_leaves_nothing_behind(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def slow(event: Event) -> None:
        await gate.wait()

    async with open_bus(tmp_path / "events.db") as bus:
        bus.subscribe("a", slow, name="slow", settings=ONCE)
        receipt = await bus.publish("a")
        waiters = [asyncio.create_task(bus.outcome(receipt.id)) for _ in range(3)]
        while len(bus.waits.waits) < 3:  # noqa: ASYNC110 - the reads go through a thread
            await asyncio.sleep(0.001)
        waiters[0].cancel()
        gate.set()
        async with asyncio.timeout(10):
            results = await asyncio.gather(*waiters, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == [Status.DELIVERED] * 2
        assert not bus.dispatcher.outcomes.awaited and not bus.waits.waits
