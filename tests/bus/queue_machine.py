"""A model of the queue, and the machine that drives the real bus beside it in any order.

The model knows what each target is owed. It hears from the bus what was accepted and given up, and
from the handlers what was begun and done; whatever the database says must agree with it. A kill drops
the bus where it stands and opens its file anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from event_monitor.bus import event_bus
from event_monitor.bus.dead_groups import Letters
from event_monitor.clock import LoopClock, from_iso
from event_monitor.config import BreakerSettings, RetrySettings, StormRule, TargetSettings
from event_monitor.errors import BusFull, EventMonitorError
from event_monitor.model import PRIORITIES, DeliveryState, Event, Priority
from event_monitor.resilience.breaker import BreakerState
from tests.bus.helpers import queue, settings
from tests.bus.queue_books import TARGETS, TYPES, Books, Owed
from tests.reached import reached
from tests.virtual import VirtualLoop, database_counted

RETRIES = 2
BACKLOG, RESERVE = 80, 10
SETTINGS = settings(
    queue=queue(max_in_memory=16, max_backlog=BACKLOG, reserve=RESERVE),
    storm={"much.*": StormRule(rate=0.5, burst=2, keep=4)},
    target_defaults=TargetSettings(
        timeout=50,
        retry=RetrySettings(strategy="fixed", max_retries=RETRIES, max_delay=3, jitter=0),
        breaker=BreakerSettings(failure_threshold=9, recovery_timeout=7, failure_rate=None),
    ),
)
LONG = 2_000.0


class QueueMachine(RuleBasedStateMachine):
    """Rules drive the bus; a subclass may add some (replay) that accept events by other ways."""

    def __init__(self) -> None:
        super().__init__()
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.directory = Path(tempfile.mkdtemp(prefix="queue-machine-", dir=memory))
        self.path = self.directory / "events.db"
        self.loop = VirtualLoop()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.patch = pytest.MonkeyPatch()
        self.counted = database_counted(self.patch)
        self.counted.__enter__()
        # In a window of 16, a slow target is to make way for others before 256 wait for it.
        self.patch.setattr(sys.modules[event_bus.Dispatcher.__module__], "KEEP_WHEN_SPILLING", 4)
        self.clock = LoopClock(self.loop, wall=lambda: 1.8e9 + self.loop.now)
        self.bus: event_bus.EventBus
        self.publishing: list[asyncio.Task[Any]] = []
        self.events: dict[int, Event] = {}
        self.acknowledged: set[int] = set()
        self.owed: set[Owed] = set()
        self.durable: set[Owed] = set()
        self.dead: set[Owed] = set()
        self.begun: set[Owed] = set()
        self.running: set[Owed] = set()
        self.failures: Counter[Owed] = Counter()
        self.mode = dict.fromkeys(TARGETS, "ok")
        self.gates: dict[str, asyncio.Event] = {}
        self.held = False
        self.trouble: list[str] = []

    # --- driving ----------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end on virtual time, and say what the handlers complained of."""
        result = self.loop.run_until_complete(main)
        assert not self.trouble, self.trouble[0]
        return result

    async def open(self) -> None:
        self.bus = bus = await event_bus.EventBus.open(
            self.path, settings=SETTINGS, clock=self.clock, protect=True
        )
        for target in TARGETS:
            self.gates[target] = asyncio.Event()
            if self.mode[target] != "block":
                self.gates[target].set()
            types = [name for name, targets in TYPES.items() if target in targets]
            bus.subscribe(
                "#", self.handler(target), name=target, matches=lambda e, t=types: e.event_type in t
            )
        bus.on_accepted = self.accepted
        bus.dispatcher.on_dead = self.given_up
        bus.dispatcher.hold(self.held)
        self.running.clear()
        await bus.start()

    @initialize()
    def begin(self) -> None:
        self.run(self.open())

    # --- what the model hears ---------------------------------------------------------------

    def accepted(self, records: Any) -> None:
        self.expect(self.bus.pending <= BACKLOG + RESERVE, "more is accepted than there is room for")
        for record in records:
            self.expect(record.event.id not in self.events, f"{record.event.id} was accepted twice")
            self.events[record.event.id] = record.event
            if record.event.status == "sampled":
                reached("sampled")
            if self.bus.pending > BACKLOG:
                reached("the reserve is used")
            if record.event.status != "sampled":
                self.owed |= {(record.event.id, target) for target in self.targets_of(record.event)}

    def targets_of(self, event: Event) -> tuple[str, ...]:
        """Where an event is to go."""
        return TYPES[event.event_type]

    def given_up(self, record: Any, target: str, error: str) -> None:
        key = (record.event.id, target)
        self.expect(key in self.owed, f"{key} died and was settled before")
        self.expect(self.failures[key] > RETRIES, f"{key} died after {self.failures[key]} failures: {error}")
        self.owed.discard(key)
        self.dead.add(key)
        reached("dead")

    def handler(self, target: str) -> Any:
        async def handle(event: Event) -> None:
            key = (event.id, target)
            self.check_begin(key, event)
            self.begun.add(key)
            self.running.add(key)
            try:
                await self.gates[target].wait()
                if self.mode[target] == "fail":
                    self.failures[key] += 1
                    raise ValueError("as told")
                self.owed.discard(key)
            except asyncio.CancelledError:
                self.failures[key] += 1
                raise
            finally:
                self.running.discard(key)

        return handle

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.trouble.append(otherwise)

    def check_begin(self, key: Owed, event: Event) -> None:
        """What must hold whenever a handler is called."""
        event_id, target = key
        rank = event.priority.rank
        self.expect(key in self.owed, f"{key} is not owed: settled twice, or never accepted")
        self.expect(key not in self.running, f"{key} runs twice at once")
        self.expect(not self.expired(event_id), f"{key} is delivered after its time")
        self.expect(not self.held or rank == 0, f"{key} is delivered although dispatch is held")
        self.expect(self.failures[key] <= RETRIES, f"{key} is tried more often than its policy says")
        probes = self.bus.circuit_breakers[target].state is not BreakerState.CLOSED
        if probes:
            reached("a delivery tries a breaker that is half-open")
        if key in self.begun or probes:
            # A probe is the one that was tried least, of whatever priority.
            return
        window = self.bus.dispatcher.window
        for other, its_target in self.owed - self.begun:
            if its_target == target and other != event_id and not self.expired(other):
                its = self.events[other].priority.rank
                if other > window.cursor[its] and not window._has_room(its):
                    continue  # a full window cannot see it
                self.expect(its >= rank, f"{key} ({event.priority}) came before {other} ({PRIORITIES[its]})")
                self.expect(its != rank or other > event_id, f"{key} came before {other} of the same level")

    def expired(self, event_id: int) -> bool:
        expires_at = self.events[event_id].expires_at
        return expires_at is not None and from_iso(expires_at) <= self.clock.steady()

    # --- rules ------------------------------------------------------------------------------

    @rule(
        count=st.integers(1, 20),
        event_type=st.sampled_from(sorted(TYPES)),
        priority=st.sampled_from(PRIORITIES),
        ttl=st.sampled_from([None, None, 4.5, 30.5]),
        key=st.sampled_from([None, None, None, "k1", "k2"]),
        wait=st.booleans(),
    )
    def publish(
        self, count: int, event_type: str, priority: Priority, ttl: float | None, key: str | None, wait: bool
    ) -> None:
        """Publish several at once; with ``wait`` until all are acknowledged."""
        options: dict[str, Any] = {"priority": priority, "ttl": ttl, "key": key, "source": "s"}
        self.publishing += [
            self.loop.create_task(self.bus.publish(event_type, {"n": n}, **options)) for n in range(count)
        ]
        if wait:
            self.run(self.acknowledge())

    async def acknowledge(self) -> None:
        for outcome in await asyncio.gather(*self.publishing, return_exceptions=True):
            if isinstance(outcome, event_bus.Receipt):
                self.acknowledged.add(outcome.id)
                reached(outcome.status)
                assert outcome.status == "duplicate" or outcome.sampled == (
                    self.events[outcome.id].status == "sampled"
                )
            else:
                assert isinstance(outcome, asyncio.CancelledError | EventMonitorError), outcome
                reached("the backlog is full" if isinstance(outcome, BusFull) else "a publisher gave up")
        self.publishing.clear()

    @rule(place=st.integers(0, 20))
    def cancel_publish(self, place: int) -> None:
        for task in self.publishing[place : place + 1]:
            task.cancel()

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.5, 3.0, 8.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(lane=st.sampled_from(TARGETS), mode=st.sampled_from(["ok", "ok", "fail", "block"]))
    def become(self, lane: str, mode: str) -> None:
        """A handler works from now on, fails, or does not answer."""
        self.mode[lane] = mode
        gate = self.gates[lane]
        gate.clear() if mode == "block" else gate.set()

    @rule(
        lane=st.sampled_from(TARGETS),
        mode=st.sampled_from(["fail", "block"]),
        levels=st.tuples(st.sampled_from(PRIORITIES), st.sampled_from(PRIORITIES)),
        count=st.sampled_from([1, 1, 3, 20]),
        both=st.booleans(),
        ttl=st.sampled_from([None, 4.5]),
        seconds=st.sampled_from([0.1, 6.0, 12.0]),
        killed=st.booleans(),
    )
    def pile_up(
        self,
        lane: str,
        mode: str,
        levels: tuple[Priority, Priority],
        count: int,
        both: bool,
        ttl: float | None,
        seconds: float,
        killed: bool,
    ) -> None:
        """A handler fails or blocks for a while, with two lots of events before it."""
        self.become(lane, mode)
        for level in levels:
            self.publish(count, "to.both" if both else f"to.{lane}", level, ttl, None, True)
        self.wait(seconds)
        if killed:
            self.kill(0)
        self.become(lane, "ok")

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        self.held = held
        self.bus.dispatcher.hold(held)

    @rule(lane=st.sampled_from(TARGETS), shut=st.booleans())
    def shut(self, lane: str, shut: bool) -> None:
        """A person opens a breaker, so that what its target is owed is parked, or gives it back."""
        breaker = self.bus.circuit_breakers[lane]
        breaker.force_open("a person", "as told") if shut else breaker.reset("a person", "as told")

    @rule(lane=st.sampled_from(TARGETS))
    def retry_dead(self, lane: str) -> None:
        self.run(self._choose_dead(lane, self.bus.dead_letter_queue.retry, again=True))

    @rule(lane=st.sampled_from(TARGETS))
    def drop_dead(self, lane: str) -> None:
        self.run(self._choose_dead(lane, self.bus.dead_letter_queue.drop, again=False))

    async def _choose_dead(self, target: str, choose: Any, again: bool) -> None:
        await self.rest()
        chosen = {key for key in self.dead if key[1] == target}
        # The model must know before a handler is called.
        self.dead -= chosen
        if again:
            self.owed |= chosen
            self.durable -= chosen
            for key in chosen:
                self.failures[key] = 0
        assert await choose(Letters(target=target)) == len(chosen), "another number of dead letters than died"

    # --- ends and beginnings ----------------------------------------------------------------

    @rule()
    def restart(self) -> None:
        """End as a service manager ends it, and start again."""

        async def again() -> None:
            await self.close()
            await self.acknowledge()
            self.take_over(Books(self.path))
            await self.open()

        self.run(again())

    async def close(self) -> None:
        await self.bus.stop(grace=0)

    @rule(steps=st.integers(0, 6))
    def kill(self, steps: int) -> None:
        """Drop the bus a few steps from here, whatever it is doing, and open the file anew."""

        async def again() -> None:
            for _ in range(steps):
                await asyncio.sleep(0)
            await self.drop()
            self.take_over(Books(self.path))
            await self.open()

        self.run(again())

    async def drop(self) -> None:
        tasks = asyncio.all_tasks(self.loop) - {asyncio.current_task(self.loop)}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.acknowledge()
        store = self.bus.store
        for database in (store._checkpointer, store._reader, store._writer):
            with contextlib.suppress(ValueError):
                await database.close()

    def take_over(self, books: Books) -> None:
        """The file is all that is left: what the model knows beside it is forgotten, once it agrees."""
        assert self.acknowledged <= books.events.keys(), "an acknowledged event is lost"
        assert not self.durable & books.owed(), "what was settled on disk is owed again"
        for event_id, (status, _, rank, event_type, expires_at, _, replay_of, key) in books.events.items():
            self.events.setdefault(
                event_id,
                Event(
                    id=event_id,
                    timestamp="",
                    event_type=event_type,
                    payload={},
                    priority=PRIORITIES[rank],
                    status=status,
                    expires_at=expires_at,
                    replay_of=replay_of,
                    key=key,
                ),
            )
        self.owed = books.owed()
        self.dead = books.states(DeliveryState.DEAD)
        self.begun = set(books.deliveries)
        self.failures = Counter({key: attempts for key, (_, attempts) in books.deliveries.items()})

    # --- the books --------------------------------------------------------------------------

    @rule()
    def audit(self) -> None:
        """All that the database, the bus and the model say of the queue is one."""

        async def look() -> None:
            await self.acknowledge()
            await self.rest()
            books = Books(self.path)
            self.mark_what_is_reached(books)
            self.check_events(books)
            self.check_counts(books)
            self.check_memory(books)
            settled = {(i, t) for i in books.events if not books.queued(i) for t in books.targets(i)}
            self.durable = settled - self.owed

        self.run(look())

    def mark_what_is_reached(self, books: Books) -> None:
        for state in DeliveryState:
            if books.states(state):
                reached(f"on disk: {state}")
        if any(lane.parked for lane in self.bus.dispatcher.lanes.values()):
            reached("parked")
        for breaker in self.bus.circuit_breakers.values():
            reached(
                f"a breaker is held {breaker.forced}" if breaker.forced else f"a breaker is {breaker.state}"
            )
        if any(books.status(event_id) == "expired" for event_id in books.events):
            reached("expired")

    async def rest(self) -> None:
        """Return when nothing is on its way to disk. Virtual time moves only when nothing can run."""
        while True:
            known = (len(self.events), len(self.owed), len(self.dead))
            await asyncio.sleep(0.05)
            await self.bus.store.flush()
            if known == (len(self.events), len(self.owed), len(self.dead)):
                return

    def check_events(self, books: Books) -> None:
        for key in books.states(DeliveryState.EXPIRED) & self.owed:
            assert self.expired(key[0]), f"{key} expired before its time"
            self.owed.discard(key)
        for event_id in books.events:
            targets = books.targets(event_id)
            owed = {(event_id, t) for t in targets} & self.owed
            states = {books.deliveries[event_id, t][0] for t in targets if (event_id, t) in books.deliveries}
            status = books.status(event_id)
            if status == "expired" and not states:
                assert self.expired(event_id), f"{event_id} expired before its time"
                self.owed -= owed
                continue
            expected = (
                "sampled"
                if self.events[event_id].status == "sampled"
                else "pending"
                if owed or states & {"queued", "retrying"}
                else "dead"
                if states & {"dead", "dropped"}
                else "expired"
                if "expired" in states
                else "delivered"
            )
            assert status == expected, f"{event_id} is {status} in the database, {expected} in the model"
            assert books.queued(event_id) <= bool(owed), f"{event_id} is queued and owed to nobody"
            if not books.queued(event_id):
                open_rows = {k for k in books.states(DeliveryState.QUEUED) if k[0] == event_id}
                open_rows |= {k for k in books.states(DeliveryState.RETRYING) if k[0] == event_id}
                assert open_rows == owed, f"{event_id}: the database owes {open_rows}, the model {owed}"
        assert self.dead == books.states(DeliveryState.DEAD)

    def check_counts(self, books: Books) -> None:
        found = Counter(status for status, *_ in books.events.values())
        bus, counters = self.bus, self.bus.store.counters
        counted = {name: counters[name] for name in ("delivered", "dead", "expired", "sampled")}
        assert counted == {name: found[name] for name in counted}, "the counters and the rows differ"
        assert counted == {name: books.counters[name] for name in counted}
        assert counters["accepted"] == len(books.events) == sum(counted.values()) + bus.pending
        assert bus.pending == found["pending"]
        taken_out = [count.sampled for count in bus.admission.storms.counts()]
        assert sum(taken_out) <= found["sampled"]

    def check_memory(self, books: Books) -> None:
        dispatcher = self.bus.dispatcher
        for state in (DeliveryState.DEAD, DeliveryState.RETRYING, DeliveryState.QUEUED):
            assert dispatcher.counts[state] == len(books.states(state)), f"{state} is counted wrongly"
        window = dispatcher.window
        behind = {i for i in books.events if books.queued(i) and i > window.cursor[books.events[i][2]]}
        retrying = books.states(DeliveryState.RETRYING)
        for target in TARGETS:
            lane = dispatcher.lanes[target]
            waiting = {key for key in self.owed - retrying - self.running if key[1] == target}
            waiting = {key for key in waiting if key[0] not in behind}
            if lane.parked:
                assert lane.parked == len(waiting), f"{lane.parked} parked for {target}, {len(waiting)} wait"

    def teardown(self) -> None:
        """Everything works again: in the end each event has its outcome."""
        try:
            if hasattr(self, "bus"):
                self.heal()
        finally:
            self.counted.__exit__(None, None, None)
            self.patch.undo()
            shutil.rmtree(self.directory)

    def heal(self) -> None:
        try:
            for target in TARGETS:
                self.become(target, "ok")
                self.shut(target, False)
            self.hold(False)
            self.wait(LONG)
            self.audit()
            self.check_end()
        finally:
            self.loop.run_until_complete(self.drop())
            self.loop.close()

    def check_end(self) -> None:
        assert not self.owed, f"never delivered: {sorted(self.owed)}"
        assert self.bus.pending == 0
        assert self.acknowledged <= self.events.keys()
