"""From a committed event to settled deliveries: one lane a target, retries, dead letters.

What memory owes of an event is its ``InFlight`` record. A delivery that is not simply done
(to be retried, spilled, dead) is written to the ``deliveries`` table and forgotten here; when its
time comes it is queued there and read back as a record of its own. So memory stays bounded, and a
restart finds everything.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextvars import Context
from itertools import chain
from typing import Any

import msgspec

from event_monitor.bus.history import QueuedEvent, queue_state, stored_counts
from event_monitor.bus.inflight import InFlight, Pending
from event_monitor.bus.lane import Handle, Lane
from event_monitor.bus.ledger import DeliveryRow, Ledger
from event_monitor.bus.meters import LatencyMeter
from event_monitor.bus.outcomes import Outcomes
from event_monitor.bus.readback import ReadBack
from event_monitor.bus.retries import RetryTimer
from event_monitor.bus.store import EventStore
from event_monitor.bus.upcasters import Upcasters
from event_monitor.bus.window import Window
from event_monitor.clock import Clock, Stamper, from_iso, to_iso
from event_monitor.model import PRIORITIES, DeliveryError, DeliveryState
from event_monitor.resilience.breaker import CircuitBreaker, CircuitOpenError
from event_monitor.resilience.retry import PermanentError, RetryPolicy
from event_monitor.resilience.waits import WaitGraph

logger = logging.getLogger(__name__)

KEEP_WHEN_SPILLING = 256
SPILL_AT_ONCE = 1_000
_MAX_ERROR = 2_000
# A breaker that a person holds says no time.
_LONGEST_REFUSAL = 30.0
# So that what a breaker refused does not come back at once with its probe.
_SPREAD = 0.25


class Dispatcher:
    """Delivers every event to each of its targets at least once, or writes a dead letter.

    ``on_dead`` hears of each delivery that was given up, ``on_settled`` of each record whose
    outcomes changed, ``on_replayed`` of those among them that are replays, ``on_overdue`` of each handler
    at its deadline, ``on_lost`` of what a mistake of ours has ended. Handlers run in copies of
    ``context``; ``waits`` knows who waits for whom.
    """

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        *,
        max_in_memory: int = 10_000,
        max_in_memory_bytes: int = 33_554_432,
        max_causation_depth: int = 32,
        rng: random.Random | None = None,
        waits: WaitGraph | None = None,
        context: Context | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.context = context
        self.latency = LatencyMeter(clock.monotonic)
        self.lanes: dict[str, Lane] = {}
        self.counts: Counter[DeliveryState] = Counter()
        self.on_dead: Callable[[InFlight, str, str], None] = lambda record, target, error: None
        self.on_settled: Callable[[InFlight], None] = lambda record: None
        self.on_replayed: Callable[[InFlight], None] = lambda record: None
        self.upcasters = Upcasters()
        self.on_overdue: Callable[[Lane, asyncio.Task[None], Pending], None] = lambda *_: None
        self.on_lost: Callable[[str, BaseException], None] = lambda what, error: None
        self.outcomes = Outcomes(store, self.lanes, waits or WaitGraph(clock.monotonic))
        self.window = Window(
            store,
            max_events=max_in_memory,
            max_bytes=max_in_memory_bytes,
            dispatch=self._dispatch,
            revive=self._revive,
            relieve=self._relieve,
        )
        self.moved = asyncio.Event()
        self.window.on_filled = self._filled
        self._max_depth = max_causation_depth
        self._policies: dict[str, RetryPolicy] = {}
        self._random = rng or random.Random()
        self._stamp = Stamper()
        self._tasks: set[asyncio.Task[None]] = set()
        self._retries = RetryTimer(store, clock, self._take_due)
        self._disk = ReadBack(
            store,
            clock,
            lanes=self.lanes,
            counts=self.counts,
            spawn=self._spawn,
            moved=self.moved.set,
            take=self._take_stored,
        )
        self._held = False

    # --- lanes ------------------------------------------------------------------------------

    def add_lane(
        self,
        name: str,
        handle: Handle,
        *,
        timeout: float,
        concurrency: int = 1,
        batch_size: int = 1,
        linger: float = 0.0,
        breaker: CircuitBreaker | None = None,
        policy: RetryPolicy | None = None,
    ) -> Lane:
        """Serve the target ``name``: from now on what is routed to it is given to ``handle``."""
        lane = Lane(
            name,
            handle,
            clock=self.clock,
            settle=self._settle,
            expire=self._expire,
            ready=self._disk.refill,
            gate=self._open,
            timeout=timeout,
            concurrency=concurrency,
            batch_size=batch_size,
            linger=linger,
            breaker=breaker,
            context=self.context,
        )
        lane.on_overdue = lambda *call: self.on_overdue(*call)
        lane.on_lost = lambda lane, error: self.on_lost(f"a worker of target {lane.name}", error)
        self.lanes[name] = lane
        self._policies[name] = policy or RetryPolicy()
        if breaker is not None:
            breaker.listeners.append(lambda breaker, change: lane.wake_all())
        lane.start()
        self._disk.adopt(lane)
        return lane

    async def remove_lane(self, name: str) -> None:
        """Stop serving a target; what still waits for it becomes dead letters."""
        lane = self.lanes.pop(name, None)
        if lane is None:
            return
        await lane.drain(self.clock.monotonic())
        for delivery in (*lane.interrupted, *chain.from_iterable(lane.queues)):
            self._die(delivery, f"target {name} was removed", lane)
        lane.interrupted.clear()
        await self.store.write(lambda ledger: ledger.bury_target(name, self._now()))

    def _open(self, rank: int) -> bool:
        return rank == 0 or not (self._held or self.window.must_wait(rank))

    def _filled(self) -> None:
        self.moved.set()
        for lane in self.lanes.values():
            lane.wake_all()

    @property
    def held(self) -> bool:
        """Whether all but CRITICAL events wait."""
        return self._held

    def hold(self, held: bool) -> None:
        """Pause dispatch of all but CRITICAL events, or go on."""
        self._held = held
        for lane in self.lanes.values():
            lane.wake_all()

    # --- start and stop ---------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what a former run left and begin to dispatch."""
        queued, counted = await self.store.read(lambda c: (queue_state(c), stored_counts(c)))
        for state, target, rank, count in counted:
            self.counts[DeliveryState(state)] += count
            if state == DeliveryState.QUEUED.value:
                self._disk.owe({(target, rank): count})
        self.window.restore(queued)
        self._spawn(self.window.run(), "window")
        longest = max((policy.max_delay for policy in self._policies.values()), default=300.0)
        horizon = to_iso(self.clock.steady() + longest)
        await self.store.write(lambda ledger: ledger.clamp_retries(horizon))
        await self._retries.start()

    async def stop(self, grace: float) -> None:
        """Let running handlers finish for at most ``grace`` seconds; settle what they did."""
        self._disk.stopping = True
        await self._retries.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        deadline = self.clock.monotonic() + grace
        await asyncio.gather(*(lane.drain(deadline) for lane in self.lanes.values()))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"dispatch-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)
            self.on_lost(task.get_name(), error)

    # --- on the way out ---------------------------------------------------------------------

    def _dispatch(self, record: InFlight) -> None:
        if not record.targets:
            self.store.delivered(record.event.id)
            self.window.release(record)
            return
        if record.event.depth > self._max_depth:
            reason: str | None = f"loop: the causation chain is {record.event.depth} events long"
        else:
            reason = self._upcast(record)
        if reason is not None:
            for place in range(len(record.targets)):
                if record.outcomes[place] is DeliveryState.QUEUED:
                    self._die(Pending(record, place), reason, None)
            return
        for place, target in enumerate(record.targets):
            if record.outcomes[place] is not DeliveryState.QUEUED:
                continue
            lane = self.lanes.get(target)
            delivery = Pending(record, place)
            if lane is None:
                self._die(delivery, f"no target is named {target}", None)
            elif lane.overflowing[record.rank]:
                self._store_delivery(delivery, lane)
            else:
                lane.push(delivery)

    def _upcast(self, record: InFlight) -> str | None:
        """Bring an older event to its type's newest schema version. Answers why that cannot be."""
        try:
            record.event = self.upcasters.apply(record.event)
        except PermanentError as error:
            return f"{type(error).__name__}: {error}"
        return None

    def _take_stored(self, delivery: Pending, lane: Lane) -> None:
        """A delivery was read back for its lane."""
        reason = self._upcast(delivery.record)
        if reason is None:
            lane.push(delivery)
        else:
            self._die(delivery, reason, lane)

    def _revive(self, queued: QueuedEvent) -> InFlight | None:
        """The record of an event that was paged in; ``None`` if its time has passed already."""
        event = queued.event
        now = self.clock.monotonic()
        deadline = None
        if event.expires_at is not None:
            left = from_iso(event.expires_at) - self.clock.steady()
            if left <= 0 and not queued.stored:
                self.store.change(lambda ledger: ledger.hand_over_expired(event.id))
                return None
            deadline = now + left
        age = max(0.0, self.clock.wall() - from_iso(event.timestamp))
        record = InFlight(event, queued.targets, size=queued.size, accepted_at=now - age, deadline=deadline)
        for target, state in queued.stored:
            if target in record.targets:
                # What is queued on disk is read back from there, not dispatched with its event.
                waits = state is DeliveryState.QUEUED
                record.outcomes[record.targets.index(target)] = DeliveryState.RETRYING if waits else state
                record.unusual = True
                record.outstanding -= 1
        if record.outstanding <= 0:
            self.store.change(lambda ledger: ledger.hand_over(event.id))
            return None
        return record

    def _relieve(self, waited_for: Collection[str]) -> bool:
        """Write down part of what waits for the slowest target, if another one is idle although the
        events that wait on disk are for it."""
        slowest = max(self.lanes.values(), key=lambda lane: lane.waiting, default=None)
        if slowest is None or slowest.waiting <= KEEP_WHEN_SPILLING:
            return False
        others = (self.lanes[name] for name in waited_for if name in self.lanes and name != slowest.name)
        if not any(lane.idle for lane in others):
            return False
        for delivery in slowest.spill(KEEP_WHEN_SPILLING, SPILL_AT_ONCE):
            self._store_delivery(delivery, slowest)
        return True

    def _store_delivery(self, delivery: Pending, lane: Lane) -> None:
        """Let a delivery wait on disk."""
        record = delivery.record
        lane.stored[record.rank] += 1
        self._put(delivery, DeliveryState.QUEUED)
        self._owe_less(record)

    # --- outcomes ---------------------------------------------------------------------------

    def _settle(
        self, lane: Lane, batch: Sequence[Pending], started: float, error: BaseException | None
    ) -> None:
        if error is None:
            for delivery in batch:
                record = delivery.record
                lane.handled += 1
                if not delivery.attempts:
                    self.latency.add(started - record.accepted_at)
                record.outcomes[delivery.place] = DeliveryState.DELIVERED
                if record.stored:
                    self._settle_stored(delivery, DeliveryState.DELIVERED)
                    self._disk.unload(lane, record)
                self._owe_less(record)
        else:
            for delivery in batch:
                lane.failed += 1
                self._fail(lane, delivery, error)
        if self.window.behind and lane.idle:
            self.window.nudge()

    def _settle_stored(self, delivery: Pending, state: DeliveryState) -> None:
        """A delivery that had a row is done: keep the row only if there were errors to remember."""
        event_id, target = delivery.record.event.id, delivery.target
        self.counts[DeliveryState.QUEUED] -= 1
        if delivery.errors:
            row = self._row(delivery, state)

            def change(ledger: Ledger) -> None:
                ledger.put_delivery(row)
                ledger.conclude(event_id)
        else:

            def change(ledger: Ledger) -> None:
                ledger.drop_delivery(event_id, target)
                ledger.conclude(event_id)

        self.store.change(change)

    def _fail(self, lane: Lane, delivery: Pending, error: BaseException) -> None:
        record = delivery.record
        failure = DeliveryError(self._now(), f"{type(error).__name__}: {error}"[:_MAX_ERROR])
        policy = self._policies[lane.name]
        if isinstance(error, CircuitOpenError):
            # What the handler needs is known to be down: no attempt of this event's was made.
            delivery.errors = (*_without_refusal(delivery.errors), failure)
            delay, _ = policy.wait(0, error, self._random)
            delay = min(delay, _LONGEST_REFUSAL) * (1 + _SPREAD * self._random.random())
        else:
            delivery.errors = (*delivery.errors, failure)
            retry = delivery.attempts
            delivery.attempts += 1
            if isinstance(error, PermanentError) or retry >= policy.max_retries:
                self._die(delivery, None, lane)
                return
            delay, _ = policy.wait(retry, error, self._random)
        due = self.clock.steady() + delay
        self._put(delivery, DeliveryState.RETRYING, next_attempt_at=to_iso(due))
        self._disk.unload(lane, record)
        self._owe_less(record)
        self._retries.schedule(due)

    def _die(self, delivery: Pending, reason: str | None, lane: Lane | None) -> None:
        """Write a dead letter with every error of the delivery."""
        record = delivery.record
        if reason is not None:
            delivery.errors = (*delivery.errors, DeliveryError(self._now(), reason))
        self._put(delivery, DeliveryState.DEAD)
        if lane is not None:
            self._disk.unload(lane, record)
        self.on_dead(record, delivery.target, delivery.errors[-1].error)
        self._owe_less(record)

    def _expire(self, delivery: Pending) -> None:
        """The event's time has passed before this delivery was begun."""
        record = delivery.record
        self._put(delivery, DeliveryState.EXPIRED)
        lane = self.lanes.get(delivery.target)
        if lane is not None:
            self._disk.unload(lane, record)
        self._owe_less(record)

    def _put(self, delivery: Pending, state: DeliveryState, *, next_attempt_at: str | None = None) -> None:
        record = delivery.record
        record.unusual = True
        record.outcomes[delivery.place] = state
        row = self._row(delivery, state, next_attempt_at)
        self.counts[state] += 1
        if record.stored:
            self.counts[DeliveryState.QUEUED] -= 1
            event_id = record.event.id

            def change(ledger: Ledger) -> None:
                ledger.put_delivery(row)
                ledger.conclude(event_id)

            self.store.change(change)
        else:
            self.store.change(lambda ledger: ledger.put_delivery(row))

    def _row(
        self, delivery: Pending, state: DeliveryState, next_attempt_at: str | None = None
    ) -> DeliveryRow:
        return DeliveryRow(
            delivery.record.event.id,
            delivery.target,
            state.value,
            delivery.record.rank,
            delivery.attempts,
            next_attempt_at,
            msgspec.json.encode(delivery.errors).decode(),
            self._now(),
        )

    def _owe_less(self, record: InFlight) -> None:
        record.outstanding -= 1
        if record.event.id in self.outcomes.awaited:
            self.outcomes.moved(record)
        if record.outstanding == 0:
            event_id = record.event.id
            if not record.stored:
                if record.unusual:
                    self.store.change(lambda ledger: ledger.hand_over(event_id))
                else:
                    self.store.delivered(event_id)
            if record.held:
                self.window.release(record)
        self.moved.set()
        self.on_settled(record)
        if record.event.replay_of is not None:
            self.on_replayed(record)

    @property
    def quiet(self) -> bool:
        """Nothing is queued or running, in memory or on disk; retries that are not due may wait."""
        return not self.window.behind and all(
            lane.idle and not any(map(lane.on_disk, range(len(PRIORITIES)))) for lane in self.lanes.values()
        )

    def _now(self) -> str:
        return self._stamp(self.clock.wall())

    # --- what waits on disk -----------------------------------------------------------------

    def _take_due(self, due: Counter[tuple[str, int]]) -> None:
        self.counts[DeliveryState.RETRYING] -= sum(due.values())
        self.take_stored(due)

    def take_stored(self, moved: Counter[tuple[str, int]]) -> None:
        """Deliveries on disk were queued for their targets, by (target, priority)."""
        self.counts[DeliveryState.QUEUED] += sum(moved.values())
        self._disk.owe(moved)

    @property
    def orphans(self) -> Counter[tuple[str, int]]:
        """Stored deliveries whose target nobody serves, by (target, priority)."""
        return self._disk.orphans

    async def bury_orphans(self) -> None:
        """Make dead letters of stored deliveries whose target nobody serves any more."""
        await self._disk.bury_orphans(self._now())

    def oldest_age(self) -> float | None:
        """Seconds since the oldest event that memory holds was accepted."""
        accepted = [
            queue[0].record.accepted_at for lane in self.lanes.values() for queue in lane.queues if queue
        ]
        accepted += [
            delivery.record.accepted_at for lane in self.lanes.values() for delivery in lane.in_hand()
        ]
        return max(0.0, self.clock.monotonic() - min(accepted)) if accepted else None


def _without_refusal(errors: tuple[DeliveryError, ...]) -> tuple[DeliveryError, ...]:
    """A long outage refuses a delivery many times: the last one tells it all."""
    refused = bool(errors) and errors[-1].error.startswith(CircuitOpenError.__name__)
    return errors[:-1] if refused else errors
