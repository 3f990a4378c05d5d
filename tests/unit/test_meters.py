"""Rates and percentiles on a clock that the test moves."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.bus.meters import SECONDS, LatencyMeter, RateMeter
from event_monitor.model import Latency


class Clock:
    def __init__(self, now: float = 500.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_the_running_second_is_not_shown() -> None:
    clock = Clock()
    meter = RateMeter(clock)
    meter.add(7)
    assert (meter.series(), meter.per_second()) == ((), 0.0)
    clock.now += 1
    assert (meter.series(), meter.per_second()) == ((7,), 7.0)


def test_idle_seconds_count_as_none() -> None:
    clock = Clock()
    meter = RateMeter(clock)
    meter.add(10)
    clock.now += 4
    assert meter.series() == (10, 0, 0, 0)
    assert meter.per_second() == 2.5
    clock.now += 2
    assert meter.per_second() == 0.0


def test_two_minutes_are_kept_and_no_more() -> None:
    clock = Clock()
    meter = RateMeter(clock)
    for second in range(300):
        meter.add(second)
        clock.now += 1
    series = meter.series()
    assert series == tuple(range(300))[-(SECONDS - 1) :]
    clock.now += 10_000
    assert meter.series() == (0,) * (SECONDS - 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 200), st.integers(0, 50)), max_size=30))
def test_the_series_is_a_histogram_by_second(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    meter = RateMeter(clock)
    counted: dict[int, int] = {}
    for wait, count in steps:
        clock.now += wait
        meter.add(count)
        counted[int(clock.now)] = counted.get(int(clock.now), 0) + count
    now = int(clock.now)
    first = max(500, now - SECONDS + 1)
    assert meter.series() == tuple(counted.get(second, 0) for second in range(first, now))


def test_without_samples_there_is_no_percentile() -> None:
    assert LatencyMeter(Clock()).percentiles() == Latency()


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_within_12_percent(seed: int) -> None:
    rng = random.Random(seed)
    samples = [rng.lognormvariate(-6, 1.5) for _ in range(4_000)]
    meter = LatencyMeter(Clock())
    for sample in samples:
        meter.add(sample)
    samples.sort()
    found = meter.percentiles()
    for share, value in ((0.5, found.p50), (0.95, found.p95), (0.99, found.p99)):
        exact = samples[math.ceil(share * len(samples)) - 1] * 1_000
        assert value is not None
        assert exact <= value * 1.001 and value <= exact * 1.125


def test_each_second_of_the_last_minute_has_its_own_p95() -> None:
    clock = Clock()
    meter = LatencyMeter(clock)
    meter.add(0.001, 100)
    clock.now += 2
    meter.add(1.0, 100)
    clock.now += 1
    meter.add(9.0)
    series = meter.series()
    assert len(series) == 59 and set(series[:-3]) == {0.0}
    assert 1.0 <= series[-3] < 1.2 and series[-2] == 0.0 and 1_000 <= series[-1] < 1_130
    clock.now += 60
    assert set(meter.series()) == {0.0}


def test_old_samples_fade_after_a_minute() -> None:
    clock = Clock()
    meter = LatencyMeter(clock)
    meter.add(5.0, 1_000)
    clock.now += 30
    meter.add(0.001)
    high = meter.percentiles().p50
    assert high is not None and high > 4_000
    clock.now += 31
    low = meter.percentiles().p99
    assert low is not None and low < 1.2
    clock.now += 60
    assert meter.percentiles() == Latency()


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e9])
def test_extreme_durations_stay_within_the_scale(seconds: float) -> None:
    meter = LatencyMeter(Clock())
    meter.add(seconds)
    median = meter.percentiles().p50
    assert median is not None and 0 < median < 1e10
