"""The bulkhead: places, queue, order, and no place lost under any cancellation. Time is virtual."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from typing import Any

import pytest

from event_monitor.resilience import (
    Bulkhead,
    BulkheadFull,
    BulkheadTimeout,
    DeadlineExceeded,
    DeadlineScope,
    Pipeline,
)
from tests.virtual import run_virtual


async def settle(rounds: int = 3) -> None:
    """Let what is ready run."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def entering(bulkhead: Bulkhead, count: int, seconds: float = 60.0) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(bulkhead.execute(asyncio.sleep, seconds)) for _ in range(count)]
    await settle()
    return tasks


async def end(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_scenario_17_ten_run_fifty_wait_and_the_next_is_refused_at_once() -> None:
    async def main() -> None:
        bulkhead = Bulkhead(name="github")
        loop = asyncio.get_running_loop()
        started = loop.time()
        tasks = await entering(bulkhead, 60)
        with pytest.raises(BulkheadFull, match="github is full: 10 running, 50 waiting"):
            await bulkhead.execute(asyncio.sleep, 1)
        assert loop.time() == started
        counters = bulkhead.counters
        assert (bulkhead.busy, bulkhead.waiting) == (10, 50)
        assert (counters.entered, counters.queued, counters.rejected) == (10, 50, 1)

        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert Counter(type(result) for result in results) == {type(None): 10, BulkheadTimeout: 50}
        assert (counters.timed_out, counters.rejected, counters.entered) == (50, 1, 10)
        assert loop.time() - started == 60.0
        assert (bulkhead.busy, bulkhead.waiting) == (0, 0)

    run_virtual(main)


@pytest.mark.parametrize(
    ("asked", "waited"), [(None, 30.0), (4.0, 4.0), (90.0, 30.0), (0.0, 0.0), (-1.0, 0.0)]
)
def test_scenario_17_a_call_waits_as_long_as_both_limits_allow(asked: float | None, waited: float) -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1)
        assert bulkhead.try_acquire()
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(BulkheadTimeout):
            await bulkhead.acquire(asked)
        assert loop.time() - started == pytest.approx(waited)
        assert (bulkhead.counters.timed_out, bulkhead.counters.rejected, bulkhead.waiting) == (1, 0, 0)

    run_virtual(main)


def test_scenario_17_the_pipeline_waits_no_longer_than_the_callers_deadline() -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1)
        assert bulkhead.try_acquire()
        pipeline = Pipeline(bulkhead=bulkhead)
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises((BulkheadTimeout, DeadlineExceeded)):
            async with DeadlineScope(5):
                await pipeline.call(asyncio.sleep, 1)
        assert loop.time() - started <= 5.0
        bulkhead.release()
        assert (bulkhead.busy, bulkhead.waiting) == (0, 0)

    run_virtual(main)


def test_scenario_18_a_hundred_thousand_cancels_leave_every_place_and_no_waiter() -> None:
    async def main() -> int:
        rng = random.Random(18)
        bulkhead = Bulkhead(10, 50, 1.0)
        running = 0
        cancels = 0
        ended: Counter[str] = Counter()

        async def work() -> None:
            nonlocal running
            running += 1
            assert running <= 10
            try:
                await asyncio.sleep(rng.choice((0, 0, 0.1, 0.5)))
            finally:
                running -= 1

        async def caller() -> None:
            try:
                await bulkhead.execute(work)
                ended["done"] += 1
            except (BulkheadFull, BulkheadTimeout) as error:
                ended[type(error).__name__] += 1

        live: list[asyncio.Task[None]] = []
        while cancels < 100_000:
            live += [asyncio.create_task(caller()) for _ in range(rng.randrange(1, 40))]
            await (asyncio.sleep(0) if rng.random() < 0.9 else asyncio.sleep(rng.random()))
            rng.shuffle(live)
            for task in live[: rng.randrange(len(live) + 1)]:
                cancels += task.cancel()
            live = [task for task in live if not task.done()]
        await asyncio.gather(*live, return_exceptions=True)
        assert (bulkhead.busy, bulkhead.waiting, running) == (0, 0, 0)
        for _ in range(10):
            assert bulkhead.try_acquire()
        assert not bulkhead.try_acquire()
        counters = bulkhead.counters
        assert min(counters.cancelled, counters.rejected, counters.timed_out, ended["done"]) > 0
        assert ended["BulkheadFull"] == counters.rejected
        return cancels

    assert run_virtual(main) >= 100_000


def test_scenario_18_a_waiter_cancelled_after_it_was_granted_passes_the_place_on() -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1)
        assert bulkhead.try_acquire()
        first = asyncio.create_task(bulkhead.acquire())
        second = asyncio.create_task(bulkhead.acquire())
        await settle()
        bulkhead.release()
        first.cancel()
        assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], asyncio.CancelledError)
        await second
        assert (bulkhead.busy, bulkhead.counters.entered, bulkhead.counters.cancelled) == (1, 2, 1)
        bulkhead.release()
        assert bulkhead.busy == 0

    run_virtual(main)


def test_scenario_18_a_place_freed_in_the_tick_of_the_timeout_is_lost_to_nobody() -> None:
    async def main() -> None:
        for release_first in (True, False):
            bulkhead = Bulkhead(1, timeout=5)
            assert bulkhead.try_acquire()
            loop = asyncio.get_running_loop()
            if release_first:
                loop.call_later(5, bulkhead.release)
            waiter = asyncio.create_task(bulkhead.acquire())
            await settle()
            if not release_first:
                loop.call_later(5, bulkhead.release)
            outcome = (await asyncio.gather(waiter, return_exceptions=True))[0]
            await asyncio.sleep(1)
            if outcome is None:
                bulkhead.release()
            assert (bulkhead.busy, bulkhead.waiting) == (0, 0)

    run_virtual(main)


def test_scenario_18_a_cancel_in_the_tick_of_the_timeout_is_a_cancel() -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1, timeout=5)
        assert bulkhead.try_acquire()
        waiter = asyncio.create_task(bulkhead.acquire())
        await settle()
        asyncio.get_running_loop().call_later(5, waiter.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiter
        bulkhead.release()
        assert (bulkhead.busy, bulkhead.waiting) == (0, 0)

    run_virtual(main)


def test_scenario_32_a_call_refused_by_the_bulkhead_never_runs() -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1, 0)
        assert bulkhead.try_acquire()
        ran: list[int] = []
        for _ in range(5):
            with pytest.raises(BulkheadFull):
                await bulkhead.execute(lambda: ran.append(1))
        assert ran == []

    run_virtual(main)


def test_places_are_given_in_the_order_of_asking() -> None:
    async def main() -> None:
        bulkhead = Bulkhead(2, 50)
        order: list[int] = []

        async def work(number: int) -> None:
            order.append(number)
            await asyncio.sleep(1)

        tasks = [asyncio.create_task(bulkhead.execute(work, number)) for number in range(20)]
        await settle()
        tasks[5].cancel()
        tasks[9].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == [number for number in range(20) if number not in (5, 9)]

    run_virtual(main)


def test_a_newcomer_does_not_overtake_one_who_was_just_granted() -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1)
        assert bulkhead.try_acquire()
        waiter = asyncio.create_task(bulkhead.acquire())
        await settle()
        bulkhead.release()
        assert not bulkhead.try_acquire(), "the place is the waiter's already"
        await waiter
        assert bulkhead.busy == 1

    run_virtual(main)


def test_cancelled_waiters_do_not_fill_the_queue() -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1, 2)
        tasks = await entering(bulkhead, 3)
        assert bulkhead.waiting == 2
        for task in tasks[1:]:
            task.cancel()
        assert bulkhead.waiting == 0, "at once, before they have run"
        more = await entering(bulkhead, 2)
        assert (bulkhead.waiting, bulkhead.counters.rejected) == (2, 0)
        await end([*tasks, *more])
        assert (bulkhead.busy, bulkhead.waiting) == (0, 0)

    run_virtual(main)


@pytest.mark.parametrize("error", [OSError("down"), asyncio.CancelledError(), KeyError("x")])
def test_whatever_a_call_raises_its_place_is_given_back(error: BaseException) -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1)

        def plain() -> None:
            raise error

        async def later() -> None:
            await asyncio.sleep(1)
            raise error

        for func in (plain, later):
            with pytest.raises(type(error)):
                await bulkhead.execute(func)
            assert bulkhead.busy == 0

    run_virtual(main)


def test_the_timers_of_served_waiters_are_gone() -> None:
    async def main() -> float:
        bulkhead = Bulkhead(1, timeout=3_600)
        await asyncio.gather(*(bulkhead.execute(asyncio.sleep, 1) for _ in range(5)))
        loop = asyncio.get_running_loop()
        assert all(handle.cancelled() for handle in loop._scheduled)  # type: ignore[attr-defined]
        return loop.time()

    assert run_virtual(main) == 1_005.0


@pytest.mark.parametrize(
    ("settings", "text"),
    [((0, 50, 30.0), "1 or more"), ((10, -1, 30.0), "0 or more"), ((1, 1, math.nan), "positive")],
)
def test_bad_settings_are_refused(settings: tuple[int, int, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Bulkhead(*settings)
