"""The token bucket against what its two numbers say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from event_monitor.bus.token_bucket import TokenBucket

STEPS = st.lists(st.integers(0, 5_000), min_size=1, max_size=60)


@given(rate=st.integers(1, 50), burst=st.integers(1, 50), steps=STEPS)
def test_no_span_gives_more_than_the_burst_and_what_the_rate_adds(
    rate: int, burst: int, steps: list[int]
) -> None:
    bucket = TokenBucket(rate, burst, 0.0)
    milliseconds, taken = 0, []
    for step in steps:
        milliseconds += step
        while bucket.take(milliseconds / 1_000):
            taken.append(milliseconds)
    for first in range(len(taken)):
        seconds = (taken[-1] - taken[first]) / 1_000
        assert len(taken) - first <= burst + rate * seconds + 1e-6


@given(rate=st.integers(1, 50), burst=st.integers(1, 50), steps=STEPS)
def test_whoever_takes_all_there_is_gets_all_that_the_rate_adds(
    rate: int, burst: int, steps: list[int]
) -> None:
    bucket = TokenBucket(rate, burst, 0.0)
    now = 0.0
    taken = 0
    tick = 0.5 / rate
    for _ in steps:
        now += tick
        while bucket.take(now):
            taken += 1
    assert taken >= burst + int(rate * (now - tick)) - 1


def test_reservations_stand_in_line_and_none_is_further_away_than_allowed() -> None:
    bucket = TokenBucket(10, 1, 0.0)
    waits = [bucket.reserve(0.0, longest=0.35) for _ in range(5)]
    assert [wait if wait is None else round(wait, 9) for wait in waits] == [0, 0.1, 0.2, 0.3, None]
    assert round(bucket.wait(0.0), 9) == 0.4
    assert not bucket.take(0.3)
    bucket.give_back()
    assert round(bucket.wait(0.3), 9) == 0
    assert bucket.take(0.3)


def test_a_clock_that_stands_still_or_goes_back_adds_nothing() -> None:
    bucket = TokenBucket(10, 2, 5.0)
    assert [bucket.take(5.0), bucket.take(4.0), bucket.take(0.0), bucket.take(5.0)] == [
        True,
        True,
        False,
        False,
    ]
    assert bucket.take(5.1)
    assert not bucket.full(5.1)
    assert bucket.full(5.4)
