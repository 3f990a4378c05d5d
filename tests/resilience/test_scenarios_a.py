"""Scenarios of letter A, service failures (section 5 of the research). Time is virtual.

Scenario 7 is shown in test_timeouts.py too, 8 and 10 in test_retry.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from event_monitor.bus.event_bus import EventBus
from event_monitor.clock import LoopClock, from_iso
from event_monitor.config import BreakerSettings, TargetSettings
from event_monitor.model import Event
from event_monitor.replies.general import DeadLetter
from event_monitor.resilience import (
    CircuitBreaker,
    CircuitOpenError,
    DeadlineScope,
    PermanentError,
    Pipeline,
    RetriesExhausted,
    RetryHandler,
    RetryPolicy,
    TimeoutManager,
)
from event_monitor.resilience.breaker import BreakerChange
from event_monitor.resilience.retry import STRATEGIES
from tests.bus.helpers import open_bus, settings
from tests.resilience.helpers import CLOSED, HALF_OPEN, OPEN, Clock, fail_times, fails, now, opened, works
from tests.virtual import database_counted, run_virtual


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

        costs: list[float] = []
        for _ in range(1_000):
            before = time.perf_counter()
            with contextlib.suppress(CircuitOpenError):
                await breaker.call(lambda: reached.append(1))
            costs.append(time.perf_counter() - before)
        assert statistics.median(costs) < 100e-6, "a rejection takes about 2 us"
        assert reached == []

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


def test_scenario_05_a_new_probe_starts_within_a_minute_of_a_lost_one_however_often() -> None:
    async def main() -> None:
        breaker = CircuitBreaker()
        fail_times(breaker, 5)
        begun: list[float] = []

        async def never() -> None:
            begun.append(now())
            await asyncio.get_running_loop().create_future()

        async def caller() -> None:
            with contextlib.suppress(CircuitOpenError):
                await breaker.call(never)

        calls = []
        for _ in range(600):
            calls.append(asyncio.create_task(caller()))
            await asyncio.sleep(1)
        # A lease is 60 s by default, the wait after it 30 s.
        ends = [at + 60 for at in begun[:-1]]
        assert len(begun) >= 6
        assert all(after - end <= 60 for end, after in zip(ends, begun[1:], strict=True))
        assert breaker.counters.lost == len(begun) - 1
        for call in calls:
            call.cancel()

    run_virtual(main)


async def own_timeout() -> None:
    await asyncio.sleep(1)
    raise TimeoutError("the callee's own")


@pytest.mark.parametrize("hard_kill", [False, True])
def test_scenario_07_a_callees_own_timeout_is_retried_by_policy(hard_kill: bool) -> None:
    async def main() -> None:
        manager, calls = TimeoutManager(), 0

        async def attempt() -> str:
            nonlocal calls
            calls += 1
            if calls < 4:
                await own_timeout()
            return "done"

        retries = RetryHandler(rng=Random(7))
        result = await retries.retry_with_backoff(lambda: manager.run(attempt, 30.0, hard_kill=hard_kill))
        assert (result, calls) == ("done", 4)
        assert (manager.counters.expired, manager.counters.failed, manager.counters.completed) == (0, 3, 1)

        calls = 0
        pipeline = Pipeline(timeout=30, policy=RetryPolicy("fixed", 5), breaker=CircuitBreaker())
        assert await pipeline.call(attempt) == "done"
        assert (pipeline.timeouts.expired, pipeline.timeouts.failed) == (0, 3)
        assert (pipeline.counters.retries, pipeline.counters.successes) == (3, 1)
        assert pipeline.breaker is not None
        assert pipeline.breaker.counters.failures == 3

    run_virtual(main)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_scenario_08_the_ten_thousandth_delay_takes_less_than_a_millisecond(strategy: str) -> None:
    policy, rng = RetryPolicy(strategy), Random(8)
    costs = []
    for retry in range(10_000, 10_050):
        before = time.perf_counter()
        delay = policy.delay(retry, rng)
        costs.append(time.perf_counter() - before)
        assert 10 <= delay <= 300
    assert statistics.median(costs) < 1e-3


@contextlib.contextmanager
def virtual_store() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, database_counted(patch):
        yield


def wall() -> float:
    """Epoch seconds on the loop's time, so that what is stored can be told from a real time."""
    return 1_800_000_000.0 + now()


async def dead_letters(
    path: Path, target: TargetSettings, handler: Callable[[Event], Any], seconds: float
) -> tuple[list[DeadLetter], float, EventBus]:
    """What the bus gave up after ``seconds``, and when the one event was published."""
    clock = LoopClock(asyncio.get_running_loop(), wall)
    async with open_bus(
        path,
        lambda bus: bus.subscribe("#", handler, name="r"),
        settings=settings(target_defaults=target),
        clock=clock,
        protect=True,
    ) as bus:
        published = wall()
        await bus.publish("order.placed", {"number": 8})
        await asyncio.sleep(seconds)
        letters, more = await bus.dead_letter_queue.page()
        assert not more
        assert bus.pending == 0
    return letters, published, bus


def test_scenario_08_after_five_retries_the_bus_holds_one_dead_letter_with_all(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        calls: list[float] = []

        async def handler(event: Event) -> None:
            calls.append(wall())
            raise OSError(f"failure {len(calls)}")

        # The seed's defaults, and a breaker that lets all six attempts through.
        target = TargetSettings(breaker=BreakerSettings(failure_threshold=7))
        letters, published, _ = await dead_letters(tmp_path / "e.db", target, handler, 3_600)
        assert len(calls) == 6
        for delay, before, after in zip((1, 2, 4, 8, 16), calls, calls[1:], strict=False):
            assert delay <= after - before <= 1.25 * delay + 0.01
        (letter,) = letters
        assert (letter.id, letter.event_type, letter.payload) == (1, "order.placed", {"number": 8})
        assert (letter.target, letter.attempts) == ("r", 6)
        assert [one["error"] for one in letter.errors] == [f"OSError: failure {n}" for n in range(1, 7)]
        assert [from_iso(one["at"]) for one in letter.errors] == pytest.approx(calls, abs=0.01)
        assert from_iso(letter.dead_at) == pytest.approx(calls[-1], abs=0.01)
        assert calls[0] - published < 0.1

    with virtual_store():
        run_virtual(main)


def test_scenario_09_a_permanent_error_is_a_dead_letter_at_once_and_no_failure(tmp_path: Path) -> None:
    async def main() -> None:
        calls: list[float] = []

        async def handler(event: Event) -> None:
            calls.append(wall())
            try:
                int("eight")
            except ValueError as error:
                raise PermanentError(f"no number: {error}") from error

        letters, _, bus = await dead_letters(tmp_path / "e.db", TargetSettings(), handler, 120)
        (letter,) = letters
        assert (len(calls), letter.attempts, len(letter.errors)) == (1, 1, 1)
        assert from_iso(letter.dead_at) - calls[0] < 0.1
        breaker = bus.circuit_breakers["r"]
        assert (breaker.state, breaker.failure_count, breaker.counters.failures) == (CLOSED, 0, 0)
        assert breaker.counters.ignored == 1

    with virtual_store():
        run_virtual(main)


def test_scenario_09_an_error_that_is_classed_permanent_is_not_retried_alone_either() -> None:
    async def main() -> None:
        letters: list[RetriesExhausted] = []
        retries, started, calls = RetryHandler(), now(), 0

        def refuse() -> None:
            nonlocal calls
            calls += 1
            raise ValueError("no number")

        def mended(error: Exception) -> bool:
            return not isinstance(error, ValueError)

        breaker = CircuitBreaker(is_failure=mended)
        with pytest.raises(ValueError, match="no number"):
            await retries.retry_with_backoff(
                lambda: breaker.call(refuse), retry_on=mended, dead_letter=letters.append
            )
        assert (calls, retries.counters.retries, retries.counters.permanent) == (1, 0, 1)
        assert [[str(error) for _, error in letter.errors] for letter in letters] == [["no number"]]
        assert (breaker.failure_count, breaker.counters.failures) == (0, 0)

        pipeline = Pipeline(breaker=breaker, policy=RetryPolicy(), retry_on=mended)
        with pytest.raises(ValueError, match="no number"):
            await pipeline.call(refuse)
        assert (calls, pipeline.counters.retries, breaker.counters.failures, now()) == (2, 0, 0, started)

    run_virtual(main)


class Busy(Exception):
    retry_after = 120.0


def test_scenario_10_retry_after_is_kept_by_the_pipeline_unless_the_deadline_is_sooner() -> None:
    async def main() -> None:
        calls: list[float] = []

        async def busy_once() -> str:
            calls.append(now())
            if len(calls) == 1:
                raise Busy
            return "done"

        pipeline = Pipeline(policy=RetryPolicy())
        assert await pipeline.call(busy_once) == "done"
        assert 120 <= calls[1] - calls[0] <= 300

        for seconds in (5.0, 100.0, 119.0):
            calls.clear()
            started = now()
            with pytest.raises(RetriesExhausted) as caught:
                async with DeadlineScope(seconds):
                    await pipeline.call(busy_once)
            assert caught.value.deadline_reached
            assert (len(calls), now()) == (1, started), "given up at once"
        assert pipeline.counters.late == 3

    run_virtual(main)


@pytest.mark.parametrize("wished", [120.0, 1_000.0])
def test_scenario_10_no_retry_is_made_that_would_come_before_its_time(wished: float) -> None:
    async def main() -> None:
        calls = 0

        async def busy() -> None:
            nonlocal calls
            calls += 1
            error = Busy()
            error.retry_after = wished
            raise error

        for call in (Pipeline(policy=RetryPolicy()).call, RetryHandler().retry_with_backoff):
            calls = 0
            started = now()
            with pytest.raises(RetriesExhausted) as caught:
                async with DeadlineScope(wished * 0.9):
                    await call(busy)
            assert caught.value.deadline_reached
            assert (calls, now()) == (1, started)

    run_virtual(main)


def test_scenario_10_the_bus_keeps_retry_after_too(tmp_path: Path) -> None:
    async def main() -> None:
        calls: list[float] = []

        async def handler(event: Event) -> None:
            calls.append(wall())
            if len(calls) == 1:
                raise Busy

        letters, _, _ = await dead_letters(tmp_path / "e.db", TargetSettings(), handler, 400)
        assert letters == []
        assert 120 <= calls[1] - calls[0] <= 121

    with virtual_store():
        run_virtual(main)
