"""One target's lane on virtual time: order, batches, deadlines, left-behind handlers, draining."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from event_monitor.bus.inflight import InFlight, Pending
from event_monitor.bus.lane import GRACE, HandlerCancelled, HandlerTimeout, Lane, single
from event_monitor.clock import LoopClock
from event_monitor.model import Event, Priority
from tests.virtual import run_virtual


def pending(number: int, priority: Priority = Priority.NORMAL, deadline: float | None = None) -> Pending:
    event = Event(
        id=number, timestamp="2026-01-01T00:00:00.000000Z", event_type="a", payload={}, priority=priority
    )
    return Pending(InFlight(event, ("t",), size=2, accepted_at=0.0, deadline=deadline), 0)


def number(delivery: Pending) -> int:
    return delivery.record.event.id


class Watched:
    """A lane and all that it reported."""

    def __init__(self, handle: Callable[[Sequence[Pending]], Any], **options: Any) -> None:
        self.settled: list[tuple[int, BaseException | None]] = []
        self.expired: list[int] = []
        self.changed = asyncio.Event()
        self.lane = Lane(
            "t",
            handle,
            clock=LoopClock(asyncio.get_running_loop()),
            settle=self._settle,
            expire=lambda delivery: self.expired.append(number(delivery)),
            ready=lambda lane: None,
            timeout=options.pop("timeout", 10.0),
            **options,
        )

    def _settle(
        self, lane: Lane, batch: Sequence[Pending], started: float, error: BaseException | None
    ) -> None:
        self.settled += [(number(delivery), error) for delivery in batch]
        self.changed.set()

    async def until(self, count: int) -> None:
        while len(self.settled) < count:
            self.changed.clear()
            await self.changed.wait()

    @property
    def ids(self) -> list[int]:
        return [identity for identity, _ in self.settled]


def test_the_most_urgent_goes_first_and_equals_keep_their_order() -> None:
    async def main() -> None:
        async def handle(batch: Sequence[Pending]) -> None:
            await asyncio.sleep(1)

        watched = Watched(handle)
        order = [Priority.LOW, Priority.NORMAL, Priority.CRITICAL, Priority.HIGH] * 3
        for place, priority in enumerate(order):
            watched.lane.push(pending(place, priority))
        watched.lane.start()
        await watched.until(12)
        assert watched.ids == [2, 6, 10, 3, 7, 11, 1, 5, 9, 0, 4, 8]
        await watched.lane.drain(0)

    run_virtual(main)


def test_a_batch_is_of_one_priority_and_never_larger_than_allowed() -> None:
    async def main() -> None:
        batches: list[list[int]] = []

        async def handle(batch: Sequence[Pending]) -> None:
            batches.append([number(delivery) for delivery in batch])

        watched = Watched(handle, batch_size=3)
        for place in range(4):
            watched.lane.push(pending(place, Priority.LOW))
        watched.lane.push(pending(9, Priority.HIGH))
        watched.lane.start()
        await watched.until(5)
        assert batches == [[9], [0, 1, 2], [3]]
        await watched.lane.drain(0)

    run_virtual(main)


def test_an_error_settles_its_batch_and_the_next_one_is_served() -> None:
    async def main() -> None:
        async def handle(delivery: Pending) -> None:
            if number(delivery) == 0:
                raise ValueError("no")

        watched = Watched(single(handle))
        watched.lane.start()
        watched.lane.push(pending(0))
        watched.lane.push(pending(1))
        await watched.until(2)
        assert [(identity, type(error)) for identity, error in watched.settled] == [
            (0, ValueError),
            (1, type(None)),
        ]
        await watched.lane.drain(0)

    run_virtual(main)


def test_a_deadline_cancels_the_handler_and_the_worker_goes_on() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        cancelled: list[float] = []

        async def handle(delivery: Pending) -> None:
            if number(delivery) == 0:
                try:
                    await asyncio.sleep(3_600)
                finally:
                    cancelled.append(loop.time())

        watched = Watched(single(handle), timeout=10.0)
        watched.lane.start()
        watched.lane.push(pending(0))
        began = loop.time()
        await watched.until(1)
        assert isinstance(watched.settled[0][1], HandlerTimeout)
        assert cancelled == [pytest.approx(began + 10)]
        watched.lane.push(pending(1))
        await watched.until(2)
        assert watched.settled[1] == (1, None)
        assert (watched.lane.timeouts, len(watched.lane.abandoned)) == (1, 0)
        await watched.lane.drain(loop.time())

    run_virtual(main)


def test_each_call_has_its_own_deadline() -> None:
    async def main() -> None:
        async def handle(batch: Sequence[Pending]) -> None:
            await asyncio.sleep(9.5)

        watched = Watched(handle, timeout=10.0)
        watched.lane.start()
        for place in range(20):
            watched.lane.push(pending(place))
        await watched.until(20)
        assert {error for _, error in watched.settled} == {None}
        await watched.lane.drain(0)

    run_virtual(main)


def test_a_handler_that_swallows_its_cancellation_is_left_behind_and_replaced() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        release = asyncio.Event()

        async def handle(delivery: Pending) -> None:
            while number(delivery) == 0 and not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        watched = Watched(single(handle), timeout=10.0)
        watched.lane.start()
        watched.lane.push(pending(0))
        watched.lane.push(pending(1))
        began = loop.time()
        await watched.until(1)
        assert loop.time() == pytest.approx(began + 10 + GRACE * 10)
        assert "cancellation was ignored" in str(watched.settled[0][1])
        await watched.until(2)
        assert watched.settled[1] == (1, None)
        assert len(watched.lane.abandoned) == 1
        release.set()
        await asyncio.sleep(1)
        assert not watched.lane.abandoned
        assert watched.ids == [0, 1], "the late end of the old worker settles nothing twice"
        watched.lane.push(pending(2))
        await watched.until(3)
        assert watched.lane.running == 0
        await watched.lane.drain(loop.time())

    run_virtual(main)


def test_a_handler_that_returns_in_its_grace_has_timed_out_once() -> None:
    async def main() -> None:
        async def handle(delivery: Pending) -> None:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                await asyncio.sleep(0.5)

        watched = Watched(single(handle), timeout=10.0)
        watched.lane.start()
        watched.lane.push(pending(0))
        await watched.until(1)
        await asyncio.sleep(30)
        assert watched.ids == [0]
        await watched.lane.drain(0)

    run_virtual(main)


def test_a_cancellation_from_within_the_handler_is_a_failure_and_ends_no_worker() -> None:
    async def main() -> None:
        async def handle(delivery: Pending) -> None:
            if number(delivery) == 0:
                inner = asyncio.ensure_future(asyncio.sleep(3_600))
                inner.cancel()
                await inner

        watched = Watched(single(handle))
        watched.lane.start()
        watched.lane.push(pending(0))
        watched.lane.push(pending(1))
        await watched.until(2)
        assert [(identity, type(error)) for identity, error in watched.settled] == [
            (0, HandlerCancelled),
            (1, type(None)),
        ]
        assert watched.lane.interrupted == []
        await watched.lane.drain(0)

    run_virtual(main)


def test_concurrency_is_reached_and_never_passed() -> None:
    async def main() -> None:
        running = peak = 0

        async def handle(batch: Sequence[Pending]) -> None:
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(1)
            running -= 1

        watched = Watched(handle, concurrency=4)
        watched.lane.start()
        await asyncio.sleep(1)
        for place in range(40):
            watched.lane.push(pending(place))
        began = asyncio.get_running_loop().time()
        await watched.until(40)
        assert peak == 4
        assert asyncio.get_running_loop().time() - began == pytest.approx(10)
        await watched.lane.drain(0)

    run_virtual(main)


def test_what_expired_in_the_queue_never_reaches_the_handler() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def handle(batch: Sequence[Pending]) -> None:
            await asyncio.sleep(5)

        watched = Watched(handle, batch_size=2)
        watched.lane.push(pending(0))
        watched.lane.push(pending(1))
        watched.lane.push(pending(2, deadline=loop.time() + 4))
        watched.lane.push(pending(3, deadline=loop.time() + 60))
        watched.lane.start()
        await watched.until(3)
        assert (watched.ids, watched.expired) == ([0, 1, 3], [2])
        await watched.lane.drain(0)

    run_virtual(main)


def test_a_closed_gate_holds_all_but_what_it_lets_through() -> None:
    async def main() -> None:
        held = True

        async def handle(batch: Sequence[Pending]) -> None:
            return None

        watched = Watched(handle, gate=lambda rank: not held or rank == 0)
        watched.lane.start()
        watched.lane.push(pending(0))
        watched.lane.push(pending(1, Priority.CRITICAL))
        await watched.until(1)
        await asyncio.sleep(100)
        assert (watched.ids, watched.lane.waiting) == ([1], 1)
        held = False
        watched.lane.wake()
        await watched.until(2)
        await watched.lane.drain(0)

    run_virtual(main)


def test_draining_lets_the_running_finish_and_keeps_the_rest() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def handle(delivery: Pending) -> None:
            await asyncio.sleep(2 if number(delivery) == 0 else 3_600)

        watched = Watched(single(handle), concurrency=2, timeout=7_200)
        watched.lane.start()
        for place in range(4):
            watched.lane.push(pending(place))
        await asyncio.sleep(1)
        began = loop.time()
        await watched.lane.drain(began + 5)
        assert loop.time() - began == pytest.approx(5)
        assert watched.settled == [(0, None)]
        assert [number(delivery) for delivery in watched.lane.interrupted] == [1]
        assert watched.lane.waiting == 2
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("target-")]

    run_virtual(main)


def test_draining_does_not_wait_for_a_handler_that_never_ends() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        release = asyncio.Event()

        async def handle(delivery: Pending) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        watched = Watched(single(handle), timeout=7_200)
        watched.lane.start()
        watched.lane.push(pending(0))
        await asyncio.sleep(1)
        began = loop.time()
        await watched.lane.drain(began + 5)
        assert loop.time() - began <= 5 + 2 * GRACE
        assert watched.settled == []
        release.set()
        await asyncio.sleep(1)

    run_virtual(main)


def test_an_idle_lane_drains_at_once() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def handle(batch: Sequence[Pending]) -> None:
            return None

        watched = Watched(handle, concurrency=8)
        watched.lane.start()
        await asyncio.sleep(1)
        began = loop.time()
        await watched.lane.drain(began + 3_600)
        assert loop.time() == began

    run_virtual(main)


@pytest.mark.parametrize("seed", range(25))
def test_no_delivery_is_lost_or_settled_twice_whatever_handlers_do(seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        loop = asyncio.get_running_loop()

        async def handle(batch: Sequence[Pending]) -> None:
            what = rng.random()
            try:
                await asyncio.sleep(rng.choice([0, 0, 0.1, 0.99, 1.0, 1.01, 5]))
            except asyncio.CancelledError:
                if what < 0.2:
                    await asyncio.sleep(rng.choice([0, 0.05, 0.2, 3]))
                elif what < 0.3:
                    raise RuntimeError("while it was cancelled") from None
                else:
                    raise
            if what > 0.9:
                raise ValueError("failed")
            if what > 0.85:
                raise asyncio.CancelledError

        watched = Watched(handle, concurrency=rng.randint(1, 4), batch_size=rng.randint(1, 3), timeout=1.0)
        watched.lane.start()
        for place in range(120):
            watched.lane.push(pending(place, rng.choice(list(Priority))))
            if rng.random() < 0.3:
                await asyncio.sleep(rng.choice([0, 0.01, 2]))
        async with asyncio.timeout(2_000):
            await watched.until(120)
        assert sorted(watched.ids) == list(range(120))
        await watched.lane.drain(loop.time() + 10)
        assert sorted(watched.ids) == list(range(120))
        assert watched.lane.interrupted == []

    run_virtual(main)
