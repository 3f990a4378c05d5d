"""The circuit breaker's rates of failed and slow calls, and settings that it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.resilience import CircuitBreaker
from tests.resilience.test_breaker import CLOSED, OPEN, Clock, fail_times


def test_half_of_the_last_calls_failing_opens_once_there_are_enough() -> None:
    breaker = CircuitBreaker(clock=Clock(), minimum_calls=10)
    for _ in range(4):
        breaker.acquire().success()
        fail_times(breaker, 1)
    breaker.acquire().success()
    assert breaker.state is CLOSED, "nine calls"
    fail_times(breaker, 1)
    assert breaker.state is OPEN


def test_outcomes_older_than_the_window_are_forgotten() -> None:
    breaker = CircuitBreaker(clock=Clock(), window=10, minimum_calls=10)
    for _ in range(4):
        fail_times(breaker, 1)
        breaker.acquire().success()
    for _ in range(10):
        breaker.acquire().success()
    fail_times(breaker, 4)
    assert breaker.state is CLOSED, "4 of the last 10"
    breaker = CircuitBreaker(clock=Clock(), window=10, minimum_calls=20)
    for _ in range(5):
        breaker.acquire().success()
        fail_times(breaker, 1)
    assert breaker.state is OPEN, "a window under minimum_calls still counts when it is full"


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8), st.integers(1, 8))
def test_it_opens_exactly_when_half_of_the_last_calls_failed(
    calls: list[bool], window: int, minimum: int
) -> None:
    breaker = CircuitBreaker(100, clock=Clock(), window=window, minimum_calls=minimum)
    for number, failed in enumerate(calls, 1):
        permit = breaker.acquire()
        permit.failure(OSError()) if failed else permit.success()
        last = calls[max(0, number - window) : number]
        too_many = failed and number >= min(minimum, window) and 2 * sum(last) >= len(last)
        assert (breaker.state is OPEN) == too_many
        if too_many:
            return


@pytest.mark.parametrize("how", ["success", "failure"])
def test_slow_calls_open_whether_they_succeed_or_fail(how: str) -> None:
    clock = Clock()
    breaker = CircuitBreaker(
        clock=clock, failure_threshold=100, failure_rate=None, slow_rate=0.5, slow_after=2, minimum_calls=4
    )
    for _ in range(4):
        permit = breaker.acquire()
        clock.now += 2
        permit.success() if how == "success" else permit.failure(OSError())
    assert (breaker.state, breaker.counters.slow) == (OPEN, 4)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"failure_threshold": 0}, "1 or more"),
        ({"timeout": math.nan}, "positive seconds"),
        ({"recovery_timeout": math.inf}, "positive seconds"),
        ({"failure_rate": 0.0}, "share"),
        ({"slow_rate": 1.1}, "share"),
        ({"probe_lease": 0.0}, "probe_lease"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        CircuitBreaker(**settings)
