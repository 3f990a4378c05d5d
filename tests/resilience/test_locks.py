"""Waits, locks and deadlocks on virtual time: a circle is found the moment it is closed, and broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from event_monitor.resilience.locks import TrackedLock
from event_monitor.resilience.waits import Deadlock, DeadlockBroken, WaitGraph, current_waits
from tests.virtual import run_virtual

Body = Callable[["Scene"], Coroutine[Any, Any, None]]


class Scene:
    """A graph, two locks, and what was reported."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.graph = WaitGraph(self.loop.time)
        self.found: list[tuple[float, Deadlock]] = []
        self.graph.on_deadlock = lambda deadlock: self.found.append((self.loop.time(), deadlock))
        current_waits.set(self.graph)
        self.first = TrackedLock("first")
        self.second = TrackedLock("second")

    def take(self, name: str, one: TrackedLock, other: TrackedLock) -> asyncio.Task[str]:
        async def body() -> str:
            async with one:
                await asyncio.sleep(1)
                async with other:
                    return name

        return asyncio.create_task(body(), name=name)


def in_scene(body: Body) -> None:
    async def main() -> None:
        await body(Scene())

    run_virtual(main)


def test_scenario_31_a_lock_order_inversion_names_both_tasks_at_once_and_the_newest_waiter_is_told() -> None:
    async def body(scene: Scene) -> None:
        began = scene.loop.time()
        tasks = [
            scene.take("uploader", scene.first, scene.second),
            scene.take("indexer", scene.second, scene.first),
        ]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[0] == "uploader"
        assert isinstance(results[1], DeadlockBroken)
        assert "indexer waits for the lock first" in str(results[1])
        assert "uploader waits for the lock second" in str(results[1])
        [(at, deadlock)] = scene.found
        assert at - began == 1.0, "found when the last wait began, not by looking later"
        assert {one.task for one in deadlock.waits} == {"uploader", "indexer"}
        assert all("test_locks.py" in " ".join(one.stack) for one in deadlock.waits)
        assert not scene.first.locked() and not scene.second.locked() and not scene.graph.waits

    in_scene(body)


def test_a_lock_taken_twice_by_one_task_is_a_deadlock_with_itself() -> None:
    async def body(scene: Scene) -> None:
        async with scene.first:
            with pytest.raises(DeadlockBroken):
                await scene.first.acquire()
            assert scene.first.locked()
        assert not scene.first.locked()

    in_scene(body)


def test_a_helper_task_that_is_awaited_closes_the_circle_too() -> None:
    async def body(scene: Scene) -> None:
        async with scene.first:
            helper = asyncio.create_task(scene.first.acquire(), name="helper")
            results = await asyncio.gather(helper, return_exceptions=True)
            assert isinstance(results[0], DeadlockBroken)

    in_scene(body)


def test_a_helper_task_that_nobody_awaits_is_no_deadlock_until_somebody_does() -> None:
    async def body(scene: Scene) -> None:
        await scene.first.acquire()
        helper = asyncio.create_task(scene.first.acquire(), name="helper")
        await asyncio.sleep(1)
        scene.graph.check()
        assert not scene.found
        scene.loop.call_later(1, scene.graph.check)
        with pytest.raises(DeadlockBroken):
            await helper

    in_scene(body)


def test_waiting_in_a_row_is_no_deadlock_and_keeps_the_order() -> None:
    async def body(scene: Scene) -> None:
        order: list[int] = []

        async def one(number: int) -> None:
            async with scene.first:
                await asyncio.sleep(0.1)
                order.append(number)

        await asyncio.gather(*(one(number) for number in range(50)))
        assert order == list(range(50)) and not scene.found and not scene.graph.held

    in_scene(body)


def test_no_cancellation_loses_the_lock() -> None:
    async def body(scene: Scene) -> None:
        for step in range(6):
            await scene.first.acquire()
            waiters = [asyncio.create_task(scene.first.acquire()) for _ in range(3)]
            await asyncio.sleep(0)
            if step % 2:
                scene.first.release()
            waiters[0].cancel()
            await asyncio.sleep(0)
            if not step % 2:
                scene.first.release()
            await waiters[1]
            scene.first.release()
            await waiters[2]
            scene.first.release()
            assert not scene.first.locked() and not scene.graph.held and not scene.graph.waits

    in_scene(body)


def test_nobody_slips_in_while_the_lock_is_handed_on() -> None:
    async def body(scene: Scene) -> None:
        await scene.first.acquire()
        waiter = asyncio.create_task(scene.first.acquire(), name="next in line")
        await asyncio.sleep(0)
        barger = asyncio.create_task(scene.first.acquire())
        scene.first.release()
        await waiter
        await asyncio.sleep(1)
        assert scene.first.owner is waiter and not barger.done()
        scene.first.release()
        await barger

    in_scene(body)


def test_without_a_graph_it_is_a_lock_all_the_same() -> None:
    async def main() -> None:
        lock = TrackedLock("alone")
        inside = 0

        async def one() -> None:
            nonlocal inside
            async with lock:
                inside += 1
                assert inside == 1
                await asyncio.sleep(0.1)
                inside -= 1

        await asyncio.gather(*(one() for _ in range(5)))
        with pytest.raises(RuntimeError, match="not held"):
            lock.release()

    run_virtual(main)


def test_ten_thousand_waiters_for_one_lock_are_no_burden() -> None:
    async def body(scene: Scene) -> None:
        await scene.first.acquire()
        waiters = [asyncio.create_task(scene.first.acquire()) for _ in range(10_000)]
        await asyncio.sleep(0)
        scene.graph.check()
        assert len(scene.graph.waits) == 10_000 and not scene.found
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        scene.first.release()
        assert not scene.first.locked()

    in_scene(body)
