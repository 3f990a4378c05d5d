"""``call`` takes a shorter way through the breaker than a permit does, to the same end."""

from __future__ import annotations

import asyncio
import math
import pickle
from collections.abc import Coroutine, Generator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from event_monitor.resilience import breaker as real
from event_monitor.resilience.breaker import CircuitBreaker, CircuitOpenError, SavedBreaker
from tests.resilience.test_breaker import OPEN, Clock

CANCEL = asyncio.CancelledError
STEPS = st.lists(
    st.one_of(
        st.just(("begin", 0)),
        st.just(("reset", 0)),
        st.tuples(st.sampled_from(["success", "failure", "cancel"]), st.integers(0, 4)),
        st.tuples(st.just("wait"), st.sampled_from([1, 4, 30])),
    ),
    max_size=60,
)


class Parked:
    """An awaitable that a test ends by hand."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def parked() -> str:
    await Parked()
    return "answer"


def end(running: Coroutine[Any, Any, str], how: str) -> None:
    """Let a call that waits come to its end."""
    if how == "success":
        with pytest.raises(StopIteration, match="answer"):
            running.send(None)
    else:
        error = OSError if how == "failure" else CANCEL
        with pytest.raises(error):
            running.throw(error())


def check_call_and_permit(module: ModuleType, limits: settings) -> None:
    """The same calls through ``call`` and through permits leave both breakers alike."""

    @limits
    @given(STEPS)
    @example([("begin", 0), ("reset", 0), ("success", 0)])
    @example([("begin", 0), ("failure", 0), ("begin", 0), ("success", 0)])
    @example([("begin", 0), ("wait", 3), ("success", 0)])
    def alike(steps: list[tuple[str, int]]) -> None:
        clock = Clock()

        def make() -> CircuitBreaker:
            breaker: CircuitBreaker = module.CircuitBreaker(
                2, 10, 20, window=4, minimum_calls=3, slow_rate=0.5, slow_after=3, clock=clock
            )
            return breaker

        called, permitted = make(), make()
        running: list[tuple[Coroutine[Any, Any, str], Any]] = []
        for step, number in steps:
            if step == "wait":
                clock.now += number
            elif step == "reset":
                called.reset("ada")
                permitted.reset("ada")
            elif step == "begin":
                coroutine = called.call(parked)
                try:
                    permit = permitted.acquire()
                except module.CircuitOpenError:
                    with pytest.raises(module.CircuitOpenError):
                        coroutine.send(None)
                else:
                    coroutine.send(None)
                    running.append((coroutine, permit))
            elif running:
                coroutine, permit = running.pop(number % len(running))
                end(coroutine, step)
                if step == "success":
                    permit.success()
                elif step == "failure":
                    permit.failure(OSError())
                else:
                    permit.release()
            assert called.counters == permitted.counters
            assert (called.state, called.failure_count, called.retry_after) == (
                permitted.state,
                permitted.failure_count,
                permitted.retry_after,
            )
            assert called._window == permitted._window
        for coroutine, _ in running:
            coroutine.close()

    alike()


def test_call_and_permit_leave_the_breaker_alike() -> None:
    check_call_and_permit(real, settings(max_examples=300, deadline=None))


async def test_without_a_clock_of_its_own_it_keeps_the_time_of_its_loop() -> None:
    breaker = CircuitBreaker(1, recovery_timeout=30)
    with pytest.raises(OSError, match="planted"):
        await breaker.call(fails)
    assert 29 < breaker.retry_after <= 30
    assert breaker.clock == asyncio.get_running_loop().time


async def fails() -> None:
    raise OSError("planted")


async def test_arguments_reach_the_function_and_a_plain_result_is_handed_on() -> None:
    breaker = CircuitBreaker()
    assert await breaker.call(divmod, 7, 2) == (3, 1)
    assert await breaker.call(int, "ff", base=16) == 255
    assert await breaker.call(dict) == {}
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result("awaited")
    assert await breaker.call(lambda: future) == "awaited"
    assert breaker.counters.successes == 4


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CircuitOpenError("github", 12.34), "the circuit breaker of github is open for 12.3 s more"),
        (CircuitOpenError("", math.inf), "the circuit breaker of this service is open until a person closes"),
    ],
)
def test_a_rejection_says_whose_breaker_is_open_and_for_how_long(error: CircuitOpenError, text: str) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert str(error).startswith(text)
    assert (str(again), again.retry_after) == (str(error), error.retry_after)


def test_a_saved_hold_lets_nothing_through_whatever_state_was_saved_with_it() -> None:
    breaker = CircuitBreaker(clock=Clock())
    breaker.restore(SavedBreaker("CLOSED", 0.0, 0.0, forced="open", by="ada"), 0.0)
    assert breaker.state is OPEN
    with pytest.raises(CircuitOpenError):
        breaker.acquire()
