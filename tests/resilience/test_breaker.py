"""The circuit breaker against the faults that known libraries have. Time is virtual."""

from __future__ import annotations

import asyncio
import math
import resource
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from event_monitor.resilience import (
    BreakerState,
    Bulkhead,
    BulkheadFull,
    BulkheadTimeout,
    CircuitBreaker,
    CircuitOpenError,
    DeadlineExceeded,
    DeadlineScope,
    Pipeline,
    RetriesExhausted,
    RetryPolicy,
)
from event_monitor.resilience.breaker import BreakerChange, ForcedBy, SavedBreaker
from tests.virtual import run_virtual

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Clock:
    """Seconds that move when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def fail_times(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.acquire().failure(OSError("down"))


def opened(clock: Clock, **more: Any) -> CircuitBreaker:
    """A breaker that five failures opened at the clock's time."""
    breaker = CircuitBreaker(clock=clock, **more)
    fail_times(breaker, 5)
    assert breaker.state is OPEN
    return breaker


async def works() -> str:
    return "done"


async def fails() -> None:
    raise OSError("down")


# --- section 5 of the research, by number ----------------------------------------------------------


def test_scenario_01_the_fifth_failure_opens_and_the_sixth_call_is_refused_untouched() -> None:
    async def main() -> None:
        breaker = CircuitBreaker(name="github")
        for place in range(5):
            assert breaker.state is CLOSED, place
            with pytest.raises(OSError, match="down"):
                await breaker.call(fails)
            await asyncio.sleep(14.9)
        assert breaker.state is OPEN

        reached: list[int] = []
        with pytest.raises(CircuitOpenError, match=r"github is open for 15\.1 s more") as refused:
            await breaker.call(lambda: reached.append(1))
        assert refused.value.retry_after == pytest.approx(30 - 14.9)
        assert reached == []
        assert breaker.counters.rejected == 1

    run_virtual(main)


def test_scenario_01_failures_older_than_the_timeout_do_not_open() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    for _ in range(5):
        fail_times(breaker, 1)
        clock.now += 15.1
    assert breaker.state is CLOSED
    fail_times(breaker, 1)
    assert breaker.state is CLOSED, "the oldest of the last five is 60.4 s old"
    fail_times(breaker, 1)
    assert breaker.state is OPEN, "and then 45.3 s"


def test_scenario_02_a_success_between_makes_the_count_begin_again() -> None:
    breaker = CircuitBreaker(clock=Clock())
    fail_times(breaker, 4)
    breaker.acquire().success()
    fail_times(breaker, 4)
    assert (breaker.state, breaker.failure_count) == (CLOSED, 4)
    fail_times(breaker, 1)
    assert breaker.state is OPEN


def test_scenario_03_of_a_thousand_calls_at_recovery_one_reaches_the_service() -> None:
    async def main() -> None:
        breaker = CircuitBreaker()
        fail_times(breaker, 5)
        await asyncio.sleep(30.0)
        reached = 0

        async def service() -> str:
            nonlocal reached
            reached += 1
            await asyncio.sleep(0.2)
            return "done"

        results = await asyncio.gather(*(breaker.call(service) for _ in range(1_000)), return_exceptions=True)
        assert reached == 1
        assert results.count("done") == 1
        assert sum(isinstance(result, CircuitOpenError) for result in results) == 999
        assert breaker.counters.rejected == 999
        assert breaker.state is CLOSED

    run_virtual(main)


def test_scenario_03_not_a_moment_before_the_recovery_time() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 29.999
    with pytest.raises(CircuitOpenError) as refused:
        breaker.acquire()
    assert refused.value.retry_after == pytest.approx(0.001)
    clock.now += 0.001
    breaker.acquire()
    assert breaker.state is HALF_OPEN


def test_scenario_04_a_cancelled_probe_makes_way_for_the_next() -> None:
    async def main() -> None:
        breaker = CircuitBreaker()
        fail_times(breaker, 5)
        await asyncio.sleep(30.0)
        for repeat in range(1, 101):
            probe = asyncio.create_task(breaker.call(asyncio.sleep, 3_600))
            await asyncio.sleep(0)
            with pytest.raises(CircuitOpenError):
                breaker.acquire()
            probe.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probe
            assert (breaker.state, breaker.failure_count) == (HALF_OPEN, 5)
            assert breaker.would_pass()
            assert breaker.counters.cancelled == repeat
        assert await breaker.call(works) == "done"
        assert breaker.state is CLOSED

    run_virtual(main)


def test_scenario_05_a_probe_that_never_returns_loses_its_lease() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    lost = breaker.acquire()
    clock.now += 60
    assert not breaker.would_pass()
    with pytest.raises(CircuitOpenError) as refused:
        breaker.acquire()
    assert (breaker.state, refused.value.retry_after) == (OPEN, 30.0)
    clock.now += 30
    breaker.acquire().success()
    assert breaker.state is CLOSED
    lost.failure(OSError("at last"))
    assert (breaker.state, breaker.counters.late, breaker.failure_count) == (CLOSED, 1, 0)


def test_scenario_05_the_wait_after_a_lost_probe_does_not_depend_on_callers() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    breaker.acquire()
    clock.now += 60 + 30
    assert breaker.would_pass(), "nobody called meanwhile"
    breaker.acquire().success()
    assert breaker.state is CLOSED
    assert breaker.counters.opened == 2


def test_scenario_06_late_results_change_nothing_while_open_and_do_not_extend_the_wait() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    slow = [breaker.acquire() for _ in range(10)]
    fail_times(breaker, 5)
    changes: list[BreakerChange] = []
    breaker.listeners.append(lambda _, change: changes.append(change))
    for permit in slow[:5]:
        clock.now += 4
        permit.failure(OSError("late"))
    for permit in slow[5:]:
        permit.success()
    assert (breaker.state, changes, breaker.counters.late) == (OPEN, [], 10)
    assert breaker.retry_after == pytest.approx(10.0)


@pytest.mark.parametrize("late", ["success", "failure"])
def test_scenario_06_late_results_change_nothing_while_a_probe_runs(late: str) -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    slow = breaker.acquire()
    fail_times(breaker, 5)
    clock.now += 30
    probe = breaker.acquire()
    if late == "success":
        slow.success()
    else:
        slow.failure(OSError("late"))
    assert breaker.state is HALF_OPEN
    with pytest.raises(CircuitOpenError):
        breaker.acquire()
    probe.success()
    assert breaker.state is CLOSED


def test_scenario_06_a_result_that_is_late_by_a_whole_cycle_counts_for_nothing() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    slow = [breaker.acquire() for _ in range(5)]
    fail_times(breaker, 5)
    clock.now += 30
    breaker.acquire().success()
    for permit in slow:
        permit.failure(OSError("late"))
    assert (breaker.state, breaker.failure_count) == (CLOSED, 0)


@pytest.mark.parametrize("end", [lambda p: p.release(), lambda p: p.failure(KeyError("caller"))])
def test_scenario_06_a_late_end_without_verdict_does_not_free_the_probe(end: Callable[[Any], None]) -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock=clock, is_failure=lambda error: isinstance(error, OSError))
    slow = breaker.acquire()
    fail_times(breaker, 5)
    clock.now += 30
    breaker.acquire()
    end(slow)
    with pytest.raises(CircuitOpenError):
        breaker.acquire()


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


def test_scenario_21_rejections_hold_no_memory_and_no_growing_traceback() -> None:
    async def main() -> None:
        breaker = CircuitBreaker()
        fail_times(breaker, 5)
        lengths: list[int] = []
        seen: set[int] = set()
        before: CircuitOpenError | None = None
        for _ in range(200):
            try:
                await breaker.call(works)
            except CircuitOpenError as error:
                lengths.append(len(traceback.extract_tb(error.__traceback__)))
                seen.add(id(error))
                assert error is not before
                before = error
        assert len(lengths) == 200
        assert set(lengths) == {lengths[0]}
        assert lengths[0] <= 5

        async def reject(times: int) -> None:
            for _ in range(times):
                try:
                    await breaker.call(works)
                except CircuitOpenError:
                    continue

        await reject(1_000)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await reject(50_000)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        assert grown * (1 if sys.platform == "darwin" else 1_024) < 1_000_000
        assert breaker.counters.rejected == 51_200

    run_virtual(main)


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
        closed = Pipeline(breaker=CircuitBreaker(failure_threshold=6), policy=RetryPolicy("fixed", 5))
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
