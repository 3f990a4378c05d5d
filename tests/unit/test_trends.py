"""Trends in steps on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.bus.trends import (
    CALL_STEP,
    CALL_STEPS,
    KEPT_TYPES,
    RECENT,
    TYPE_STEP,
    TYPE_STEPS,
    CallTrend,
    TypeMeter,
)
from event_monitor.config import RetrySettings
from event_monitor.resilience.retry import PermanentError
from tests.resilience.services import Scripted, guarded


class Clock:
    def __init__(self, now: float = 500.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# --- calls ----------------------------------------------------------------------------------


def test_a_step_keeps_its_slowest_call_and_its_failures() -> None:
    clock = Clock()
    trend = CallTrend(clock)
    trend.add(0.010, failed=False)
    trend.add(0.300, failed=False)
    trend.add(9.000, failed=True)
    assert (trend.slowest_ms(), trend.failures()) == ((), ())
    clock.now += CALL_STEP
    trend.add(0.5, failed=True)
    clock.now += 2 * CALL_STEP
    assert trend.slowest_ms() == (300.0, None, None)
    assert trend.failures() == (1, 1, 0)


def test_calls_are_forgotten_after_five_minutes() -> None:
    clock = Clock()
    trend = CallTrend(clock)
    trend.add(0.1, failed=True)
    clock.now += CALL_STEPS * CALL_STEP
    assert trend.failures() == (1, *[0] * (CALL_STEPS - 1))
    clock.now += CALL_STEP
    assert trend.failures() == (0,) * CALL_STEPS
    clock.now += 1e6
    assert trend.slowest_ms() == (None,) * CALL_STEPS


async def test_a_services_calls_make_its_trend() -> None:
    """A failed attempt that a person's mistake caused is no failure of the service."""
    outcome: list[Exception | None] = [None, ConnectionError("gone"), PermanentError("a bad argument")]

    async def act() -> str:
        error = outcome.pop(0)
        if error is not None:
            raise error
        return "done"

    guard = guarded(Scripted("db", act), retry=RetrySettings(max_retries=0))
    clock = Clock()
    guard.trend = CallTrend(clock)
    await guard.call("look")
    for error in (ConnectionError, PermanentError):
        with pytest.raises(error):
            await guard.call("look")
    clock.now += CALL_STEP
    assert guard.view().failures == (1,)
    (slowest,) = guard.view().slowest_ms
    assert slowest is not None and slowest >= 0


async def test_a_cancelled_call_is_no_failure() -> None:
    started = asyncio.Event()

    async def act() -> None:
        started.set()
        await asyncio.Event().wait()

    guard = guarded(Scripted("db", act))
    clock = Clock()
    guard.trend = CallTrend(clock)
    call = asyncio.create_task(guard.call("look"))
    await started.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    clock.now += CALL_STEP
    assert guard.trend.failures() == (0,)


# --- event types ----------------------------------------------------------------------------


def test_types_are_ranked_by_the_last_minute() -> None:
    clock = Clock()
    meter = TypeMeter(clock)
    meter.add(["old"] * 100 + ["both"])
    clock.now += RECENT
    meter.add(["both"] * 3 + ["new"])
    assert [one.event_type for one in meter.top(9)] == ["old", "both"]
    clock.now += TYPE_STEP
    both, new, old = meter.top(9)
    assert (both.event_type, both.per_second, both.share) == ("both", round(3 / RECENT, 3), 0.75)
    assert (new.share, old.share, old.per_second) == (0.25, 0.0, 0.0)
    assert both.series == (1, *[0] * (RECENT // TYPE_STEP - 1), 3)
    assert old.series[0] == 100


def test_what_is_not_among_the_first_is_told_together() -> None:
    clock = Clock()
    meter = TypeMeter(clock)
    meter.add(["a"] * 3 + ["b"] * 2 + ["c", "d"])
    clock.now += TYPE_STEP
    assert [(one.event_type, one.series) for one in meter.top(2)] == [("a", (3,)), ("b", (2,)), ("", (2,))]
    assert sum(one.share for one in meter.top(2)) == pytest.approx(1.0, abs=1e-3)


def test_any_number_of_types_takes_a_bounded_place() -> None:
    clock = Clock()
    meter = TypeMeter(clock)
    for step in range(3 * TYPE_STEPS):
        meter.add(f"type.{step}.{number}" for number in range(2 * KEPT_TYPES))
        clock.now += TYPE_STEP
    meter.add([])
    assert sum(map(len, meter._kept)) <= (TYPE_STEPS + 1) * (KEPT_TYPES + 1)
    *_, others = meter.top(3)
    assert sum(others.series) == 2 * KEPT_TYPES * TYPE_STEPS - 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 40, allow_nan=False),
            st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=5),
        ),
        max_size=40,
    )
)
def test_nothing_is_lost_or_counted_twice(story: list[tuple[float, list[str]]]) -> None:
    """Against a list of all that happened: the sums of each step, however long the pauses are."""
    clock = Clock()
    meter = TypeMeter(clock)
    happened: list[tuple[int, str]] = []
    for wait, names in story:
        clock.now += wait
        meter.add(names)
        happened += [(int(clock.now) // TYPE_STEP, name) for name in names]
    now = int(clock.now) // TYPE_STEP
    kept = Counter((step, name) for step, name in happened if now - TYPE_STEPS <= step < now)
    found = Counter(
        {
            (now - len(one.series) + place, one.event_type): count
            for one in meter.top(9)
            for place, count in enumerate(one.series)
            if count
        }
    )
    assert found == kept
