"""Whoever listens to a pattern hears what happens, in order, and cannot harm it. Time is virtual."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from event_monitor.resilience import (
    Bulkhead,
    BulkheadFull,
    BulkheadTimeout,
    CheckKind,
    CircuitBreaker,
    CircuitOpenError,
    DeadlineExceeded,
    FallbackChain,
    Health,
    HealthMonitor,
    Pipeline,
    RetriesExhausted,
    RetryHandler,
    RetryPolicy,
    TimeoutManager,
)
from event_monitor.resilience.breaker import BreakerChange
from event_monitor.resilience.fallback import Step
from event_monitor.resilience.health import POLICIES
from tests.resilience.helpers import CLOSED, HALF_OPEN, OPEN, Clock, fail_times, fails, opened, works
from tests.virtual import run_virtual


class Broken:
    """A listener that remembers what it was told and then raises."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __call__(self, *told: Any) -> None:
        self.told.append(told)
        raise RuntimeError("a listener that fails")


def failures_logged(caplog: pytest.LogCaptureFixture) -> int:
    found = [record for record in caplog.records if record.name == "event_monitor.resilience.listeners"]
    assert all(record.levelno == logging.ERROR and record.exc_info for record in found)
    return len(found)


def test_a_breakers_listener_that_raises_harms_neither_calls_nor_state_nor_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        breaker = CircuitBreaker(recovery_timeout=1)
        heard: list[BreakerChange] = []
        breaker.listeners += [Broken(), lambda _, change: heard.append(change)]
        for _ in range(5):
            with pytest.raises(OSError, match="down"):
                await breaker.call(fails)
        assert breaker.state is OPEN
        with pytest.raises(CircuitOpenError):
            await breaker.call(works)
        await asyncio.sleep(1)
        assert await breaker.call(works) == "done"
        breaker.force_open("ann", "")
        breaker.reset("ann")
        expected = [OPEN, HALF_OPEN, CLOSED, OPEN, CLOSED]
        assert [change.to_state for change in heard] == expected

    run_virtual(main)
    assert failures_logged(caplog) == 5


def test_what_a_listener_causes_is_heard_by_all_after_what_it_heard_itself() -> None:
    breaker = CircuitBreaker(clock=Clock())
    first: list[tuple[str, str]] = []
    last: list[tuple[str, str]] = []

    def heals(breaker: CircuitBreaker, change: BreakerChange) -> None:
        first.append((change.from_state, change.to_state))
        if change.to_state is OPEN:
            breaker.reset("a listener")

    breaker.listeners += [heals, lambda _, change: last.append((change.from_state, change.to_state))]
    fail_times(breaker, 5)
    assert breaker.state is CLOSED
    assert first == last == [("CLOSED", "OPEN"), ("OPEN", "CLOSED")]


def test_a_listener_that_opens_for_good_is_obeyed_by_the_probe_that_it_heard_of() -> None:
    clock = Clock()
    breaker = opened(clock)

    def stop(breaker: CircuitBreaker, change: BreakerChange) -> None:
        if change.to_state is HALF_OPEN:
            breaker.force_open("kill switch", "stop")

    breaker.listeners.append(stop)
    clock.now += 30
    with pytest.raises(CircuitOpenError, match="until a person closes it"):
        breaker.acquire()
    assert breaker.state is OPEN


def test_a_breaker_counts_each_state_that_it_enters() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    breaker.acquire()
    clock.now += 60 + 30
    breaker.acquire().success()
    breaker.reset("ann")
    counters = breaker.counters
    assert (counters.opened, counters.half_opened, counters.closed, counters.lost) == (2, 2, 1, 1)


def test_retries_are_told_and_counted_whoever_listens(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        retry, exhausted = Broken(), Broken()
        handler = RetryHandler(on_retry=retry, on_exhausted=exhausted)
        with pytest.raises(RetriesExhausted):
            await handler.retry_with_backoff(fails, max_retries=2)
        assert [told[0] for told in retry.told] == [0, 1]
        assert len(exhausted.told) == 1

        pipeline = Pipeline(policy=RetryPolicy(max_retries=2), timeout=1)
        pipeline.on_retry = again = Broken()
        with pytest.raises(RetriesExhausted):
            await pipeline.call(fails)
        assert await pipeline.call(works) == "done"
        assert [told[0] for told in again.told] == [0, 1]
        counters, timeouts = pipeline.counters, pipeline.timeouts
        assert (counters.attempts, counters.retries, counters.successes, counters.exhausted) == (4, 2, 1, 1)
        assert (timeouts.completed, timeouts.failed, timeouts.expired, timeouts.cancelled) == (1, 3, 0, 0)

    run_virtual(main)
    assert failures_logged(caplog) == 5


def test_a_handler_alone_keeps_the_deadline_that_it_inherits() -> None:
    async def main() -> None:
        manager, calls = TimeoutManager(), 0

        def down() -> None:
            nonlocal calls
            calls += 1
            raise OSError("down")

        with pytest.raises(RetriesExhausted) as caught:
            await manager.run(lambda: RetryHandler().retry_with_backoff(down, "fixed"), 25.0)
        assert caught.value.deadline_reached
        assert 2 <= calls <= 3, "a third wait would pass the deadline"

    run_virtual(main)


def test_refusals_of_a_bulkhead_are_told(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1, 1)
        bulkhead.on_refused = refused = Broken()
        assert bulkhead.try_acquire()
        waiting = asyncio.create_task(bulkhead.acquire())
        await asyncio.sleep(0)
        with pytest.raises(BulkheadFull):
            await bulkhead.acquire()
        with pytest.raises(BulkheadTimeout):
            await waiting
        assert [type(error) for (error,) in refused.told] == [BulkheadFull, BulkheadTimeout]
        assert (bulkhead.busy, bulkhead.waiting) == (1, 0)

    run_virtual(main)
    assert failures_logged(caplog) == 2


@pytest.mark.parametrize("hard_kill", [False, True])
def test_each_end_of_a_timed_call_is_counted_and_its_limits_are_told(hard_kill: bool) -> None:
    async def main() -> None:
        expired, abandoned = Broken(), Broken()
        manager = TimeoutManager(on_expired=expired, on_abandoned=abandoned)

        async def stubborn() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(3)

        await manager.run(works, hard_kill=hard_kill)
        with pytest.raises(OSError, match="down"):
            await manager.run(fails, hard_kill=hard_kill)
        with pytest.raises(DeadlineExceeded):
            await manager.run(lambda: asyncio.sleep(60), 2.0, hard_kill=hard_kill, name="slow")
        task = asyncio.create_task(manager.run(lambda: asyncio.sleep(60), hard_kill=hard_kill))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        counters = manager.counters
        assert (counters.completed, counters.failed, counters.cancelled, counters.expired) == (1, 1, 1, 1)
        assert [(name, round(seconds, 3)) for name, seconds in expired.told] == [("slow", 2.0)]
        if hard_kill:
            with pytest.raises(DeadlineExceeded):
                await manager.run(stubborn, 2.0, hard_kill=True, name="stubborn")
            assert [left.name for (left,) in abandoned.told] == ["stubborn"]
            await asyncio.sleep(10)
            assert (counters.abandoned, counters.returned, manager.abandoned) == (1, 1, {})

    run_virtual(main)


def test_degraded_mode_is_told_and_who_answered_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        degraded = Broken()
        steps = [Step("first", fails), Step("second", works)]
        chain = FallbackChain("x", steps, on_degraded=degraded)
        for primary in (fails, fails, works):
            assert (await chain.call(primary)).value == "done"
        assert degraded.told == [(True, "second"), (False, "second")]
        counters = chain.counters
        assert (counters.primary, counters.failed, counters.fallback, counters.failed_steps) == (1, 2, 2, 2)
        assert counters.degraded == 1

    run_virtual(main)
    assert failures_logged(caplog) == 2


def test_checks_go_on_whoever_listens_and_are_counted() -> None:
    async def main() -> None:
        down = False

        async def probe() -> None:
            await asyncio.sleep(12 if down else 0)

        change, result = Broken(), Broken()
        monitor = HealthMonitor({CheckKind.READINESS: probe}, POLICIES, on_change=change, on_result=result)
        task = asyncio.create_task(monitor.run())
        await asyncio.sleep(25)
        down = True
        await asyncio.sleep(60)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        counters = monitor.counters(CheckKind.READINESS)
        assert [told[1] for told in change.told] == [Health.PASS, Health.PASS, Health.FAIL]
        assert (counters.changes, counters.checks) == (2, len(result.told))
        assert counters.failed == counters.late >= 2
        assert monitor.counters(CheckKind.LIVENESS).checks == 0

    run_virtual(main)


def test_a_probe_that_swallows_its_limit_is_late_all_the_same() -> None:
    async def main() -> None:
        async def stubborn() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return

        monitor = HealthMonitor({CheckKind.STARTUP: stubborn})
        task = asyncio.create_task(monitor.run())
        await asyncio.sleep(104)
        assert monitor.health(CheckKind.STARTUP) is Health.FAIL
        counters = monitor.counters(CheckKind.STARTUP)
        assert (counters.checks, counters.late, counters.failed) == (3, 3, 3)
        assert counters.skipped >= 5
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(main)


# --- the seed's names, parameters and defaults -----------------------------------------------------


@pytest.mark.parametrize(
    ("made", "figures"),
    [
        (CircuitBreaker, {"failure_threshold": 5, "timeout": 60, "recovery_timeout": 30}),
        (Bulkhead, {"max_concurrent": 10, "queue_size": 50, "timeout": 30}),
        (RetryPolicy, {"strategy": "exponential", "max_retries": 5, "max_delay": 300}),
    ],
)
def test_each_pattern_is_made_alone_with_the_seeds_figures(
    made: Callable[..., Any], figures: dict[str, Any]
) -> None:
    for pattern in (made(), made(*figures.values()), made(**figures)):
        assert {name: getattr(pattern, name) for name in figures} == figures


def test_a_breaker_begins_as_the_seed_says_and_tells_its_last_failure() -> None:
    breaker = CircuitBreaker(clock=Clock())
    assert (breaker.failure_count, breaker.last_failure, breaker.state) == (0, None, "CLOSED")
    breaker.acquire().failure(OSError("down"))
    assert (breaker.failure_count, breaker.last_failure) == (1, 1_000.0)
