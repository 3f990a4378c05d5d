"""Scenarios of letter D, cascading failures (section 5 of the research). Time is virtual.

Scenarios 28 to 30 are in test_scenarios_d_fallbacks.py. Scenario 27 is shown of the budget alone in
test_budget.py, 32 of the bulkhead alone in test_bulkhead.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.resilience import (
    Bulkhead,
    BulkheadFull,
    BulkheadTimeout,
    CircuitBreaker,
    CircuitOpenError,
    FallbackChain,
    PermanentError,
    Pipeline,
    RetriesExhausted,
    RetryBudget,
    RetryPolicy,
)
from event_monitor.resilience.fallback import AnswerCache
from tests.resilience.helpers import CLOSED, Clock, now, works
from tests.virtual import run_virtual

# --- 26: a chain of four, with the layer and without -----------------------------------------------

OUTAGE = (60.0, 120.0)
NAMES = ("a", "b", "c", "d")


class Chain:
    """``a`` calls ``b`` calls ``c`` calls ``d``, each through what ``protect`` makes for it. Who is
    marked failed is judged from outside: half of what was asked of it within ten seconds had no good
    answer in five."""

    def __init__(self, seed: int, protect: Callable[[str], Callable[..., Awaitable[Any]]]) -> None:
        self.rng = Random(seed)
        self.started = now()
        self.reached_while_dead = 0
        self.answers: dict[str, Counter[tuple[int, bool]]] = {name: Counter() for name in NAMES}
        self.through = {name: protect(name) for name in NAMES}

    async def ask(self, name: str) -> Any:
        """What a caller of ``name`` gets."""
        began = now()
        well = False
        try:
            answer = await self.through[name](lambda: self.serve(name))
            well = now() - began <= 5
        finally:
            self.answers[name][int((began - self.started) // 10), well] += 1
        return answer

    async def serve(self, name: str) -> Any:
        await asyncio.sleep(self.rng.uniform(0.002, 0.008))
        if name != "d":
            return await self.ask(NAMES[NAMES.index(name) + 1])
        if OUTAGE[0] <= now() - self.started < OUTAGE[1]:
            self.reached_while_dead += 1
            raise ConnectionError("d is down")
        return "from d"

    def failed(self) -> set[str]:
        """The services that were marked failed at any time."""
        return {
            name
            for name, answers in self.answers.items()
            for window, well in answers
            if not well and answers[window, False] >= answers[window, True]
        }

    async def run(self) -> None:
        async def request() -> None:
            try:
                await self.ask("a")
            except Exception:  # noqa: BLE001 - what the edge sees is counted by ``ask``
                return

        async with asyncio.TaskGroup() as group:
            for _ in range(180 * 20):
                group.create_task(request())
                await asyncio.sleep(1 / 20)


def bare(name: str) -> Callable[..., Awaitable[Any]]:
    async def call(func: Callable[[], Awaitable[Any]]) -> Any:
        return await func()

    return call


def retrying(rng: Random) -> Callable[[str], Callable[..., Awaitable[Any]]]:
    """Retries on every hop and nothing that bounds them."""
    return lambda name: Pipeline(name, timeout=300, policy=RetryPolicy(), rng=rng).call


def protected(rng: Random) -> Callable[[str], Callable[..., Awaitable[Any]]]:
    """The same retries, and all else that the layer has."""

    def make(name: str) -> Callable[..., Awaitable[Any]]:
        cache = AnswerCache(now)
        chain = FallbackChain(name, (), cache)
        chain.steps = (chain.cached(),)
        return Pipeline(
            name,
            timeout=300,
            breaker=CircuitBreaker(name=name),
            bulkhead=Bulkhead(name=name),
            policy=RetryPolicy(),
            budget=RetryBudget(now),
            fallback=chain,
            rng=rng,
        ).call

    return make


@pytest.mark.parametrize("without", ["nothing", "retries on every hop"])
@pytest.mark.parametrize("seed", [1, 2])
def test_scenario_26_the_layer_keeps_calls_from_the_dead_and_failure_from_spreading(
    without: str, seed: int
) -> None:
    async def run(layer: bool) -> tuple[int, set[str]]:
        if layer:
            chain = Chain(seed, protected(Random(seed)))
        else:
            chain = Chain(seed, bare if without == "nothing" else retrying(Random(seed)))
        await chain.run()
        return chain.reached_while_dead, chain.failed()

    off, failed_off = run_virtual(lambda: run(layer=False))
    on, failed_on = run_virtual(lambda: run(layer=True))
    assert off >= 1_200, "every request of the outage reached it"
    assert 1 <= on <= 0.05 * off
    assert len(failed_on) <= 0.5 * len(failed_off)
    assert failed_off == set(NAMES)


# --- 27: the budget in a pipeline ------------------------------------------------------------------


async def hang() -> None:
    await asyncio.sleep(60)


class Busy(Exception):
    retry_after = 3.0


OUTCOMES: tuple[object, ...] = ("ok", "hang", OSError, TimeoutError, Busy, PermanentError, BulkheadTimeout)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bursts=st.lists(st.tuples(st.integers(0, 80), st.floats(0, 12)), min_size=1, max_size=12),
    mix=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=6),
    cancelled=st.sampled_from((0.0, 0.0, 0.2, 0.8)),
    strategy=st.sampled_from(("exponential", "fibonacci", "fixed", "linear")),
)
def test_scenario_27_extra_attempts_stay_within_a_fifth_and_the_floor_for_any_failure_mix(
    seed: int, bursts: list[tuple[int, float]], mix: list[Any], cancelled: float, strategy: str
) -> None:
    async def main() -> None:
        rng = Random(seed)
        first: list[float] = []
        extra: list[float] = []

        async def call() -> None:
            attempts = 0

            async def service() -> str:
                nonlocal attempts
                (extra if attempts else first).append(now())
                attempts += 1
                outcome = rng.choice(mix)
                if outcome == "hang":
                    await hang()
                elif outcome != "ok":
                    raise outcome("down")
                return "done"

            await pipeline.call(service)

        budget = RetryBudget(now)
        pipeline = Pipeline(timeout=1.5, policy=RetryPolicy(strategy), budget=budget, rng=rng)
        calls: list[asyncio.Task[None]] = []
        for count, pause in bursts:
            calls += [asyncio.create_task(call()) for _ in range(count)]
            await asyncio.sleep(pause)
            for task in calls:
                if rng.random() < cancelled:
                    task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for place, at in enumerate(extra):
            made = sum(at - 10 < other for other in extra[: place + 1])
            began = sum(at - 10 < other <= at for other in first)
            assert made <= 0.2 * began + 10, f"in the ten seconds before {at}"
        assert budget.counters.retries == len(extra) == pipeline.counters.retries
        assert pipeline.counters.over_budget <= budget.counters.refused

    run_virtual(main)


def test_scenario_27_retries_are_held_to_the_window_in_which_they_are_made() -> None:
    async def main() -> None:
        budget = RetryBudget(now)
        pipeline = Pipeline(policy=RetryPolicy("fixed", 1), budget=budget)
        calls = 0

        async def service() -> None:
            nonlocal calls
            calls += 1
            raise OSError("down")

        results = await asyncio.gather(*(pipeline.call(service) for _ in range(100)), return_exceptions=True)
        # All waited ten seconds or more: their first attempts have left the window, the floor is left.
        assert calls == 110
        assert {type(result) for result in results} == {RetriesExhausted}
        assert (pipeline.counters.over_budget, budget.counters.refused) == (90, 90)

    run_virtual(main)


def test_scenario_27_a_retry_that_its_caller_gave_up_takes_nothing_from_the_others() -> None:
    async def main() -> None:
        budget = RetryBudget(now)
        pipeline = Pipeline(policy=RetryPolicy("fixed"), budget=budget)
        calls = 0

        async def fails_once_each() -> None:
            nonlocal calls
            calls += 1
            raise OSError("down")

        waiting = [asyncio.create_task(pipeline.call(fails_once_each)) for _ in range(100)]
        await asyncio.sleep(5)
        assert (calls, budget.counters.retries) == (100, 0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(6)
        # The first attempts are no longer in the window: the floor alone is left, and all of it.
        assert [budget.try_retry() for _ in range(11)] == [True] * 10 + [False]

    run_virtual(main)


# --- 32: refusals are no failures ------------------------------------------------------------------


def test_scenario_32_rejections_never_count_as_failures() -> None:
    breaker = CircuitBreaker(clock=Clock())
    for error in (BulkheadFull("full"), BulkheadTimeout("late"), CircuitOpenError("other", 3.0)):
        for _ in range(10):
            breaker.acquire().failure(error)
    assert (breaker.state, breaker.failure_count, breaker.counters.failures) == (CLOSED, 0, 0)
    assert breaker.counters.ignored == 30


def test_scenario_32_a_full_bulkhead_in_a_pipeline_leaves_the_breaker_alone() -> None:
    async def main() -> None:
        breaker, bulkhead = CircuitBreaker(), Bulkhead(1, 0)
        pipeline = Pipeline(breaker=breaker, bulkhead=bulkhead)
        holder = asyncio.create_task(pipeline.call(asyncio.sleep, 5))
        await asyncio.sleep(0)
        for _ in range(20):
            with pytest.raises(BulkheadFull):
                await pipeline.call(works)
        await holder
        assert (breaker.failure_count, breaker.counters.failures, bulkhead.counters.rejected) == (0, 0, 20)

    run_virtual(main)
