"""Turns: places are conserved, sources alternate, nobody is stranded."""

from __future__ import annotations

import asyncio
import random
from itertools import groupby

import pytest

from event_monitor.bus.turns import Turns
from event_monitor.errors import RateLimited
from tests.virtual import run_virtual


async def publish(
    turns: Turns, source: str | None, order: list[str | None], *, critical: bool = False
) -> None:
    await turns.wait(source, critical)
    turns.enter()
    order.append(source)


async def started(turns: Turns, order: list[str | None], *sources: str | None) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(publish(turns, source, order)) for source in sources]
    await asyncio.sleep(0)
    return tasks


async def breathe() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def test_sources_take_turns_and_each_keeps_its_own_order() -> None:
    async def main() -> None:
        turns, order = Turns(2, 100), []
        tasks = await started(turns, order, *"aaaaaaabbc")
        assert (order, turns.waiting, turns.open) == (["a", "a"], 8, False)
        while turns.taken:
            turns.leave(1)
            await breathe()
        assert order[2:] == list("abcabaaa")
        assert [task.done() for task in tasks] == [True] * 10
        assert turns.open

    run_virtual(main)


def test_what_is_critical_waits_for_no_other_of_its_source() -> None:
    async def main() -> None:
        turns, order = Turns(1, 100), []
        tasks = await started(turns, order, *"aaaa")
        urgent = asyncio.create_task(publish(turns, "critical", order, critical=True))
        await asyncio.sleep(0)
        turns.leave(1)
        await breathe()
        turns.leave(1)
        await breathe()
        assert order == ["a", "a", "critical"]
        for task in (*tasks, urgent):
            task.cancel()
        await asyncio.gather(*tasks, urgent, return_exceptions=True)
        assert turns.waiting == 0

    run_virtual(main)


def test_too_many_of_one_source_are_refused_and_counted_and_no_other_is() -> None:
    async def main() -> None:
        turns, order = Turns(1, 3), []
        tasks = await started(turns, order, "a", "a", "a", "a")
        for _ in range(2):
            with pytest.raises(RateLimited, match="3 publishers of a are waiting") as refused:
                await turns.wait("a", critical=False)
            assert refused.value.retry_after == 1.0
        tasks += await started(turns, order, "b", None)
        tasks.append(asyncio.create_task(publish(turns, "a", order, critical=True)))
        while not all(task.done() for task in tasks):
            await breathe()
            turns.leave(1)
        assert dict(turns.shed) == {"a": 2}
        assert len(order) == 7

    run_virtual(main)


def test_a_place_that_is_not_taken_goes_to_the_next() -> None:
    async def main() -> None:
        turns, order = Turns(1, 100), []
        first = await started(turns, order, "a")

        async def refused() -> None:
            await turns.wait("b", critical=False)
            raise ValueError("the queue is full")

        broken = [asyncio.create_task(refused()) for _ in range(5)]
        await asyncio.sleep(0)
        last = await started(turns, order, "c")
        turns.leave(1)
        async with asyncio.timeout(1):
            await last[0]
            turns.leave(1)
            outcomes = await asyncio.gather(*first, *broken, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes[1:]] == [ValueError] * 5
        assert order == ["a", "c"]

    run_virtual(main)


@pytest.mark.parametrize("seed", range(20))
def test_cancels_at_any_moment_lose_no_place_and_strand_nobody(seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        turns, order = Turns(3, 10_000), []
        tasks: list[asyncio.Task[None]] = []
        for _ in range(500):
            choice = rng.random()
            if choice < 0.5:
                source = rng.choice("abc")
                tasks.append(asyncio.create_task(publish(turns, source, order, critical=rng.random() < 0.2)))
            elif choice < 0.7 and tasks:
                rng.choice(tasks).cancel()
            elif choice < 0.9 and turns.taken:
                turns.leave(rng.randint(1, turns.taken))
            else:
                await asyncio.sleep(0)
            assert turns.taken <= 3
        for _ in range(1_000):
            await breathe()
            turns.leave(turns.taken)
        assert all(task.done() for task in tasks)
        assert len(order) == sum(not task.cancelled() for task in tasks)
        for _ in range(3):
            assert turns.open
            turns.enter()
        assert not turns.open

    run_virtual(main)


def test_a_long_line_of_one_source_costs_another_one_place_a_round() -> None:
    async def main() -> None:
        turns, order = Turns(10, 10_000), []
        tasks = await started(turns, order, *["loud"] * 5_000)
        tasks += await started(turns, order, *["quiet"] * 20)
        while turns.taken:
            turns.leave(turns.taken)
            await breathe()
        await asyncio.gather(*tasks)
        served = order[10:50]
        assert [len(list(group)) for _, group in groupby(served)] == [1] * 40

    run_virtual(main)
