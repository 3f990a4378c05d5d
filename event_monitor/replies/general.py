"""What each command and query answers. One reply is one frozen struct."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from event_monitor.model import (
    Alert,
    Delivery,
    Event,
    Latency,
    Priority,
    SystemState,
    Transition,
)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all replies. ``LINES`` names the field of a list whose items programs get, one a line."""

    LINES: ClassVar[str] = ""


class Done(Reply, frozen=True):
    """A command was carried out; ``count`` says on how many things."""

    count: int = 0
    message: str = ""


class Pong(Reply, frozen=True):
    pid: int
    version: str
    home: str


class Published(Reply, frozen=True, omit_defaults=True):
    """``status`` is ``accepted``, ``duplicate`` (the key was known: ``id`` is the first event's)
    or ``spooled`` (``id`` is then ``None``). A ``sampled`` event was over the limit of its storm rule:
    it is stored and goes to no target."""

    id: int | None
    event_type: str
    priority: Priority
    status: str
    targets: list[str]
    sampled: bool = False


class LineError(msgspec.Struct, frozen=True):
    """``retry_after`` is in seconds, for what may succeed later."""

    line: int
    code: str
    message: str
    retry_after: float | None = None


class PublishedLines(Reply, frozen=True):
    """``line`` of an error counts from 0 within the request."""

    accepted: int
    duplicates: int
    first_id: int | None
    last_id: int | None
    errors: list[LineError]


class SubscriptionInfo(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    pattern: str
    handler: str
    filter: str | None = None
    created_at: str


class Subscription(Reply, frozen=True):
    subscription: SubscriptionInfo


class Subscriptions(Reply, frozen=True):
    LINES = "subscriptions"

    subscriptions: list[SubscriptionInfo]


class StormCount(msgspec.Struct, frozen=True, kw_only=True):
    """What became, since the start, of the events of one source that were over the limit of one storm
    rule: ``over`` of them, ``kept`` (delivered all the same), sampled out, delayed or refused. An event
    that was refused and tried again counts each time."""

    pattern: str
    source: str | None
    action: str
    over: int
    kept: int = 0
    sampled: int = 0
    delayed: int = 0
    refused: int = 0


class Stats(Reply, frozen=True):
    """``delayed`` and ``refused`` are what storm rules did since the start, ``storms`` the same by rule
    and source; ``shed`` counts by source what was refused because too many publishers waited."""

    state: SystemState
    events_per_second: float
    queue_depth: int
    published: int
    delivered: int
    pending: int
    dead: int
    parked: int
    expired: int
    sampled: int
    latency_ms: Latency
    breakers: dict[str, str]
    dead_letters: int = 0
    retrying: int = 0
    in_memory: int = 0
    rss_bytes: int = 0
    fds: int = 0
    threads: int = 0
    tasks: int = 0
    uptime: float = 0.0
    store_bytes: int = 0
    wal_bytes: int = 0
    targets: dict[str, dict[str, float | int]] = {}
    delayed: int = 0
    refused: int = 0
    shed: dict[str, int] = {}
    waiting_publishers: int = 0
    storms: list[StormCount] = []


class TaskInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One task of the bus's loop. ``state`` is ``running``, ``waiting``, or ``left behind`` for one that
    ignores its cancellation; ``age`` is in seconds, ``None`` if it is not known; ``stack`` says where it
    is, the innermost call first."""

    name: str
    state: str
    age: float | None = None
    event_id: int | None = None
    waits_for: str | None = None
    stack: list[str] = []


class LockInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A lock that is held, for how many seconds and by which task."""

    name: str
    owner: str
    held: float


class Tasks(Reply, frozen=True):
    """``loop`` is the stack of the loop's own thread."""

    tasks: list[TaskInfo]
    locks: list[LockInfo] = []
    loop: list[str] = []


class StateReport(Reply, frozen=True):
    """``history`` are the last transitions, ``refused`` those that the table did not allow since the
    start; both the oldest first, and empty unless they were asked for."""

    state: SystemState
    since: str
    reason: str
    history: list[Transition] = []
    refused: list[Transition] = []


class EventPage(Reply, frozen=True):
    """``cursor`` is the id to go on from (as ``before_id``, or ``after_id`` when reading upwards);
    ``None`` at the end. A page may hold fewer events than asked for although there are more."""

    LINES = "events"

    events: list[Event]
    cursor: int | None = None


class EventDetail(Reply, frozen=True):
    """One event with its deliveries, what caused it (nearest first) and what it caused."""

    event: Event
    targets: list[str]
    deliveries: list[Delivery]
    causes: list[Event] = []
    effects: list[Event] = []


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was given up. ``error`` is the last of ``errors``."""

    id: int
    event_type: str
    target: str
    attempts: int
    error: str
    dead_at: str
    priority: Priority
    payload: dict[str, Any]
    errors: list[dict[str, str]] = []


class DeadLetterPage(Reply, frozen=True):
    LINES = "dead_letters"

    dead_letters: list[DeadLetter]
    more: bool


class Route(Reply, frozen=True):
    """``rules`` are the patterns that matched, as they stand in the file."""

    event_type: str
    priority: Priority
    targets: list[str]
    rules: list[str]
    ttl: float | None = None


class BreakerReport(Reply, frozen=True):
    """One circuit breaker; a target's is named ``target:NAME``. ``forced`` is ``open`` or ``closed``
    while a person holds it; ``retry_after`` is in seconds, ``None`` while it is held open. ``busy`` of
    ``max_concurrent`` places are taken, ``waiting`` calls or deliveries (on disk, for a target) queue
    for one. ``since``, ``reason`` and ``by`` tell of the last change since the start."""

    service: str
    state: str
    failure_count: int
    forced: str | None
    retry_after: float | None
    failure_threshold: int = 5
    forced_by: str | None = None
    forced_reason: str = ""
    last_error: str | None = None
    parked: int = 0
    busy: int = 0
    max_concurrent: int = 1
    waiting: int = 0
    since: str | None = None
    reason: str = ""
    by: str | None = None


class Breakers(Reply, frozen=True):
    LINES = "breakers"

    breakers: list[BreakerReport]


class ServiceHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One service: its checks are ``pass``, ``fail`` or ``unknown``; ``details`` is what its kind
    tells (pid, restarts, transport), ``error`` what the last failed probe said."""

    service: str
    kind: str
    startup: str
    readiness: str
    liveness: str
    breaker: str
    fallback: str | None = None
    error: str | None = None
    details: dict[str, Any] = {}


class HealthReport(Reply, frozen=True):
    LINES = "services"

    services: list[ServiceHealth]


class ServiceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One configured service. ``state`` is its process's, or what its checks say where we run none;
    ``declared`` is the scope of the assistant's configuration that it was taken from."""

    service: str
    kind: str
    state: str
    breaker: str
    startup: str
    readiness: str
    liveness: str
    pid: int | None = None
    restarts: int | None = None
    critical: bool = False
    declared: str | None = None


class Services(Reply, frozen=True):
    LINES = "services"

    services: list[ServiceRow]


class DiscoveredServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A server that the assistant's configuration declares. ``shown`` is its command or address without
    what looks like a secret; ``env`` and ``headers`` are names only; ``timeout`` is in seconds.
    ``service`` watches it already, ``health`` is that one's; calls are those that hooks told of."""

    name: str
    scope: str
    transport: str
    origin: str
    project: str | None = None
    shown: str = ""
    env: list[str] = []
    headers: list[str] = []
    timeout: float | None = None
    service: str | None = None
    health: str | None = None
    calls_ok: int = 0
    calls_failed: int = 0
    last_call_at: str | None = None
    last_error: str | None = None
    notes: list[str] = []


class DiscoveredServers(Reply, frozen=True):
    LINES = "servers"

    servers: list[DiscoveredServerInfo]
    notes: list[str] = []


class AdoptionPlan(Reply, frozen=True):
    """What would be started, and the lines ``entry`` that would be written to ``file`` for it."""

    service: str
    server: DiscoveredServerInfo
    fingerprint: str
    file: str
    entry: str
    cwd: str | None = None


class BreakerMove(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a breaker's state. ``by`` names who made it, if somebody did."""

    at: str
    from_state: str = msgspec.field(name="from")
    to_state: str = msgspec.field(name="to")
    reason: str
    by: str | None = None


class ProbeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one health check found, and how long that took. ``error`` is ``None`` if all was well."""

    at: str
    check: str
    ms: float
    error: str | None = None


class ErrorLine(msgspec.Struct, frozen=True, kw_only=True):
    """One distinct error and how often it was seen."""

    error: str
    count: int
    last_at: str


class BulkheadReport(msgspec.Struct, frozen=True, kw_only=True):
    """Places and queue. ``queue_size`` is ``None`` for a target: its queue is the disk, and
    ``on_disk`` says how much of ``waiting`` lies there."""

    busy: int
    max_concurrent: int
    waiting: int
    queue_size: int | None = None
    on_disk: int = 0
    rejected: int = 0
    timed_out: int = 0


class BudgetReport(msgspec.Struct, frozen=True, kw_only=True):
    """Retries of the last seconds: made, allowed, and refused since the start."""

    used: int
    allowed: int
    refused: int


class FallbackReport(msgspec.Struct, frozen=True, kw_only=True):
    """A fallback chain in order. ``active`` is the step that answered last; the rest counts answers."""

    steps: list[str]
    active: str | None = None
    primary: int = 0
    fallback: int = 0
    exhausted: int = 0


class DeliveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a target did with its deliveries since the start. ``abandoned`` handlers ignored their
    cancellation and still run."""

    handled: int
    failed: int
    timed_out: int
    abandoned: int
    parked: int


class ServiceDetail(Reply, frozen=True):
    """All that is known of one service, or of a target (``target:NAME``, of kind ``target``).

    ``timeline`` is the breaker's worst state in each of the last 60 minutes, the newest last,
    ``UNKNOWN`` before it was watched. ``counters`` count calls since the start, ``calls`` those of
    the last two minutes by the second, ``p95_ms`` is how long those of each second of the last minute
    took. ``changes`` and ``probes`` end with the newest, ``errors`` begin with it. What only a service or
    only a target has is ``None`` for the other.
    """

    service: str
    kind: str
    startup: str
    readiness: str
    liveness: str
    breaker: str
    circuit: BreakerReport
    timeline: list[str]
    changes: list[BreakerMove]
    counters: dict[str, int]
    errors: list[ErrorLine]
    bulkhead: BulkheadReport
    fallback: str | None = None
    error: str | None = None
    details: dict[str, Any] = {}
    calls_per_second: float = 0.0
    calls: tuple[int, ...] = ()
    latency_ms: Latency = Latency()
    p95_ms: tuple[float, ...] = ()
    probes: list[ProbeAnswer] = []
    next_probe_in: float | None = None
    budget: BudgetReport | None = None
    fallbacks: FallbackReport | None = None
    deliveries: DeliveryReport | None = None


class Alerts(Reply, frozen=True):
    LINES = "alerts"

    alerts: list[Alert]


class AnalyticsRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event type or command. Durations are milliseconds, ``None`` if none were reported."""

    name: str
    count: int
    failures: int
    success_rate: float
    mean_ms: float | None
    max_ms: float | None
    last_at: str


class Analytics(Reply, frozen=True):
    by_type: list[AnalyticsRow]
    by_command: list[AnalyticsRow]
