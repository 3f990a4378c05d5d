"""The event bus: accept, route, dispatch, and account for every event."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import msgspec

from event_monitor.bus import history
from event_monitor.bus.admission import Admission
from event_monitor.bus.database import Database
from event_monitor.bus.dead_letters import DeadLetterQueue
from event_monitor.bus.dispatcher import Dispatcher
from event_monitor.bus.inflight import InFlight
from event_monitor.bus.lane import Handle, Lane
from event_monitor.bus.meters import RateMeter
from event_monitor.bus.receipt import Receipt
from event_monitor.bus.router import Router
from event_monitor.bus.rules import Routing, RuleSet
from event_monitor.bus.store import Condition, EventStore
from event_monitor.bus.storms import GO_ON, Verdict
from event_monitor.bus.streams import EventStream
from event_monitor.bus.subscribers import Handler, Subscriber, current_event, handler_name, to_handle
from event_monitor.bus.trends import TypeMeter
from event_monitor.bus.upcasters import Upcasters
from event_monitor.bus.within import current_bus
from event_monitor.clock import Clock, LoopClock, Stamper
from event_monitor.config import Settings, TargetSettings
from event_monitor.errors import BusClosed, BusFull, InvalidEvent, InvalidRequest, StoreUnavailable
from event_monitor.model import Event, Priority, Status
from event_monitor.protection import make_breaker
from event_monitor.replies.general import Route
from event_monitor.resilience.breaker import CircuitBreaker
from event_monitor.resilience.retry import RetryPolicy
from event_monitor.resilience.waits import WaitGraph, current_waits
from event_monitor.topics import TopicPattern
from event_monitor.validation import check_event_type, check_name, check_payload, check_ttl

EXPIRY_INTERVAL = 1.0
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_THREADS = 8
# CPython 3.11 works out an enum's value anew each time.
_PENDING = Status.PENDING.value


class EventBus:
    """A durable, prioritised, at-least-once event bus in one process.

    ``publish`` returns when the event is on disk; from then on it reaches every target that its
    routing names, or the dead letter queue, whatever is killed in between. Use ``open``.
    """

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        settings: Settings,
        rules: RuleSet,
        *,
        protect: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.settings = settings
        self.router = Router(store, rules, settings.bus.priorities)
        self.circuit_breakers: dict[str, CircuitBreaker] = {}
        self.rate = RateMeter(clock.monotonic)
        self.types = TypeMeter(clock.monotonic)
        self.waits = WaitGraph(clock.monotonic)
        context = contextvars.copy_context()
        context.run(current_bus.set, self)
        context.run(current_waits.set, self.waits)
        self.dispatcher = Dispatcher(
            store,
            clock,
            max_in_memory=settings.queue.max_in_memory,
            max_in_memory_bytes=settings.queue.max_in_memory_bytes,
            max_causation_depth=settings.bus.max_causation_depth,
            rng=rng or random.Random(),
            waits=self.waits,
            context=context,
        )
        self.dead_letter_queue = DeadLetterQueue(store, self.dispatcher, clock)
        self.admission = Admission(self.router, settings, clock)
        store.on_answered = self.admission.turns.leave
        self.on_accepted: Callable[[list[InFlight]], None] = lambda records: None
        self.on_breaker: Callable[[str, CircuitBreaker], None] = lambda name, breaker: None
        self.on_breaker_gone: Callable[[str], None] = lambda name: None
        self._protect = protect
        self._streams: list[EventStream] = []
        store.on_answered = self.admission.turns.leave
        self._stamp = Stamper()
        self._threads: Executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="handler")
        self._closed = False
        self._expiry: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        path: Path | str,
        *,
        settings: Settings | None = None,
        rules: RuleSet | None = None,
        clock: Clock | None = None,
        protect: bool = False,
        rng: random.Random | None = None,
        database: type[Database] = Database,
    ) -> Self:
        """Open the store at ``path``. Add targets, then ``start``. With ``protect`` each target has a
        circuit breaker, by its settings, in ``circuit_breakers``. Jitter comes from ``rng``; the store's
        connections are made by ``database``."""
        settings = settings or Settings()
        store = await EventStore.open(Path(path), settings.store.durability, database)
        clock = clock or LoopClock(asyncio.get_running_loop())
        rules = RuleSet.empty() if rules is None else rules
        bus = cls(store, clock, settings, rules, protect=protect, rng=rng)
        await bus.router.load()
        return bus

    @property
    def rules(self) -> RuleSet:
        """The routing rules in force; may be replaced at any time."""
        return self.router.rules

    @rules.setter
    def rules(self, rules: RuleSet) -> None:
        self.router.rules = rules

    @property
    def upcasters(self) -> Upcasters:
        """What brings payloads of an older ``schema_version`` to the newest one of their type."""
        return self.dispatcher.upcasters

    @property
    def subscribers(self) -> dict[str, Subscriber]:
        """The subscriptions by name."""
        return self.router.subscribers

    async def start(self) -> None:
        """Begin to dispatch, first of all what a former run left."""
        self.store.on_commit = self._accepted
        await self.dispatcher.start()
        self._expiry = asyncio.create_task(self._expire_forever(), name="bus-expiry")

    async def stop(self, grace: float = 5.0) -> None:
        """Refuse new events, let running handlers finish for at most ``grace`` seconds, settle what
        they did and close the store. What was not handled is delivered at the next start."""
        if self._closed:
            return
        self._closed = True
        for stream in list(self._streams):
            stream.close()
        if self._expiry is not None:
            self._expiry.cancel()
            await asyncio.gather(self._expiry, return_exceptions=True)
        await self.dispatcher.stop(grace)
        await self.store.close()
        if isinstance(self._threads, ThreadPoolExecutor):
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- publish ----------------------------------------------------------------------------

    async def publish(
        self,
        event_type: str,
        payload: dict[str, Any] | None = None,
        *,
        priority: Priority | None = None,
        key: str | None = None,
        ttl: float | None = None,
        source: str | None = None,
        correlation_id: str | None = None,
        causation_id: int | None = None,
        schema_version: int = 1,
        traceparent: str | None = None,
    ) -> Receipt:
        """Accept an event; returns when it is on disk.

        Within a handler the event is marked as caused by the one that is handled. ``ttl`` is in
        seconds. Waits while the disk has enough to do, each source in its turn, and where a storm rule
        says so. Raises ``InvalidEvent``, ``BusFull``, ``RateLimited``, ``BusClosed`` or
        ``StoreUnavailable``; then nothing was accepted. A cancelled publish may or may not have been
        accepted.
        """
        depth = None if causation_id is None else await self.depth_after(causation_id)
        verdict = GO_ON
        if not self.admission.open(event_type):
            verdict = await self.admission.admit(event_type, payload, priority=priority, source=source)
        future, receipt = self.submit(
            event_type,
            payload,
            priority=priority,
            key=key,
            ttl=ttl,
            source=source,
            correlation_id=correlation_id,
            causation_id=causation_id,
            depth=depth,
            schema_version=schema_version,
            traceparent=traceparent,
            verdict=verdict,
        )
        return receipt.known_as(await future)

    async def outcome(self, event_id: int) -> Status:
        """What has become of an event: returns once each of its deliveries is settled.

        A handler may wait for what it published; that uses up its own time. Raises ``NotFound``,
        ``StoreUnavailable``, or ``DeadlockBroken`` if the event's handlers in turn wait for the one
        that waits here, or for its place in the lane.
        """
        return await self.dispatcher.outcomes.of(event_id)

    async def depth_after(self, causation_id: int) -> int:
        """The causation depth of what the event ``causation_id`` causes; 0 if it is not known."""
        found = await self.store.read(lambda connection: history.read_depth(connection, causation_id))
        return 0 if found is None else found + 1

    def submit(
        self,
        event_type: str,
        payload: dict[str, Any] | None = None,
        *,
        priority: Priority | None = None,
        key: str | None = None,
        ttl: float | None = None,
        source: str | None = None,
        correlation_id: str | None = None,
        causation_id: int | None = None,
        depth: int | None = None,
        schema_version: int = 1,
        traceparent: str | None = None,
        reserved: bool = False,
        replay_of: int | None = None,
        targets: tuple[str, ...] | None = None,
        verdict: Verdict | None = None,
        condition: Condition | None = None,
        timestamp: str | None = None,
    ) -> tuple[asyncio.Future[int], Receipt]:
        """``publish`` without waiting: the future answers the id once the event is on disk. Events
        submitted together share one commit; ``reserved`` ones, the bus's own, may use the queue's
        reserve. One with ``targets`` goes there instead of where its routing leads. ``verdict`` is what
        ``admission`` said; a replayed event was let in before. ``timestamp`` is when it happened, if that is
        not now. With ``condition`` it depends on that, in the transaction that writes it. Raises as
        ``publish`` does, but for the store's errors and the condition's refusal, which the future raises."""
        if self._closed:
            raise BusClosed("the bus is stopping", "publish again when it is back")
        payload = {} if payload is None else payload
        check_event_type(event_type)
        limits = self.settings.bus
        encoded = check_payload(payload, limits.max_payload_bytes, limits.max_payload_depth)
        payload = _decode(encoded)
        for name, value in (
            ("key", key),
            ("source", source),
            ("correlation_id", correlation_id),
            ("traceparent", traceparent),
        ):
            if value is not None:
                check_name(name, value)
        if schema_version < 1:
            raise InvalidEvent(f"schema_version {schema_version} is below 1")
        cause = current_event.get()
        if depth is None:
            depth = 0
            if cause is not None:
                causation_id, depth = cause.id, cause.depth + 1
                correlation_id = correlation_id or cause.correlation_id
        given = targets
        route = self.router.route(event_type, payload) if given is None else Routing(given, ())
        level = priority or route.priority or self.router.default_priority(event_type)
        if verdict is None:
            known = reserved or replay_of is not None
            verdict = GO_ON if known else self.admission.judge(event_type, source, level)
        sampled_by = verdict.sampled_by
        if sampled_by is None:
            self._refuse_when_full(reserved or level is Priority.CRITICAL)
        now = self.clock.wall()
        ttl = ttl if ttl is not None else route.ttl
        expires_at = deadline = None
        if ttl is not None:
            check_ttl(ttl)
            expires_at = self._stamp(self.clock.steady() + ttl)
            deadline = self.clock.monotonic() + ttl
        event = Event(
            id=self.store.next_id(),
            timestamp=timestamp or self._stamp(now),
            event_type=event_type,
            payload=payload,
            priority=level,
            status=Status.PENDING if sampled_by is None else Status.SAMPLED,
            source=source,
            key=key,
            expires_at=expires_at,
            schema_version=schema_version,
            correlation_id=correlation_id,
            causation_id=causation_id,
            replay_of=replay_of,
            traceparent=traceparent,
            depth=depth,
        )
        targets = self.router.with_subscribers(route.targets, event) if given is None else given
        record = InFlight(
            event,
            targets if sampled_by is None else (),
            size=len(encoded),
            accepted_at=self.clock.monotonic(),
            deadline=deadline,
            sampled_by=sampled_by,
        )
        row = (
            event.id,
            event.timestamp,
            event_type,
            encoded.decode(),
            _PENDING if sampled_by is None else event.status.value,
            0,
            level.rank,
            1 if sampled_by is None else None,
            self.router.number(targets),
            source,
            key,
            expires_at,
            schema_version,
            correlation_id,
            causation_id,
            replay_of,
            traceparent,
            depth,
        )
        self.admission.turns.enter()
        future = self.store.append(row, record, condition)
        return future, Receipt(
            event.id, event_type, level, "accepted", record.targets, sampled_by is not None
        )

    def _refuse_when_full(self, reserved: bool) -> None:
        queue = self.settings.queue
        limit = queue.max_backlog + (queue.reserve if reserved else 0)
        if self.pending + self.admission.turns.taken >= limit:
            raise BusFull(
                f"{self.pending:,} events are waiting, the limit is {queue.max_backlog:,}",
                "wait until handlers have caught up, or raise queue.max_backlog",
            )

    def resolve(self, event_type: str, payload: dict[str, Any]) -> Route:
        """Where an event of this type and payload would go, and why."""
        return self.router.resolve(event_type, payload)

    # --- handlers ---------------------------------------------------------------------------

    def add_target(
        self,
        name: str,
        handle: Handle,
        *,
        batch_size: int = 1,
        linger: float = 0.0,
        settings: TargetSettings | None = None,
    ) -> Lane:
        """Serve the target ``name`` with ``handle``, under its settings; see ``Lane`` for the rest."""
        if name in self.dispatcher.lanes:
            raise InvalidRequest(f"a target named {name} exists", "choose another name")
        chosen = settings or self.settings.target(name)
        retry = chosen.retry
        breaker = None
        if self._protect:
            breaker = self.circuit_breakers[name] = make_breaker(
                name, chosen.breaker, self.clock, longest=self.settings.timeout_of(chosen)
            )
            self.on_breaker(name, breaker)
        return self.dispatcher.add_lane(
            name,
            handle,
            timeout=self.settings.timeout_of(chosen),
            concurrency=chosen.concurrency,
            batch_size=batch_size,
            linger=linger,
            breaker=breaker,
            policy=RetryPolicy(
                strategy=retry.strategy,
                max_retries=retry.max_retries,
                max_delay=retry.max_delay,
                jitter=retry.jitter,
            ),
        )

    def subscribe(
        self,
        pattern: str,
        handler: Handler,
        *,
        name: str | None = None,
        matches: Callable[[Event], bool] | None = None,
        settings: TargetSettings | None = None,
    ) -> str:
        """Call ``handler`` with every event whose type matches ``pattern``, at least once.

        The name identifies the handler across restarts: subscribe again under the same name before
        ``start`` and it receives what it still owes. A synchronous handler runs on a thread.
        Answers the name.
        """
        compiled = TopicPattern(pattern)
        name = name or handler_name(handler)
        handle = to_handle(handler, self._threads)
        self.add_target(name, handle, settings=settings)
        self.subscribers[name] = Subscriber(name, compiled, matches)
        return name

    async def unsubscribe(self, name: str) -> bool:
        """Stop calling a handler. What it still owed becomes dead letters. False if unknown."""
        if self.subscribers.pop(name, None) is None:
            return False
        await self.dispatcher.remove_lane(name)
        if self.circuit_breakers.pop(name, None) is not None:
            self.on_breaker_gone(name)
        return True

    def stream(self, pattern: str, matches: Callable[[Event], bool] | None = None) -> EventStream:
        """Watch accepted events live. Not a delivery: what the reader misses is counted as a gap."""
        stream = EventStream(TopicPattern(pattern), matches, on_close=self._streams.remove)
        self._streams.append(stream)
        return stream

    # --- accounts ---------------------------------------------------------------------------

    def _accepted(self, records: list[InFlight]) -> None:
        self.rate.add(len(records))
        self.types.add(record.event.event_type for record in records)
        self.on_accepted(records)
        for stream in self._streams:
            for record in records:
                stream.offer(record.event)
        owing = []
        for record in records:
            if record.sampled_by is None:
                owing.append(record)
            else:
                record.sampled_by.sampled += 1
        self.dispatcher.window.accept(owing)

    @property
    def pending(self) -> int:
        """Accepted events that are not concluded."""
        counters = self.store.counters
        return max(
            0,
            counters["accepted"]
            - counters["delivered"]
            - counters["dead"]
            - counters["expired"]
            - counters["sampled"],
        )

    async def settled(self) -> None:
        """Return when nothing is queued or running, retries aside, and all of it is on disk. While
        the disk refuses writes it waits."""
        moved = self.dispatcher.moved
        while True:
            moved.clear()
            if self.dispatcher.quiet:
                await self.store.catch_up()
                if self.dispatcher.quiet and self.store.trouble is None:
                    return
            await moved.wait()

    async def _expire_forever(self) -> None:
        """Mark what expires while it waits, in memory and on disk, and look for storms."""
        while True:
            await asyncio.sleep(EXPIRY_INTERVAL)
            self.admission.storms.review()
            for lane in self.dispatcher.lanes.values():
                lane.expire_due()
            window = self.dispatcher.window
            if not window.behind:
                continue
            async with window.lock:
                floor = tuple(window.cursor)
                now = self._stamp(self.clock.steady())
                try:
                    await self.store.write(lambda ledger: ledger.expire_queued(now, floor))  # noqa: B023 - awaited here
                except StoreUnavailable:
                    continue
