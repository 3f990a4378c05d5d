"""The retry budget: a lone call may be retried, a storm may not."""

from __future__ import annotations

import asyncio
import math
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.resilience import Pipeline, RetriesExhausted, RetryBudget, RetryPolicy
from tests.resilience.helpers import Clock
from tests.virtual import run_virtual

STEPS = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.001, 0.5, 3.0, 10.0, 11.0)),
        st.integers(0, 30),
        st.integers(0, 30),
    ),
    max_size=30,
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(steps=STEPS, ratio=st.sampled_from((0.0, 0.2, 1.0)), floor=st.integers(0, 10))
def test_scenario_27_no_window_that_ends_with_a_retry_has_more_than_the_share_and_the_floor(
    steps: list[tuple[float, int, int]], ratio: float, floor: int
) -> None:
    clock = Clock()
    budget = RetryBudget(clock, ratio=ratio, floor=floor)
    attempts: list[float] = []
    retries: list[float] = []
    refused = 0
    for wait, calls, wanted in steps:
        clock.now += wait
        for _ in range(calls):
            budget.attempt()
            attempts.append(clock.now)
        for _ in range(wanted):
            recent = sum(at > clock.now - 10 for at in attempts)
            used = sum(at > clock.now - 10 for at in retries)
            allowed = budget.try_retry()
            assert allowed is (used + 1 <= floor + ratio * recent)
            if allowed:
                retries.append(clock.now)
            else:
                refused += 1
    assert budget.counters.refused == refused


@pytest.mark.parametrize("failing", [0.05, 0.5, 1.0])
def test_scenario_27_an_outage_adds_a_fifth_and_the_floor_whatever_fails(failing: float) -> None:
    async def main() -> None:
        rng = random.Random(27)
        loop = asyncio.get_running_loop()
        calls: list[float] = []

        async def service() -> None:
            calls.append(loop.time())
            if rng.random() < failing:
                raise OSError("down")

        budget = RetryBudget(loop.time)
        policy = RetryPolicy("fixed", 5, jitter=0)
        pipeline = Pipeline(budget=budget, policy=policy, rng=rng)
        first: list[float] = []

        async def one(number: int) -> None:
            await asyncio.sleep(number / 50)
            first.append(loop.time())
            try:
                await pipeline.call(service)
            except RetriesExhausted:
                return

        await asyncio.gather(*(one(number) for number in range(3_000)))
        windows = (60 + 5 * 10) / 10 + 1
        assert len(calls) - len(first) <= 0.2 * len(first) + 10 * windows
        for begin in range(1_010, 1_060, 5):
            made, began = (sum(begin < at <= begin + 10 for at in times) for times in (calls, first))
            assert made - began <= 0.2 * 501 + 10, f"the window from {begin}"
        assert (budget.counters.refused > 100) is (failing >= 0.5)

    run_virtual(main)


def test_a_lone_call_may_be_retried_as_often_as_the_floor_allows() -> None:
    clock = Clock()
    budget = RetryBudget(clock)
    budget.attempt()
    assert [budget.try_retry() for _ in range(11)] == [True] * 10 + [False]
    clock.now += 9.999
    assert not budget.try_retry()
    clock.now += 0.001
    assert budget.try_retry()


def test_a_service_that_never_fails_holds_only_one_window_of_times() -> None:
    clock = Clock()
    budget = RetryBudget(clock)
    for _ in range(20_000):
        clock.now += 0.1
        budget.attempt()
    assert sys.getsizeof(budget._attempts) < 10_000


@pytest.mark.parametrize("bad", [{"ratio": -0.1}, {"floor": -1}, {"window": 0.0}, {"ratio": math.nan}])
def test_bad_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        RetryBudget(Clock(), **bad)  # type: ignore[arg-type]
