"""One target's way: its queue by priority, and the workers that call its handler.

A lane knows nothing of stores and other lanes, so a slow or failing target delays only itself.
Handlers run in the worker's own task: a deadline costs one timer for many calls, and a handler
that swallows its cancellation is left behind with its task while a new worker takes the place.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from contextvars import Context
from itertools import chain
from typing import Any

from event_monitor.bus.inflight import InFlight, Pending
from event_monitor.clock import Clock
from event_monitor.model import PRIORITIES
from event_monitor.resilience.breaker import BreakerState, CircuitBreaker, Permit
from event_monitor.resilience.timeouts import MAX_ABANDONED, TooManyAbandoned

logger = logging.getLogger(__name__)

GRACE = 0.1
# A timer may fire a hair before its time; the breaker would then refuse, and be waited for in a spin.
_A_MOMENT = 0.001

Handle = Callable[[Sequence[Pending]], Awaitable[None]]
"""Handles a batch of at most ``batch_size`` deliveries; raises if all of them failed."""

Settle = Callable[["Lane", Sequence[Pending], float, BaseException | None], None]
"""Hears the lane, what was handled, when the handler began (loop time) and its error, if any."""


class HandlerTimeout(Exception):
    """The handler was still running at its deadline."""


class HandlerCancelled(Exception):
    """A cancellation came out of the handler though nobody had cancelled it."""


class Lane:
    """A target's queue and workers. ``settle`` hears the outcome of every delivery that was
    started; ``expire`` takes one whose time has passed; ``ready`` is called when a queue that has
    more on disk has run low. ``stored`` counts, by priority, the deliveries on disk that wait for
    this lane, those in ``loaded`` among them; while ``overflowing``, new ones join them there.
    ``linger`` is the least time in seconds between the beginnings of two batches that are not full:
    under load it turns many small batches into few, an event that comes alone is not delayed. While
    ``breaker`` lets nothing through, deliveries are parked: they wait and use up no attempt. Workers
    run in a copy of ``context``. ``on_overdue`` hears of a handler at its deadline, before it is
    cancelled; ``on_lost`` of a worker that ended by a mistake, after another took its place."""

    def __init__(
        self,
        name: str,
        handle: Handle,
        *,
        clock: Clock,
        settle: Settle,
        expire: Callable[[Pending], None],
        ready: Callable[[Lane], None],
        timeout: float,
        concurrency: int = 1,
        batch_size: int = 1,
        linger: float = 0.0,
        breaker: CircuitBreaker | None = None,
        gate: Callable[[int], bool] = lambda rank: True,
        context: Context | None = None,
    ) -> None:
        self.name = name
        self.handle = handle
        self.timeout = timeout
        self.concurrency = concurrency
        self.batch_size = batch_size
        self.linger = linger
        self.breaker = breaker
        self.clock = clock
        self.settle = settle
        self.expire = expire
        self.ready = ready
        self.gate = gate
        self.context = context
        self.on_overdue: Callable[[Lane, asyncio.Task[None], Pending], None] = lambda *_: None
        self.on_lost: Callable[[Lane, BaseException], None] = lambda *_: None
        self.queues: tuple[deque[Pending], ...] = tuple(deque() for _ in PRIORITIES)
        self.stored = [0] * len(PRIORITIES)
        self.overflowing = [False] * len(PRIORITIES)
        self.loaded: tuple[set[int], ...] = tuple(set() for _ in PRIORITIES)
        self.low_water = max(16, 2 * batch_size)
        self.handled = 0
        self.failed = 0
        self.begun = 0
        self.timeouts = 0
        self.abandoned: dict[asyncio.Task[None], float] = {}
        self.closed = False
        self._soonest = math.inf
        self.interrupted: list[Pending] = []
        self._workers: set[_Worker] = set()
        self._wake: deque[asyncio.Future[None]] = deque()

    def start(self) -> None:
        """Start the workers."""
        for _ in range(self.concurrency):
            self._hire()

    def push(self, delivery: Pending) -> None:
        """Queue a delivery behind those of the same priority."""
        self.queues[delivery.record.rank].append(delivery)
        deadline = delivery.record.deadline
        if deadline is not None and deadline < self._soonest:
            self._soonest = deadline
        self.wake()

    def wake(self) -> None:
        """Let one waiting worker look at the queue again."""
        while self._wake:
            waiter = self._wake.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def wake_all(self) -> None:
        """Let every waiting worker look at the queue again."""
        for _ in range(self.concurrency):
            self.wake()

    @property
    def waiting(self) -> int:
        """Deliveries queued in memory."""
        return sum(map(len, self.queues))

    @property
    def parked(self) -> int:
        """Deliveries, in memory and on disk, that wait because the breaker lets nothing through."""
        if self.breaker is None or self.breaker.would_pass():
            return 0
        return self.waiting + sum(map(self.on_disk, range(len(self.queues))))

    @property
    def running(self) -> int:
        """Deliveries that a handler has now."""
        return sum(len(worker.batch) for worker in self._workers)

    @property
    def busy(self) -> int:
        """Handlers that run now, of ``concurrency``: a lane and its queue are its target's bulkhead."""
        return sum(bool(worker.batch) for worker in self._workers)

    def on_disk(self, rank: int) -> int:
        """Deliveries of a priority that wait on disk and were not read back yet."""
        return self.stored[rank] - len(self.loaded[rank])

    def in_hand(self) -> Iterator[Pending]:
        """The deliveries that a handler has now."""
        for worker in self._workers:
            yield from worker.batch

    @property
    def passes(self) -> bool:
        """Whether the breaker lets a delivery through."""
        return self.breaker is None or self.breaker.would_pass()

    @property
    def startable(self) -> bool:
        """Something may be taken, a place is free and nothing holds it: it is about to be begun."""
        free = sum(1 for worker in self._workers if worker.batch) < self.concurrency
        return (
            free and self.passes and any(queue and self.gate(rank) for rank, queue in enumerate(self.queues))
        )

    def handling(self) -> Iterator[tuple[asyncio.Task[None], float, Sequence[Pending]]]:
        """The handlers that run: their task, when they began (loop time) and what they have."""
        for worker in self._workers:
            if worker.batch:
                yield worker.task, worker.started, worker.batch

    def in_the_way(self, event_id: int) -> Collection[asyncio.Task[Any]]:
        """The handlers of which one must get on before an open delivery of the event is settled: the
        one that has it, else all, if every place is taken. Empty if nothing is in its way."""
        busy = list(self.handling())
        for task, _, batch in busy:
            if any(delivery.record.event.id == event_id for delivery in batch):
                return (task,)
        return [task for task, _, _ in busy] if len(busy) >= self.concurrency else ()

    def find(self, event_id: int) -> InFlight | None:
        """The record of an event that is queued or handled here."""
        deliveries = chain(self.in_hand(), *self.queues)
        return next((one.record for one in deliveries if one.record.event.id == event_id), None)

    @property
    def idle(self) -> bool:
        """Nothing is queued and nothing runs."""
        return not self.running and not any(self.queues)

    def take(self) -> list[Pending]:
        """The next deliveries, the most urgent first, at most ``batch_size`` of one priority."""
        for rank in range(len(self.queues)):
            if batch := self._take_of(rank, self.batch_size):
                return batch
            if self.on_disk(rank) > 0 and self.gate(rank):
                # More of this priority is being read back: nothing less urgent may overtake it.
                self.ready(self)
                return []
        return []

    def take_probe(self) -> list[Pending]:
        """The one delivery with which an open breaker tries: the first of a priority that was tried
        least. So a long outage spreads over what waits and uses up no delivery's attempts."""
        waiting = [rank for rank, queue in enumerate(self.queues) if queue]
        for rank in sorted(waiting, key=lambda rank: self.queues[rank][0].attempts):
            if batch := self._take_of(rank, 1):
                return batch
        # Memory holds nothing that may be taken; this has what is on disk read back.
        return self.take()

    def _take_of(self, rank: int, limit: int) -> list[Pending]:
        """At most ``limit`` deliveries of one priority, none whose time has passed."""
        queue = self.queues[rank]
        while queue and self.gate(rank):
            batch = [queue.popleft() for _ in range(min(len(queue), limit))]
            if self.on_disk(rank) and len(queue) < self.low_water:
                self.ready(self)
            if batch := [delivery for delivery in batch if not self._expired(delivery)]:
                return batch
        return []

    def _expired(self, delivery: Pending) -> bool:
        deadline = delivery.record.deadline
        if deadline is None or self.clock.monotonic() < deadline:
            return False
        self.expire(delivery)
        return True

    def expire_due(self) -> None:
        """Expire what waits in memory and whose time has passed, though nothing is taken now."""
        if self.clock.monotonic() < self._soonest:
            return
        self._soonest = math.inf
        for queue in self.queues:
            waiting = list(queue)
            queue.clear()
            queue.extend(delivery for delivery in waiting if not self._expired(delivery))
            for delivery in queue:
                if delivery.record.deadline is not None:
                    self._soonest = min(self._soonest, delivery.record.deadline)

    def spill(self, keep: int, limit: int) -> list[Pending]:
        """Take the least urgent, youngest queued deliveries out, down to ``keep``, at most ``limit``;
        from now on new ones of their priorities overflow to disk, so that none overtakes them."""
        spilled: list[Pending] = []
        excess = min(limit, self.waiting - keep)
        for rank in reversed(range(len(self.queues))):
            queue = self.queues[rank]
            while queue and len(spilled) < excess and not queue[-1].record.stored:
                spilled.append(queue.pop())
                self.overflowing[rank] = True
        return spilled

    async def wait(self) -> None:
        """Return when there may be something to take."""
        waiter = asyncio.get_running_loop().create_future()
        self._wake.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.wake()
            raise

    def abandon(self, worker: _Worker) -> None:
        """Leave a handler that ignores its cancellation to itself and put a new worker in place."""
        self._workers.discard(worker)
        self.abandoned[worker.task] = self.clock.monotonic()
        worker.task.add_done_callback(lambda task: self.abandoned.pop(task, None))
        logger.error("target %s: a handler ignored its cancellation and was left behind", self.name)
        if not self.closed:
            self._hire()

    def _hire(self) -> None:
        worker = _Worker(self)
        self._workers.add(worker)
        worker.task.add_done_callback(lambda task: self._ended(worker))

    def _ended(self, worker: _Worker) -> None:
        """Put another worker in the place of one that a mistake of ours has ended."""
        if self.closed or worker not in self._workers or worker.task.cancelled():
            return
        error = worker.task.exception()
        if error is None:
            return
        self._workers.discard(worker)
        worker.disarm()
        logger.error("target %s: a worker has ended", self.name, exc_info=error)
        self._hire()
        self.on_lost(self, error)

    async def drain(self, deadline: float) -> None:
        """Stop taking deliveries, let running handlers finish until ``deadline`` (loop time), then
        cancel them. What was not settled is in ``interrupted`` and the queues, and stays on disk."""
        self.closed = True
        workers = list(self._workers)
        for worker in workers:
            if not worker.batch:
                worker.task.cancel()
        tasks = [worker.task for worker in workers]
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, deadline - self.clock.monotonic()))
        for task in (*tasks, *self.abandoned):
            task.cancel()
        remaining = [task for task in (*tasks, *self.abandoned) if not task.done()]
        if remaining:
            await asyncio.wait(remaining, timeout=GRACE)
        for worker in workers:
            worker.disarm()
        self._workers.clear()


class _Worker:
    """One task that takes deliveries and calls the handler, with one timer for its deadlines."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.batch: Sequence[Pending] = ()
        self.timed_out = False
        self.started = 0.0
        self._permit: Permit | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        context = lane.context.copy() if lane.context is not None else None
        self.task = asyncio.create_task(self._work(), name=f"target-{lane.name}", context=context)

    async def _work(self) -> None:
        lane = self.lane
        while not lane.closed:
            if lane.linger:
                await self._gather()
            breaker = lane.breaker
            if breaker is not None and not breaker.would_pass():
                await self._wait_for(breaker)
                continue
            probing = breaker is not None and breaker.state is not BreakerState.CLOSED
            batch = lane.take_probe() if probing else lane.take()
            if not batch:
                await lane.wait()
                continue
            permit = self._permit = breaker.acquire() if breaker is not None else None
            self.batch = batch
            lane.begun += 1
            self._arm()
            error: BaseException | None = None
            try:
                if len(lane.abandoned) >= MAX_ABANDONED:
                    raise TooManyAbandoned(f"{MAX_ABANDONED} calls of the handler ignore their cancellation")
                await lane.handle(batch)
            except asyncio.CancelledError:
                if self.timed_out:
                    error = HandlerTimeout(f"no answer within {lane.timeout:g} s")
                elif self.task.cancelling():
                    lane.interrupted.extend(batch)
                    if permit is not None:
                        permit.release()
                    raise
                else:
                    error = HandlerCancelled("the handler awaited something that was cancelled")
            except Exception as raised:  # noqa: BLE001 - a handler may raise anything; it becomes the delivery's error
                error = raised
            finally:
                self._deadline = None
                self.batch = ()
            if permit is not None:
                if error is None:
                    permit.success()
                else:
                    permit.failure(error)
            if self.timed_out and not self._recover():
                return
            lane.settle(lane, batch, self.started, error)

    async def _wait_for(self, breaker: CircuitBreaker) -> None:
        """Wait until the breaker may let a call through, or something has changed."""
        lane = self.lane
        wait = breaker.retry_after
        loop = asyncio.get_running_loop()
        timer = loop.call_later(wait + _A_MOMENT, lane.wake) if wait < math.inf else None
        try:
            await lane.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _gather(self) -> None:
        """Let a batch gather if the last one has just ended. An event that comes alone never waits."""
        lane = self.lane
        if not self.started or lane.waiting >= lane.batch_size:
            return
        left = self.started + lane.linger - lane.clock.monotonic()
        if left > 0:
            await asyncio.sleep(left)

    def _recover(self) -> bool:
        """Take back the cancellation that the deadline sent. False if the worker was replaced."""
        self.timed_out = False
        self.lane.timeouts += 1
        while self.task.cancelling():
            self.task.uncancel()
        return self.task not in self.lane.abandoned

    def _arm(self) -> None:
        self.started = self.lane.clock.monotonic()
        self._deadline = self.started + self.lane.timeout
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._deadline, self._check)

    def disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """At a deadline: cancel the handler; at the end of its grace: leave it behind."""
        self._timer = None
        if self._deadline is None:
            return
        loop = asyncio.get_running_loop()
        lane = self.lane
        if not self.timed_out:
            if lane.clock.monotonic() < self._deadline:
                self._timer = loop.call_at(self._deadline, self._check)
                return
            self.timed_out = True
            lane.on_overdue(lane, self.task, self.batch[0])
            self.task.cancel()
            self._timer = loop.call_later(GRACE * lane.timeout, self._check)
            return
        batch = self.batch
        self.batch = ()
        lane.abandon(self)
        error = HandlerTimeout(f"no answer within {lane.timeout:g} s, and its cancellation was ignored")
        if self._permit is not None:
            self._permit.failure(error)
        lane.settle(lane, batch, self.started, error)


def single(handler: Callable[[Pending], Awaitable[None]]) -> Handle:
    """A handler of one delivery as one that takes batches of one."""

    async def handle(batch: Sequence[Pending]) -> None:
        await handler(batch[0])

    return handle


def blocking(handler: Callable[[Pending], None], executor: Executor) -> Handle:
    """A synchronous handler as a coroutine, run on a thread of ``executor``."""

    async def handle(batch: Sequence[Pending]) -> None:
        await asyncio.get_running_loop().run_in_executor(executor, handler, batch[0])

    return handle
