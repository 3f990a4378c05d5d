"""The bulkhead against a plain model, in any order of arrivals, ends, cancellations and timeouts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from types import ModuleType
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from event_monitor.resilience import bulkhead as real
from tests.reached import must_reach, reached
from tests.virtual import VirtualLoop

BOUNDED = settings(derandomize=True, max_examples=200, stateful_step_count=40, deadline=None, database=None)

# Waits end between the steps of time, so that none ends together with one.
PLACES, QUEUE, WAIT, STEP = 2, 3, 5.05, 0.5


def bulkhead_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """The machine for the bulkhead of a module: the real one, or one with a planted bug."""

    class BulkheadMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.loop = VirtualLoop()
            # Python 3.11 may fail (gh-106905) when a lost task's traceback is printed within a parse.
            self.loop.set_exception_handler(lambda loop, context: None)
            self.bulkhead = module.Bulkhead(PLACES, QUEUE, WAIT)
            self.inside: list[asyncio.Task[None]] = []
            self.granted: list[asyncio.Task[None]] = []
            self.queue: list[tuple[asyncio.Task[None], float]] = []
            self.given_up: list[asyncio.Task[None]] = []
            self.expected = {"entered": 0, "rejected": 0, "timed_out": 0, "cancelled": 0}

        def run(self, main: Coroutine[Any, Any, Any]) -> None:
            self.loop.run_until_complete(main)

        def settle(self, seconds: float = 0.0) -> None:
            """Let the loop run what is ready, and the model say what must come of it."""

            async def main() -> None:
                for _ in range(4):
                    await asyncio.sleep(0)
                if seconds:
                    await asyncio.sleep(seconds)
                    for _ in range(4):
                        await asyncio.sleep(0)

            self.run(main())
            for task in [task for task in self.granted if task in self.given_up]:
                self.granted.remove(task)
                self.give_on()
                reached("a place is given to one that was cancelled")
            for task in self.granted:
                assert task.done(), "a place was given and not taken"
                assert task.exception() is None
                self.expected["entered"] += 1
            self.inside += self.granted
            self.granted = []
            for task in self.given_up:
                assert task.cancelled(), "a cancellation was swallowed"
            self.expected["cancelled"] += len(self.given_up)
            self.given_up = []
            for task, until in list(self.queue):
                if self.loop.now > until:
                    self.queue.remove((task, until))
                    assert type(task.exception()) is module.BulkheadTimeout
                    self.expected["timed_out"] += 1
                    reached("a wait ends without a place")
                else:
                    assert not task.done(), "somebody overtook the queue"

        def give_on(self) -> None:
            if self.queue:
                self.granted.append(self.queue.pop(0)[0])

        @rule()
        def arrive(self) -> None:
            self.settle()
            task = self.loop.create_task(self.bulkhead.acquire())
            if len(self.inside) < PLACES:
                self.granted.append(task)
            elif len(self.queue) < QUEUE:
                self.queue.append((task, self.loop.now + WAIT))
            else:
                self.expected["rejected"] += 1
                self.settle()
                assert type(task.exception()) is module.BulkheadFull
                reached("the queue is full")
            self.settle()

        @precondition(lambda self: self.inside)
        @rule(place=st.integers(0, 9))
        def leave(self, place: int) -> None:
            self.inside.pop(place % len(self.inside))
            self.bulkhead.release()
            self.give_on()

        @precondition(lambda self: self.queue)
        @rule(place=st.integers(0, 9))
        def cancel_waiting(self, place: int) -> None:
            task, _ = self.queue.pop(place % len(self.queue))
            reached("one that waits is cancelled")
            assert task.cancel()
            self.given_up.append(task)

        @precondition(lambda self: self.granted)
        @rule(place=st.integers(0, 9))
        def cancel_granted(self, place: int) -> None:
            task = self.granted[place % len(self.granted)]
            if task not in self.given_up:
                assert task.cancel()
                self.given_up.append(task)

        @rule(steps=st.integers(0, 12))
        def wait(self, steps: int) -> None:
            self.settle()
            self.settle(steps * STEP)

        @invariant()
        def places_are_conserved(self) -> None:
            assert self.bulkhead.busy == len(self.inside) + len(self.granted)
            assert self.bulkhead.busy <= PLACES
            assert self.bulkhead.waiting == len(self.queue) <= QUEUE

        @invariant()
        def every_call_is_counted_once(self) -> None:
            if not self.granted and not self.given_up:
                counters = self.bulkhead.counters
                assert {name: getattr(counters, name) for name in self.expected} == self.expected

        def teardown(self) -> None:
            self.settle()
            while self.inside:
                self.leave(0)
                self.settle()
            idle = (self.bulkhead.busy, self.bulkhead.waiting)
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    self.loop.run_until_complete(task)
            self.loop.close()
            assert idle == (0, 0), "a place or a waiter is left over"

    return BulkheadMachine


def check_bulkhead(module: ModuleType, how: settings = BOUNDED) -> None:
    """Raise if the bulkhead of this module ever differs from the model."""
    run_state_machine_as_test(bulkhead_machine(module), settings=how)


def test_the_bulkhead_does_what_the_model_does() -> None:
    with must_reach(
        *("the queue is full", "a wait ends without a place"),
        *("a place is given to one that was cancelled", "one that waits is cancelled"),
    ):
        check_bulkhead(real)
