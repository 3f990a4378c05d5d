"""Deadlines: whose they are, who inherits them, and calls that ignore them. Time is virtual."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from event_monitor.resilience import DeadlineExceeded, DeadlineScope, TimeoutManager
from event_monitor.resilience.timeouts import (
    GRACE,
    MAX_ABANDONED,
    TIERS,
    TooManyAbandoned,
    child_limit,
    current_deadline,
    remaining,
)
from tests.virtual import run_virtual


def now() -> float:
    return asyncio.get_running_loop().time()


class Stubborn:
    """Swallows every cancellation for ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.cancels = 0
        self.ended_at: float | None = None

    async def __call__(self) -> str:
        until = now() + self.seconds
        while now() < until:
            try:
                await asyncio.sleep(until - now())
            except asyncio.CancelledError:
                self.cancels += 1
        self.ended_at = now()
        return "late"


async def own_timeout() -> None:
    await asyncio.sleep(1)
    raise TimeoutError("the callee's own")


@pytest.mark.parametrize("hard_kill", [False, True])
def test_scenario_07_a_callees_own_timeout_error_stays_the_callees(hard_kill: bool) -> None:
    async def main() -> None:
        manager = TimeoutManager()
        with pytest.raises(TimeoutError, match="the callee's own") as error:
            await manager.run(own_timeout, hard_kill=hard_kill)
        assert not isinstance(error.value, DeadlineExceeded)
        assert manager.counters.expired == 0

        with pytest.raises(TimeoutError, match="the callee's own") as error:
            async with DeadlineScope(30) as scope:
                await own_timeout()
        assert not scope.expired
        assert not isinstance(error.value, DeadlineExceeded)

    run_virtual(main)


@pytest.mark.parametrize("hard_kill", [False, True])
@pytest.mark.parametrize("tier", TIERS)
def test_each_tier_ends_a_call_at_its_limit(tier: str, hard_kill: bool) -> None:
    async def main() -> None:
        manager, started = TimeoutManager(), now()
        with pytest.raises(DeadlineExceeded, match="no answer within"):
            await manager.run(lambda: asyncio.sleep(1e6), tier, hard_kill=hard_kill)
        assert now() - started == pytest.approx(TIERS[tier])
        assert (manager.counters.expired, manager.counters.completed, manager.abandoned) == (1, 0, {})
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        assert current_deadline.get() is None

    run_virtual(main)


def test_scenario_23_a_call_that_swallows_its_cancellation_is_left_behind_and_listed() -> None:
    async def main() -> None:
        manager, handler, started = TimeoutManager(), Stubborn(60), now()
        with pytest.raises(DeadlineExceeded, match="indexer"):
            await manager.run(handler, "critical_path", hard_kill=True, name="indexer")
        assert 5.0 <= now() - started <= 5.6
        (left,) = manager.abandoned.values()
        assert (left.name, left.since, left.task.done()) == ("indexer", now(), False)
        assert (manager.counters.abandoned, handler.cancels) == (1, 1)
        await asyncio.sleep(60)
        assert handler.ended_at == started + 60
        assert manager.abandoned == {}

    run_virtual(main)


def test_scenario_23_after_a_hundred_left_behind_no_further_one_is_begun() -> None:
    async def main() -> None:
        manager = TimeoutManager()

        async def one() -> None:
            with pytest.raises(DeadlineExceeded):
                await manager.run(Stubborn(1_000), 1.0, hard_kill=True)

        await asyncio.gather(*(one() for _ in range(MAX_ABANDONED)))
        begun: list[int] = []
        with pytest.raises(TooManyAbandoned, match="100 calls ignore their cancellation; nightly"):
            await manager.run(lambda: begun.append(1), 1.0, hard_kill=True, name="nightly")
        assert (begun, manager.counters.refused, len(manager.abandoned)) == ([], 1, 100)
        await asyncio.sleep(1_000)
        assert await manager.run(lambda: "again", 1.0, hard_kill=True) == "again"

    run_virtual(main)


def test_scenario_23_a_callers_cancellation_leaves_no_call_behind_unlisted() -> None:
    async def main() -> None:
        manager, handler = TimeoutManager(), Stubborn(60)
        call = asyncio.create_task(manager.run(handler, "critical_path", hard_kill=True, name="indexer"))
        await asyncio.sleep(1)
        started = now()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert now() - started <= 0.5 + 1e-9
        assert [left.name for left in manager.abandoned.values()] == ["indexer"]

    run_virtual(main)


def test_scenario_23_a_callers_cancellation_waits_until_an_orderly_call_has_ended() -> None:
    async def main() -> None:
        manager, cleaned = TimeoutManager(), []

        async def orderly() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.1)
                cleaned.append(now())

        call = asyncio.create_task(manager.run(orderly, "critical_path", hard_kill=True))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert cleaned == [now()]
        assert manager.abandoned == {}

    run_virtual(main)


def test_scenario_23_a_second_cancellation_does_not_wait_for_the_grace() -> None:
    async def main() -> None:
        manager, handler = TimeoutManager(), Stubborn(60)
        call = asyncio.create_task(manager.run(handler, "critical_path", hard_kill=True))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        started = now()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert now() == started
        assert len(manager.abandoned) == 1

    run_virtual(main)


def test_scenario_23_an_error_of_a_call_left_behind_is_taken_up() -> None:
    async def main() -> None:
        manager = TimeoutManager()
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

        async def bad_end() -> None:
            await Stubborn(60)()
            raise OSError("too late")

        with pytest.raises(DeadlineExceeded):
            await manager.run(bad_end, 1.0, hard_kill=True)
        await asyncio.sleep(60)
        assert (manager.abandoned, complaints) == ({}, [])

    run_virtual(main)


@pytest.mark.parametrize("hard_kill", [False, True])
def test_a_callee_that_cancels_itself_has_not_passed_a_deadline(hard_kill: bool) -> None:
    async def main() -> None:
        async def cancels_itself() -> None:
            raise asyncio.CancelledError

        manager = TimeoutManager()
        with pytest.raises(asyncio.CancelledError):
            await manager.run(cancels_itself, hard_kill=hard_kill)
        assert manager.counters.expired == 0

    run_virtual(main)


@pytest.mark.parametrize("hard_kill", [False, True])
@pytest.mark.parametrize("used", [0.0, 1.0, 4.0])
def test_scenario_24_a_child_gets_less_than_its_parent_has(used: float, hard_kill: bool) -> None:
    async def main() -> None:
        manager, seen = TimeoutManager(), []

        async def child() -> None:
            seen.append(remaining(now()))
            await asyncio.sleep(60)

        async def parent() -> None:
            await asyncio.sleep(used)
            started = now()
            with pytest.raises(DeadlineExceeded):
                await manager.run(child, 30.0, hard_kill=hard_kill)
            assert now() - started < (5 - used) / (1 + GRACE)
            seen.append(remaining(now()))

        await manager.run(parent, "critical_path")
        assert 0 < seen[0] < (5 - used) / (1 + GRACE)
        assert seen[1] > 0, "the parent still has time to answer otherwise"

    run_virtual(main)


@pytest.mark.parametrize("hard_kill", [False, True])
def test_scenario_24_each_inner_handler_runs_before_the_outer_limit(hard_kill: bool) -> None:
    async def main() -> None:
        manager = TimeoutManager()
        handled: list[tuple[int, float]] = []
        ends: dict[int, float] = {}

        def level(depth: int) -> Callable[[], Awaitable[None]]:
            async def body() -> None:
                ends[depth] = remaining(now()) + now()
                try:
                    if depth < 4:
                        await manager.run(level(depth + 1), 30.0, hard_kill=hard_kill)
                    elif hard_kill:
                        await Stubborn(60)()
                    else:
                        await asyncio.sleep(60)
                except (asyncio.CancelledError, DeadlineExceeded):
                    handled.append((depth, now()))
                    raise

            return body

        with pytest.raises(DeadlineExceeded):
            await manager.run(level(1), "critical_path", hard_kill=hard_kill)
        expected = [3, 2, 1] if hard_kill else [4, 3, 2, 1]
        assert [depth for depth, _ in handled] == expected
        assert all(at < ends[depth - 1] for depth, at in handled if depth > 1)
        assert list(ends.values()) == sorted(ends.values(), reverse=True)

    run_virtual(main)


def test_scenario_24_no_child_outlives_its_parent_and_the_grace() -> None:
    async def main() -> None:
        manager, started = TimeoutManager(), now()
        running = set(asyncio.all_tasks())

        async def parent() -> None:
            await asyncio.gather(
                *(manager.run(lambda: asyncio.sleep(600), 30.0, hard_kill=bool(n % 2)) for n in range(20))
            )

        with pytest.raises(DeadlineExceeded):
            await manager.run(parent, "critical_path", hard_kill=True)
        await asyncio.sleep(started + 5.0 * (1 + GRACE) - now())
        assert asyncio.all_tasks() == running
        assert manager.abandoned == {}

    run_virtual(main)


def test_scenario_24_nothing_left_ends_a_child_at_its_first_wait() -> None:
    async def main() -> None:
        async with DeadlineScope(0.04):
            assert child_limit(30, now()) < 0
            started = now()
            with pytest.raises(DeadlineExceeded, match="within 0 s"):
                async with DeadlineScope(30):
                    await asyncio.sleep(1)
            assert now() == started

    run_virtual(main)


def test_a_cancellation_of_the_callers_is_never_turned_into_a_timeout() -> None:
    async def main() -> None:
        manager = TimeoutManager()
        for delay in (1.0, 5.0):
            call = asyncio.create_task(manager.run(lambda: asyncio.sleep(60), "critical_path"))
            asyncio.get_running_loop().call_later(delay, call.cancel)
            with pytest.raises(asyncio.CancelledError):
                await call
        assert manager.counters.expired == 0

    run_virtual(main)


def test_a_deadline_holds_in_the_clean_up_of_a_cancelled_task() -> None:
    async def main() -> None:
        outcome: list[str] = []

        async def worker() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                try:
                    async with DeadlineScope(1):
                        await asyncio.sleep(60)
                except DeadlineExceeded:
                    outcome.append("clean-up gave up in time")

        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert outcome == ["clean-up gave up in time"]
        assert task.cancelled()

    run_virtual(main)


def test_a_body_that_swallows_its_cancellation_is_seen_to_have_expired() -> None:
    async def main() -> None:
        async with DeadlineScope(1) as scope:
            assert await Stubborn(60)() == "late"
        assert scope.expired
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        await asyncio.sleep(1)

    run_virtual(main)


def test_an_answer_in_the_tick_of_the_deadline_is_not_followed_by_a_stray_cancellation() -> None:
    async def main() -> None:
        for _ in range(3):
            answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(5, answer.set_result, 1)
            try:
                async with DeadlineScope(5):
                    await answer
            except DeadlineExceeded:
                pass
            await asyncio.sleep(10)
            assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    run_virtual(main)


def test_bad_limits_are_refused() -> None:
    manager = TimeoutManager()
    with pytest.raises(ValueError, match="no timeout tier is named 'fast': choose critical_path"):
        manager.seconds("fast")
    for seconds in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="positive"):
            manager.seconds(seconds)
