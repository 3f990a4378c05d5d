"""Plain data that every part shares: events, deliveries and the snapshot that a screen shows.

Nothing here does anything. All structs are immutable, so they may cross threads and processes.
Times are ISO 8601 in UTC with microseconds and ``Z``; durations are seconds unless a name says
otherwise.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec


class Priority(enum.StrEnum):
    """How urgent an event is; ``rank`` 0 is served first."""

    rank: int

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    NORMAL = "NORMAL"
    LOW = "LOW"


PRIORITIES = tuple(Priority)
for _rank, _level in enumerate(PRIORITIES):
    _level.rank = _rank


class Status(enum.StrEnum):
    """What became of an event: the sum over its deliveries."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    EXPIRED = "expired"
    SAMPLED = "sampled"


class DeliveryState(enum.StrEnum):
    """Where one event stands with one target."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    PARKED = "parked"
    DELIVERED = "delivered"
    DEAD = "dead"
    EXPIRED = "expired"
    DROPPED = "dropped"


class ReplayState(enum.StrEnum):
    """How a replay stands: the first two are live, the others are its end."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


class SystemState(enum.StrEnum):
    """The six states of the whole system."""

    INITIALIZING = "INITIALIZING"
    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    RECOVERING = "RECOVERING"
    FAILED = "FAILED"
    MAINTENANCE = "MAINTENANCE"


class Severity(enum.StrEnum):
    """How loud an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted event, as it is stored, delivered and shown.

    ``id`` rises with every accepted event of a home and is never used twice. ``depth`` is the
    length of the causation chain that led here, 0 for an event that nothing caused.
    """

    id: int
    """Rises with every accepted event; the number that other commands take."""
    timestamp: str
    """When it was accepted, in UTC."""
    event_type: str
    """Dot-separated lower-case words, at most 255 characters."""
    payload: dict[str, Any]
    """What it is about: a JSON object."""
    priority: Priority = Priority.NORMAL
    """How urgent it is."""
    status: Status = Status.PENDING
    """What became of it: the sum over its deliveries."""
    retry_count: int = 0
    """How often a delivery of it was tried again."""
    source: str | None = None
    """Who published it, if they said so."""
    key: str | None = None
    """The idempotency key: a second event with it is a duplicate."""
    expires_at: str | None = None
    """When it will no longer be delivered."""
    schema_version: int = 1
    """The version of its payload's shape; an upcaster makes a newer one of an older."""
    correlation_id: str | None = None
    """What belongs together has the same."""
    causation_id: int | None = None
    """The event that caused this one."""
    replay_of: int | None = None
    """The event that this one replays."""
    traceparent: str | None = None
    """The W3C trace context, handed through."""
    depth: int = 0
    """The length of the chain of causes: 0 where nothing caused it."""


class DeliveryError(msgspec.Struct, frozen=True):
    """One failed attempt."""

    at: str
    error: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one target. ``id`` is stable over retries and restarts."""

    event_id: int
    target: str
    state: DeliveryState
    attempts: int = 0
    next_attempt_at: str | None = None
    errors: tuple[DeliveryError, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.event_id}:{self.target}"


class Latency(msgspec.Struct, frozen=True):
    """Publish to handler, in milliseconds; ``None`` while nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class RateView(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic of the last two minutes. ``series`` holds one count a second, the newest last."""

    per_second: float = 0.0
    peak: int = 0
    series: tuple[int, ...] = ()
    latency_ms: Latency = Latency()


class TypeRate(msgspec.Struct, frozen=True, kw_only=True):
    """How often one event type came in the last minute, and its part of all. ``series`` counts it in
    each five seconds of the last two minutes, the newest last. The empty type is all others."""

    event_type: str
    per_second: float
    share: float
    series: tuple[int, ...] = ()


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """What waits. ``depth`` is all of it, in memory and on disk; ``by_priority`` runs
    CRITICAL, HIGH, NORMAL, LOW; ``oldest_age`` is in seconds."""

    depth: int = 0
    limit: int = 0
    in_memory: int = 0
    on_disk: int = 0
    by_priority: tuple[int, int, int, int] = (0, 0, 0, 0)
    oldest_age: float | None = None
    parked: int = 0
    retrying: int = 0
    dead: int = 0
    sampled: int = 0


class ServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """One protected service as the services table shows it. ``health`` is startup,
    readiness, liveness, each ``pass``, ``fail`` or ``unknown``. ``slowest_ms`` and ``failures`` tell of
    its calls and probes in each ten seconds of the last five minutes, the newest last."""

    name: str
    kind: str
    breaker: str
    forced: str | None = None
    failure_count: int = 0
    failure_threshold: int = 5
    calls_per_second: float = 0.0
    p95_ms: float | None = None
    busy: int = 0
    max_concurrent: int = 10
    health: tuple[str, str, str] = ("unknown", "unknown", "unknown")
    fallback: str | None = None
    retry_after: float | None = None
    next_probe_in: float | None = None
    note: str = ""
    slowest_ms: tuple[float | None, ...] = ()
    failures: tuple[int, ...] = ()


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the system state."""

    from_state: SystemState
    to_state: SystemState
    at: str
    reason: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know, kept until it is acknowledged. ``count`` says how often
    the same thing happened since ``at``; ``about`` names the service, or the target (``target:NAME``),
    that it is about, if it is about one."""

    id: int
    at: str
    severity: Severity
    title: str
    detail: str = ""
    event_id: int | None = None
    count: int = 1
    last_at: str = ""
    acknowledged: bool = False
    about: str = ""


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the live feed. ``outcomes`` pairs each target with the state of its delivery."""

    id: int
    timestamp: str
    priority: Priority
    event_type: str
    summary: str
    status: Status
    outcomes: tuple[tuple[str, DeliveryState], ...] = ()
    attempts: int = 0


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of events since the store was made. ``pending`` are accepted and not concluded, those
    with ``parked`` deliveries among them."""

    published: int = 0
    delivered: int = 0
    pending: int = 0
    dead: int = 0
    parked: int = 0
    expired: int = 0
    sampled: int = 0


class ReplayMark(msgspec.Struct, frozen=True):
    """A live replay in a few words: ``share`` of its events is dealt with, ``speed`` is ``None`` at full
    speed, ``others`` are live beside it."""

    id: int
    state: ReplayState
    share: float
    speed: float | None
    others: int = 0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that the dashboard shows, taken once a second. ``feed`` is ``None`` when nothing in it
    changed since the ``feed_revision`` that the asker named. ``unwatched`` counts the MCP servers that
    the assistant declares and no service watches."""

    at: str
    home: str
    version: str
    uptime: float
    pid: int
    state: SystemState
    state_since: str
    state_reason: str
    transitions: tuple[Transition, ...] = ()
    rate: RateView = RateView()
    types: tuple[TypeRate, ...] = ()
    queue: QueueView = QueueView()
    totals: Totals = Totals()
    services: tuple[ServiceView, ...] = ()
    alerts: tuple[Alert, ...] = ()
    unacknowledged: int = 0
    feed: tuple[FeedItem, ...] | None = None
    feed_revision: int = 0
    views: int = 1
    durability: str = "full"
    demo: bool = False
    unwatched: int = 0
    rss_bytes: int = 0
    kill_switch: bool = False
    replay: ReplayMark | None = None
