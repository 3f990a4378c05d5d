"""Retries: how long apart, how often, and when not at all. Time is virtual."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.resilience import PermanentError, RetriesExhausted, RetryHandler, RetryPolicy

SEED = {
    "exponential": [1, 2, 4, 8, 16],
    "linear": [5, 10, 15, 20, 25],
    "fibonacci": [1, 1, 2, 3, 5],
    "fixed": [10, 10, 10, 10, 10],
}


@dataclass
class Time:
    """A clock that moves only when somebody sleeps."""

    now: float = 1_000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.now += seconds


@dataclass
class Failing:
    """Fails with the errors in turn, then answers ``done``."""

    errors: list[BaseException]
    calls: int = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def failures(count: int) -> Failing:
    return Failing([OSError(f"failure {number}") for number in range(1, count + 1)])


def handler(time: Time, **more: Any) -> RetryHandler:
    return RetryHandler(clock=time.clock, sleep=time.sleep, rng=random.Random(7), **more)


class Busy(Exception):
    def __init__(self, retry_after: Any) -> None:
        super().__init__("busy")
        self.retry_after = retry_after


@pytest.mark.parametrize("strategy", SEED)
async def test_scenario_08_the_delays_are_the_seeds(strategy: str) -> None:
    time = Time()
    assert await handler(time).retry_with_backoff(failures(5), strategy, jitter=0) == "done"
    assert time.slept == SEED[strategy]


@given(
    st.sampled_from(list(SEED)),
    st.integers(0, 10**30),
    st.floats(0.001, 10_000),
    st.floats(0, 1),
    st.integers(),
)
def test_scenario_08_every_delay_is_within_jitter_and_cap(
    strategy: str, retry: int, max_delay: float, jitter: float, seed: int
) -> None:
    delay = RetryPolicy(strategy, max_delay=max_delay, jitter=jitter).delay(retry, random.Random(seed))
    bare = RetryPolicy(strategy, max_delay=max_delay, jitter=0).delay(retry, random.Random(seed))
    assert bare <= delay <= max_delay
    assert delay <= bare * (1 + jitter)


@pytest.mark.parametrize("strategy", SEED)
def test_scenario_08_jitter_adds_up_to_a_quarter_and_is_drawn_anew(strategy: str) -> None:
    rng = random.Random(1)
    shares = [RetryPolicy(strategy).delay(2, rng) / SEED[strategy][2] for _ in range(500)]
    assert 1 <= min(shares) < 1.02
    assert 1.23 < max(shares) <= 1.25


@pytest.mark.parametrize("strategy", ["exponential", "linear", "fibonacci"])
def test_scenario_08_a_late_attempt_waits_for_the_cap(strategy: str) -> None:
    policy = RetryPolicy(strategy)
    assert {policy.delay(retry, random.Random(3)) for retry in (100, 10_000, 10**18)} == {300.0}


async def test_scenario_08_after_five_retries_there_is_one_dead_letter_with_all_errors() -> None:
    time, letters = Time(), list[RetriesExhausted]()
    function = failures(99)
    with pytest.raises(RetriesExhausted, match="given up after 6 attempts: OSError: failure 6") as caught:
        await handler(time).retry_with_backoff(function, jitter=0, dead_letter=letters.append)
    assert letters == [caught.value]
    assert function.calls == 6
    assert [(at, str(error)) for at, error in caught.value.errors] == [
        (1_000, "failure 1"),
        (1_001, "failure 2"),
        (1_003, "failure 3"),
        (1_007, "failure 4"),
        (1_015, "failure 5"),
        (1_031, "failure 6"),
    ]
    assert caught.value.__cause__ is caught.value.errors[-1][1]
    assert not caught.value.deadline_reached


async def test_the_dead_letter_is_written_before_the_caller_learns_of_it() -> None:
    steps: list[str] = []

    async def write(exhausted: RetriesExhausted) -> None:
        await asyncio.sleep(0)
        steps.append("written")

    with pytest.raises(RetriesExhausted):
        await handler(Time()).retry_with_backoff(failures(9), max_retries=0, dead_letter=write)
    assert steps == ["written"]


@given(st.floats(0.1, 100), st.sampled_from(list(SEED)), st.integers(0, 50))
def test_it_never_sleeps_past_the_deadline(budget: float, strategy: str, retries: int) -> None:
    time = Time()
    deadline = time.now + budget
    with pytest.raises(RetriesExhausted) as caught:
        asyncio.run(handler(time).retry_with_backoff(failures(99), strategy, retries, deadline=deadline))
    assert time.now < deadline
    assert caught.value.deadline_reached or len(caught.value.errors) == retries + 1


async def test_a_wait_that_would_be_too_long_ends_at_once() -> None:
    time = Time()
    with pytest.raises(RetriesExhausted) as caught:
        await handler(time).retry_with_backoff(failures(9), "fixed", deadline=1_008.0)
    assert caught.value.deadline_reached
    assert time.slept == []
    assert len(caught.value.errors) == 1


async def test_scenario_10_retry_after_beats_a_shorter_delay() -> None:
    time = Time()
    await handler(time).retry_with_backoff(Failing([Busy(120), Busy(0.5)]), jitter=0)
    assert time.slept == [120, 2]


async def test_scenario_10_retry_after_past_the_deadline_gives_up_at_once() -> None:
    time = Time()
    with pytest.raises(RetriesExhausted) as caught:
        await handler(time).retry_with_backoff(Failing([Busy(120)]), deadline=time.now + 100)
    assert caught.value.deadline_reached
    assert time.slept == []


async def test_scenario_10_the_cap_binds_retry_after_but_hides_no_missed_deadline() -> None:
    time = Time()
    await handler(time).retry_with_backoff(Failing([Busy(1_000)]), jitter=0)
    assert time.slept == [300]
    with pytest.raises(RetriesExhausted):
        await handler(time).retry_with_backoff(Failing([Busy(1_000)]), deadline=time.now + 400)
    assert time.slept == [300]


@pytest.mark.parametrize("wish", [math.nan, -5, "120", None])
async def test_a_retry_after_that_is_none_is_ignored(wish: object) -> None:
    time = Time()
    await handler(time).retry_with_backoff(Failing([Busy(wish)]), jitter=0)
    assert time.slept == [1]


async def test_permanent_errors_are_raised_as_they_are() -> None:
    time, function = Time(), Failing([PermanentError("no such thing")])
    retries = handler(time)
    with pytest.raises(PermanentError, match="no such thing"):
        await retries.retry_with_backoff(function)
    with pytest.raises(KeyError):
        await retries.retry_with_backoff(
            Failing([KeyError()]), retry_on=lambda error: isinstance(error, OSError)
        )
    assert (time.slept, function.calls, retries.counters.permanent) == ([], 1, 2)


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
async def test_what_ends_the_caller_is_neither_retried_nor_counted(error: type[BaseException]) -> None:
    time = Time()
    retries = handler(time)

    def call() -> None:
        raise error

    with pytest.raises(error):
        await retries.retry_with_backoff(call)
    counters = retries.counters
    assert (counters.attempts, counters.retries, counters.exhausted, time.slept) == (0, 0, 0, [])


async def test_a_cancellation_while_it_waits_ends_it() -> None:
    waits = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.set()
        await asyncio.get_running_loop().create_future()

    function = failures(9)
    retries = RetryHandler(sleep=sleep)
    task = asyncio.create_task(retries.retry_with_backoff(function))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (function.calls, retries.counters.exhausted) == (1, 0)


async def test_plain_functions_may_be_called_too() -> None:
    answers = iter([OSError("first"), 5])

    def call() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await handler(Time()).retry_with_backoff(call) == 5


async def test_callers_that_share_a_handler_do_not_disturb_each_other() -> None:
    time, delays = Time(), dict[str, list[float]]()

    def named(name: str, count: int) -> Callable[[], str]:
        errors = [OSError(name) for _ in range(count)]

        def call() -> str:
            if errors:
                raise errors.pop()
            return name

        return call

    def note(retry: int, delay: float, error: Exception) -> None:
        delays.setdefault(str(error), []).append(delay)

    shared = handler(time, on_retry=note)
    await asyncio.gather(
        *(
            shared.retry_with_backoff(named(name, 4), strategy, jitter=0)
            for name, strategy in zip("abc", ["exponential", "fibonacci", "exponential"], strict=True)
        )
    )
    assert delays == {"a": [1, 2, 4, 8], "b": [1, 1, 2, 3], "c": [1, 2, 4, 8]}


async def test_counters_say_what_happened() -> None:
    retries = handler(Time())
    await retries.retry_with_backoff(failures(2))
    with pytest.raises(RetriesExhausted):
        await retries.retry_with_backoff(failures(9), max_retries=1)
    counters = retries.counters
    assert (counters.attempts, counters.retries, counters.successes, counters.exhausted) == (5, 3, 1, 1)


async def test_a_strategy_of_ones_own_belongs_to_its_handler() -> None:
    time = Time()
    mine = handler(time)
    mine.strategies["steady"] = lambda n: 7.0
    await mine.retry_with_backoff(failures(2), "steady", jitter=0)
    assert time.slept == [7, 7]
    with pytest.raises(ValueError, match="'steady' is not a retry strategy: choose exponential, linear"):
        await handler(time).retry_with_backoff(failures(1), "steady")


@pytest.mark.parametrize("answer", [-1.0, math.nan])
def test_a_strategy_that_answers_nonsense_is_named(answer: float) -> None:
    with pytest.raises(ValueError, match=r"the retry strategy answered .* for retry 3"):
        RetryPolicy(lambda n: answer).delay(3, random.Random())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"strategy": "cubic"}, "'cubic' is not a retry strategy"),
        ({"max_retries": -1}, "max_retries is -1"),
        ({"max_delay": 0}, "max_delay is 0"),
        ({"max_delay": math.nan}, "max_delay is nan"),
        ({"max_delay": math.inf}, "max_delay is inf"),
        ({"jitter": 1.5}, "jitter is 1.5"),
        ({"jitter": math.nan}, "jitter is nan"),
    ],
)
def test_a_policy_checks_its_figures(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RetryPolicy(**wrong)


async def test_one_handler_keeps_the_limits_of_each_call_apart() -> None:
    time = Time()
    shared = handler(time)
    shared.strategies["mine"] = lambda n: 1.0
    for limits in ({}, {"max_delay": 3.0}, {"strategy": "linear"}, {"strategy": "mine"}, {}):
        assert await shared.retry_with_backoff(failures(3), jitter=0, **limits) == "done"  # type: ignore[arg-type]
    assert time.slept == [1, 2, 4, 1, 2, 3, 5, 10, 15, 1, 1, 1, 1, 2, 4]
    shared.strategies["mine"] = lambda n: 7.0
    await shared.retry_with_backoff(failures(1), "mine", jitter=0)
    assert time.slept[-1] == 7
    with pytest.raises(RetriesExhausted):
        await shared.retry_with_backoff(failures(1), "mine", max_retries=0, jitter=0)
    with pytest.raises(ValueError, match="max_retries is -1"):
        await shared.retry_with_backoff(failures(0), "mine", max_retries=-1, jitter=0)
