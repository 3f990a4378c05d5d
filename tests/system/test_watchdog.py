"""What stands still, hangs or is lost is named in an alert within a second, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_monitor.config import RetrySettings, TargetSettings
from event_monitor.model import Event, Severity, SystemState
from event_monitor.resilience.locks import TrackedLock
from event_monitor.resilience.timeouts import MAX_ABANDONED
from tests.system.watching import watched
from tests.virtual import database_counted, run_virtual

FIVE_SECONDS = TargetSettings(timeout=5.0, retry=RetrySettings(max_retries=0))


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with database_counted(monkeypatch):
        yield


def test_scenario_23_a_handler_that_swallows_its_cancellation_is_named_and_listed(tmp_path: Path) -> None:
    async def deaf(event: Event) -> None:
        end = asyncio.get_running_loop().time() + 60
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        async with watched(tmp_path) as scene:
            scene.bus.subscribe("a", deaf, name="deaf", settings=FIVE_SECONDS)
            began = asyncio.get_running_loop().time()
            receipt = await scene.bus.publish("a")
            await asyncio.sleep(5.1)
            overdue = scene.told("past its deadline")
            assert "deaf" in overdue.title and "test_watchdog.py" in overdue.detail
            assert overdue.event_id == receipt.id
            await asyncio.sleep(0.5)
            lane = scene.bus.dispatcher.lanes["deaf"]
            assert lane.failed == 1 and len(lane.abandoned) == 1
            await scene.look()
            assert asyncio.get_running_loop().time() - began < 5.5 + 1.0
            zombie = scene.told("ignores its cancellation")
            assert "deaf" in zombie.title and "in test_scenario_23" in zombie.detail
            [task] = [task for task in scene.dog.tasks.report().tasks if task.state == "left behind"]
            assert task.name == "target-deaf" and task.age is not None and task.age < 1
            await scene.look(5)
            assert scene.told("ignores its cancellation").count == 1, "told once"

    run_virtual(main)


def test_scenario_23_a_handler_with_a_hundred_calls_left_behind_is_called_no_more(tmp_path: Path) -> None:
    called = 0
    release = asyncio.Event()

    async def deaf(event: Event) -> None:
        nonlocal called
        called += 1
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        async with watched(tmp_path) as scene:
            many = TargetSettings(timeout=1.0, concurrency=50, retry=RetrySettings(max_retries=0))
            scene.bus.subscribe("a", deaf, name="deaf", settings=many)
            for _ in range(MAX_ABANDONED + 20):
                await scene.bus.publish("a")
            await asyncio.sleep(10)
            lane = scene.bus.dispatcher.lanes["deaf"]
            assert called == len(lane.abandoned) == MAX_ABANDONED and lane.failed == MAX_ABANDONED + 20
            release.set()
            await asyncio.sleep(1)
            assert not lane.abandoned

    run_virtual(main)


def test_a_lock_that_is_held_too_long_is_told_once_with_its_owner(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as scene:
            lock = TrackedLock("ledger", limit=2.0, waits=scene.bus.waits)

            async def hold() -> None:
                async with lock:
                    await asyncio.sleep(60)

            owner = asyncio.create_task(hold(), name="hoarder")
            await scene.look(4)
            assert not scene.titles
            await scene.look(2)
            alert = scene.told("The lock ledger is held too long")
            assert "hoarder" in alert.detail and "in test_a_lock" in alert.detail
            await scene.look(10)
            assert scene.told("is held too long").count == 1
            [known] = scene.dog.tasks.report().locks
            assert known.owner == "hoarder" and known.held > 2
            owner.cancel()

    run_virtual(main)


def test_a_queue_that_does_not_move_is_told_within_two_seconds_and_is_over_when_it_does(
    tmp_path: Path,
) -> None:
    """The planted fault: the lane's workers are never woken."""
    handled: list[int] = []

    async def handler(event: Event) -> None:
        handled.append(event.id)

    async def main() -> None:
        async with watched(tmp_path) as scene:
            scene.bus.subscribe("a", handler, name="sleepy", settings=FIVE_SECONDS)
            lane = scene.bus.dispatcher.lanes["sleepy"]
            await asyncio.sleep(0)
            wake, lane.wake = lane.wake, lambda: None  # type: ignore[method-assign]
            await scene.bus.publish("a")
            await scene.look(4)
            alert = scene.told("Target sleepy does not move")
            assert alert.severity is Severity.CRITICAL and "1 deliveries wait" in alert.detail
            await scene.driver.settle()
            assert scene.machine.state is SystemState.DEGRADED
            lane.wake = wake  # type: ignore[method-assign]
            lane.wake()
            await scene.look(2)
            await scene.driver.settle()
            assert handled and not scene.titles
            assert scene.machine.state is SystemState.HEALTHY

    run_virtual(main)


@pytest.mark.parametrize("why", ["busy", "held", "retrying"])
def test_a_queue_that_waits_for_good_reason_is_not_reported(tmp_path: Path, why: str) -> None:
    async def slow(event: Event) -> None:
        if why == "retrying":
            raise ValueError("not yet")
        await asyncio.sleep(4)

    async def main() -> None:
        waits = TargetSettings(timeout=5.0, retry=RetrySettings(strategy="fixed", max_retries=5))
        async with watched(tmp_path) as scene:
            scene.bus.subscribe("a", slow, name="slow", settings=waits)
            if why == "held":
                scene.bus.dispatcher.hold(True)
            for _ in range(3):
                await scene.bus.publish("a")
            await scene.look(20)
            assert not [title for title in scene.titles if "slow" in title]

    run_virtual(main)


def test_a_worker_that_a_mistake_of_ours_ended_is_replaced_and_told(tmp_path: Path) -> None:
    handled: list[int] = []

    async def handler(event: Event) -> None:
        handled.append(event.id)

    async def main() -> None:
        async with watched(tmp_path) as scene:
            scene.bus.subscribe("a", handler, name="fragile", settings=FIVE_SECONDS)
            lane = scene.bus.dispatcher.lanes["fragile"]
            settle = lane.settle

            def broken(*_: object) -> None:
                lane.settle = settle
                raise RuntimeError("planted")

            lane.settle = broken
            await scene.bus.publish("a")
            second = await scene.bus.publish("a")
            await asyncio.sleep(1)
            assert second.id in handled
            assert "planted" in scene.told("a worker of target fragile").detail

    run_virtual(main)


def test_a_deadlock_is_an_alert_with_the_tasks_and_their_stacks(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as scene:
            locks = [TrackedLock(name, waits=scene.bus.waits) for name in ("one", "two")]

            async def take(first: TrackedLock, second: TrackedLock) -> None:
                async with first:
                    await asyncio.sleep(1)
                    async with second:
                        pass

            tasks = [
                asyncio.create_task(take(*locks), name="forward"),
                asyncio.create_task(take(*reversed(locks)), name="backward"),
            ]
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert results[0] is None and results[1] is not None
            detail = scene.told("A deadlock was broken").detail
            assert "backward waits for the lock one" in detail
            assert "forward waits for the lock two" in detail
            assert "backward was told" in detail and "test_watchdog.py" in detail

    run_virtual(main)
