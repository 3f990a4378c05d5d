"""The circuit breaker against the faults that known libraries have. Time is virtual."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from event_monitor.resilience import (
    BreakerState,
    Bulkhead,
    CircuitBreaker,
    CircuitOpenError,
    DeadlineExceeded,
    DeadlineScope,
    Pipeline,
    RetriesExhausted,
    RetryPolicy,
)
from event_monitor.resilience.breaker import BreakerChange, ForcedBy, SavedBreaker
from tests.resilience.helpers import CLOSED, HALF_OPEN, OPEN, Clock, fail_times, fails, opened, works
from tests.virtual import run_virtual


def test_scenario_16_no_clock_but_the_given_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    breaker = opened(clock)
    for jump in (3_600.0, -3_600.0, 90.0):
        monkeypatch.setattr("time.time", lambda jump=jump: 1.8e9 + jump)
        assert breaker.retry_after == 30.0
    saved = breaker.save(wall=10_000.0)
    for wall, left in ((13_600.0, 0.0), (6_400.0, 30.0), (10_010.0, 20.0)):
        again = CircuitBreaker(clock=clock)
        again.restore(saved, wall)
        assert again.state is OPEN
        assert again.retry_after == pytest.approx(left), wall


def test_scenario_16_whatever_is_saved_the_wait_stays_within_the_recovery_time() -> None:
    for remaining in (-1.0, 0.0, 31.0, 1e300, math.inf, -math.inf, math.nan):
        breaker = CircuitBreaker(clock=Clock())
        breaker.restore(SavedBreaker("OPEN", remaining, saved_at=0.0), wall=0.0)
        assert 0.0 <= breaker.retry_after <= 30.0


def test_scenario_37_held_open_outlasts_every_recovery_time_and_a_restart() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    changes: list[BreakerChange] = []
    breaker.listeners.append(lambda _, change: changes.append(change))
    breaker.force_open("ann", "bad release")
    clock.now += 1e6
    with pytest.raises(CircuitOpenError, match="until a person closes it") as refused:
        breaker.acquire()
    assert refused.value.retry_after == math.inf
    assert [(c.to_state, c.by, c.reason) for c in changes] == [(OPEN, "ann", "bad release")]

    again = CircuitBreaker(clock=clock)
    again.restore(breaker.save(wall=5.0), wall=1e9)
    assert (again.forced, again.forced_by, again.forced_reason) == (ForcedBy.OPEN, "ann", "bad release")
    assert not again.would_pass()
    again.reset("bob", "fixed")
    assert (again.state, again.forced, again.would_pass()) == (CLOSED, None, True)


def test_scenario_37_held_closed_passes_everything_and_reset_gives_the_automatic_back() -> None:
    clock = Clock()
    breaker = opened(clock)
    breaker.force_close("ann", "known noise")
    fail_times(breaker, 200)
    assert (breaker.state, breaker.counters.failures) == (CLOSED, 205)
    again = CircuitBreaker(clock=clock)
    again.restore(breaker.save(wall=5.0), wall=6.0)
    assert (again.forced, again.forced_by) == (ForcedBy.CLOSED, "ann")
    fail_times(again, 5)
    assert again.state is CLOSED
    again.reset("bob")
    fail_times(again, 4)
    assert again.state is CLOSED, "failures of the held time are forgotten"
    fail_times(again, 1)
    assert again.state is OPEN


def test_scenario_37_a_call_that_began_before_the_hold_says_nothing_after_it() -> None:
    breaker = CircuitBreaker(clock=Clock())
    running = breaker.acquire()
    breaker.force_open("ann", "")
    running.success()
    assert (breaker.state, breaker.forced, breaker.counters.late) == (OPEN, ForcedBy.OPEN, 1)


# --- section 2.1 of the research -------------------------------------------------------------------


def test_cancelled_calls_while_closed_are_neither_success_nor_failure() -> None:
    async def main() -> None:
        breaker = CircuitBreaker(failure_threshold=3)

        async def cancel_one() -> None:
            task = asyncio.create_task(breaker.call(asyncio.sleep, 60))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        for _ in range(10):
            await cancel_one()
        assert (breaker.state, breaker.failure_count, breaker.counters.cancelled) == (CLOSED, 0, 10)
        fail_times(breaker, 2)
        await cancel_one()
        assert breaker.failure_count == 2
        fail_times(breaker, 1)
        assert breaker.state is OPEN

    run_virtual(main)


def test_a_deadline_of_the_caller_is_neutral_and_one_of_the_pipeline_is_a_failure() -> None:
    async def main() -> None:
        outside = CircuitBreaker(failure_threshold=2)
        for _ in range(5):
            with pytest.raises(DeadlineExceeded):
                async with DeadlineScope(1):
                    await outside.call(asyncio.sleep, 60)
        assert (outside.state, outside.counters.cancelled) == (CLOSED, 5)

        inside = CircuitBreaker(failure_threshold=2)
        pipeline = Pipeline(breaker=inside, timeout=1)
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                await pipeline.call(asyncio.sleep, 60)
        assert (inside.state, inside.counters.failures) == (OPEN, 2)

    run_virtual(main)


def test_an_open_breaker_never_queues_and_a_retry_never_waits_for_it() -> None:
    async def main() -> None:
        breaker, bulkhead = CircuitBreaker(), Bulkhead(1, 10)
        pipeline = Pipeline(breaker=breaker, bulkhead=bulkhead, policy=RetryPolicy("fixed", 5))
        fail_times(breaker, 5)
        assert bulkhead.try_acquire()
        started = asyncio.get_running_loop().time()
        with pytest.raises(CircuitOpenError):
            await pipeline.call(works)
        assert asyncio.get_running_loop().time() == started
        assert bulkhead.counters.queued == 0

        bulkhead.release()
        closed = Pipeline(
            breaker=CircuitBreaker(failure_threshold=6), policy=RetryPolicy("fixed", 5, jitter=0)
        )
        with pytest.raises(RetriesExhausted):
            await closed.call(fails)
        assert closed.breaker is not None
        assert closed.breaker.state is OPEN

    run_virtual(main)


async def cancels_itself() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("func", "expected"),
    [(works, CLOSED), (lambda: "done", CLOSED), (fails, OPEN), (cancels_itself, HALF_OPEN)],
    ids=["async", "plain", "fails", "cancelled"],
)
def test_every_way_to_end_settles_the_probe(
    func: Callable[[], Awaitable[Any] | Any], expected: BreakerState
) -> None:
    async def main() -> None:
        breaker = CircuitBreaker(recovery_timeout=1)
        fail_times(breaker, 5)
        await asyncio.sleep(1)
        await asyncio.gather(breaker.call(func), return_exceptions=True)
        await asyncio.sleep(1)
        assert breaker.would_pass()
        assert breaker.state is expected

    run_virtual(main)


def test_an_outcome_is_told_once() -> None:
    breaker = CircuitBreaker(failure_threshold=2, clock=Clock())
    permit = breaker.acquire()
    permit.failure(OSError())
    permit.failure(OSError())
    permit.success()
    permit.release()
    assert (breaker.failure_count, breaker.counters.successes, breaker.counters.cancelled) == (1, 0, 0)


def test_a_listener_that_calls_at_half_open_does_not_get_a_second_probe() -> None:
    clock = Clock()
    breaker = opened(clock)
    refused: list[float] = []

    def greedy(breaker: CircuitBreaker, change: BreakerChange) -> None:
        if change.to_state is HALF_OPEN:
            with pytest.raises(CircuitOpenError) as error:
                breaker.acquire()
            refused.append(error.value.retry_after)

    breaker.listeners.append(greedy)
    clock.now += 30
    breaker.acquire()
    assert refused == [60.0]
