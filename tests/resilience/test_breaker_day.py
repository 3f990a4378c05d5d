"""Twenty-four hours of hourly outages through all patterns, on virtual time, the same on each Python."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from event_monitor.resilience import (
    Bulkhead,
    BulkheadFull,
    BulkheadTimeout,
    CircuitBreaker,
    CircuitOpenError,
    DeadlineExceeded,
    Pipeline,
    RetriesExhausted,
    RetryBudget,
    RetryPolicy,
)
from tests.virtual import run_virtual

HOURS, OUTAGE, EVERY = 24, 90.0, 2.0


@dataclass
class Day:
    """What a day left behind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    history: list[tuple[str, float]] = field(default_factory=list)
    reached_in_outage: int = 0
    left_over: tuple[int, int] = (0, 0)

    @property
    def digest(self) -> str:
        text = repr((sorted(self.outcomes.items()), [(s, round(at, 6)) for s, at in self.history]))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


async def one_day(seed: int) -> Day:
    rng, day = random.Random(seed), Day()
    loop = asyncio.get_running_loop()
    begin = loop.time()
    breaker, bulkhead = CircuitBreaker(), Bulkhead()
    breaker.listeners.append(lambda _, change: day.history.append((change.to_state.value, change.at)))
    pipeline = Pipeline(
        timeout=5.0,
        breaker=breaker,
        bulkhead=bulkhead,
        policy=RetryPolicy("exponential", 5),
        budget=RetryBudget(loop.time),
        rng=rng,
    )

    async def service() -> None:
        since = (loop.time() - begin) % 3_600
        hour = int((loop.time() - begin) // 3_600)
        if 1_800 <= since < 1_800 + OUTAGE:
            day.reached_in_outage += 1
            await asyncio.sleep(60 if hour % 6 == 0 else 0.01)
            raise OSError("down")
        await asyncio.sleep(rng.uniform(0.01, 0.3))

    async def caller() -> None:
        try:
            await pipeline.call(service)
        except (
            BulkheadFull,
            BulkheadTimeout,
            CircuitOpenError,
            DeadlineExceeded,
            RetriesExhausted,
        ) as error:
            day.outcomes[type(error).__name__] += 1
        else:
            day.outcomes["done"] += 1

    async with asyncio.TaskGroup() as calls:
        while loop.time() - begin < HOURS * 3_600:
            calls.create_task(caller())
            await asyncio.sleep(EVERY * rng.uniform(0.5, 1.5))
    day.left_over = (bulkhead.busy, bulkhead.waiting)
    return day


# The same on Python 3.11, 3.12 and 3.13.
DIGESTS = {1: "2e66a8144335856c", 2: "d04a205b084c506e"}


@pytest.mark.parametrize("seed", DIGESTS)
def test_scenario_34_a_day_of_hourly_outages_leaves_nothing_stuck(seed: int) -> None:
    day = run_virtual(lambda: one_day(seed))
    assert day.left_over == (0, 0)
    assert day.outcomes["done"] > 0.95 * day.outcomes.total()
    states = Counter(state for state, _ in day.history)
    assert states["CLOSED"] == HOURS, "each outage opened it and each end closed it"
    assert states["OPEN"] == states["HALF_OPEN"] >= HOURS
    for state, at in day.history:
        since = (at - 1_000.0) % 3_600 - 1_800
        assert 0 <= since <= OUTAGE + (31 + 5 if state == "CLOSED" else 30 + 5), (state, at)
    assert day.reached_in_outage <= HOURS * 20
    assert day.digest == DIGESTS[seed]
