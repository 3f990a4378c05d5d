"""Every command and query that a person or a program can send, and what each answers.

One message is one frozen struct. On the socket a message is a JSON object whose ``do`` names it;
in process it is passed as it is. ``Runtime.handle`` is the only place that receives them.
Commands (``COMMANDS``) change something; queries never do.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from event_monitor.model import (
    Alert,
    Delivery,
    Event,
    Latency,
    Priority,
    Snapshot,
    Status,
    SystemState,
    Transition,
)

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What the store can hold as an integer."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    """Base of all messages."""


# --- commands -------------------------------------------------------------------------------


class Publish(Message, tag="publish", frozen=True):
    """Accept one event. ``ttl`` is in seconds. Answers ``Published``."""

    event_type: str
    payload: dict[str, Any] = {}
    priority: Priority | None = None
    key: str | None = None
    ttl: float | None = None
    source: str | None = None
    correlation_id: str | None = None
    causation_id: Number | None = None
    schema_version: Number = 1
    traceparent: str | None = None


class PublishText(Message, tag="publish_text", frozen=True):
    """``Publish`` for a caller that has the payload as JSON text and no JSON library loaded.

    The other options may arrive as text too, as they stand on a command line."""

    event_type: str
    payload: str = "{}"
    priority: str | None = None
    key: str | None = None
    ttl: str | None = None
    source: str | None = None
    causation_id: str | None = None


class PublishLines(Message, tag="publish_lines", frozen=True):
    """Accept many events, each a JSON object as text. Answers ``PublishedLines``: a bad line
    is reported and harms no other."""

    lines: list[str]
    source: str | None = None


class PublishHook(Message, tag="publish_hook", frozen=True):
    """Accept an assistant's hook input as it came on stdin. Answers ``Published``."""

    text: str
    key: str | None = None


class Subscribe(Message, tag="subscribe", frozen=True):
    """Register a handler for a topic pattern.

    ``handler`` is ``-`` (answers an event stream for as long as it is read), ``exec:COMMAND``
    (the event as JSON on its stdin) or ``py:module:function``; the last two are kept across
    restarts under ``name`` and answer ``Subscription``."""

    pattern: str
    handler: str = "-"
    name: str | None = None
    filter: str | None = None


class Unsubscribe(Message, tag="unsubscribe", frozen=True):
    """Remove a kept subscription. Answers ``Done``."""

    name: str


class RetryDeadLetters(Message, tag="retry_dead_letters", frozen=True):
    """Queue dead letters again: those of one event, or all that match. Answers ``Done``."""

    event_id: Number | None = None
    target: str | None = None
    event_type: str | None = None
    all: bool = False


class DropDeadLetters(Message, tag="drop_dead_letters", frozen=True):
    """Give dead letters up; the event keeps its status and errors. Answers ``Done``."""

    event_id: Number | None = None
    target: str | None = None
    event_type: str | None = None
    all: bool = False


class AcknowledgeAlerts(Message, tag="acknowledge_alerts", frozen=True):
    """Mark one alert, or all (``alert_id`` absent), as seen. Answers ``Done``."""

    alert_id: Number | None = None


class ReloadRules(Message, tag="reload_rules", frozen=True):
    """Read the routing rules again now. Answers ``Done`` or the mistake."""


# --- queries --------------------------------------------------------------------------------


class Ping(Message, tag="ping", frozen=True):
    """Answers ``Pong``."""


class GetSnapshot(Message, tag="get_snapshot", frozen=True):
    """Answers ``Snapshot``; its feed is left out if it still is at ``feed_revision``."""

    feed_revision: Number = -1


class GetStats(Message, tag="get_stats", frozen=True):
    """Answers ``Stats``."""


class GetState(Message, tag="get_state", frozen=True):
    """Answers ``StateReport``; with ``history`` the last 100 transitions too, oldest first."""

    history: bool = False


class QueryEvents(Message, tag="query_events", frozen=True):
    """One page of history. ``type`` is a topic pattern, ``filter`` a regular expression over the
    type and the payload as JSON text; ``since`` and ``until`` are ISO 8601, epoch seconds or
    relative (``-15m``). With ``newest_first`` a page runs down from ``before_id``, else it runs
    up from ``after_id``. Answers ``EventPage``."""

    type: str | None = None
    status: Status | None = None
    since: str | None = None
    until: str | None = None
    filter: str | None = None
    after_id: Number | None = None
    before_id: Number | None = None
    newest_first: bool = True
    limit: Number = 100


class GetEvent(Message, tag="get_event", frozen=True):
    """Answers ``EventDetail``."""

    event_id: Number


class QueryDeadLetters(Message, tag="query_dead_letters", frozen=True):
    """Answers ``DeadLetterPage``, the oldest first, starting after ``after`` (id, target)."""

    event_type: str | None = None
    target: str | None = None
    event_id: Number | None = None
    after: tuple[Number, str] | None = None
    limit: Number = 100


class ResolveRoute(Message, tag="resolve_route", frozen=True):
    """Where an event of this type (and payload, if filters look at it) would go. Answers ``Route``."""

    event_type: str
    payload: dict[str, Any] = {}


class QuerySubscriptions(Message, tag="query_subscriptions", frozen=True):
    """Answers ``Subscriptions``."""


class QueryAlerts(Message, tag="query_alerts", frozen=True):
    """Answers ``Alerts``, the newest first."""

    limit: Number = 100


class GetAnalytics(Message, tag="get_analytics", frozen=True):
    """What the ``analytics`` target counted. Answers ``Analytics``."""

    since: str | None = None


COMMANDS: tuple[type[Message], ...] = (
    Publish,
    PublishText,
    PublishLines,
    PublishHook,
    Subscribe,
    Unsubscribe,
    RetryDeadLetters,
    DropDeadLetters,
    AcknowledgeAlerts,
    ReloadRules,
)

AnyMessage = (
    Publish
    | PublishText
    | PublishLines
    | PublishHook
    | Subscribe
    | Unsubscribe
    | RetryDeadLetters
    | DropDeadLetters
    | AcknowledgeAlerts
    | ReloadRules
    | Ping
    | GetSnapshot
    | GetStats
    | GetState
    | QueryEvents
    | GetEvent
    | QueryDeadLetters
    | ResolveRoute
    | QuerySubscriptions
    | QueryAlerts
    | GetAnalytics
)


# --- replies --------------------------------------------------------------------------------


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all replies."""


class Done(Reply, frozen=True):
    """A command was carried out; ``count`` says on how many things."""

    count: int = 0
    message: str = ""


class Pong(Reply, frozen=True):
    pid: int
    version: str
    home: str


class Published(Reply, frozen=True):
    """``status`` is ``accepted``, ``duplicate`` (the key was known: ``id`` is the first event's)
    or ``spooled`` (``id`` is then ``None``)."""

    id: int | None
    event_type: str
    priority: Priority
    status: str
    targets: list[str]


class LineError(msgspec.Struct, frozen=True):
    line: int
    code: str
    message: str


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
    subscriptions: list[SubscriptionInfo]


class Stats(Reply, frozen=True):
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
    uptime: float = 0.0
    store_bytes: int = 0
    wal_bytes: int = 0
    targets: dict[str, dict[str, float | int]] = {}


class StateReport(Reply, frozen=True):
    state: SystemState
    since: str
    reason: str
    history: list[Transition] = []


class EventPage(Reply, frozen=True):
    """``cursor`` is the id to go on from (as ``before_id``, or ``after_id`` when reading upwards);
    ``None`` at the end. A page may hold fewer events than asked for although there are more."""

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
    dead_letters: list[DeadLetter]
    more: bool


class Route(Reply, frozen=True):
    """``rules`` are the patterns that matched, as they stand in the file."""

    event_type: str
    priority: Priority
    targets: list[str]
    rules: list[str]
    ttl: float | None = None


class Alerts(Reply, frozen=True):
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


AnyReply = (
    Done
    | Pong
    | Published
    | PublishedLines
    | Subscription
    | Subscriptions
    | Stats
    | StateReport
    | EventPage
    | EventDetail
    | DeadLetterPage
    | Route
    | Alerts
    | Analytics
    | Snapshot
)

REPLY_OF: dict[type[Message], type[Any]] = {
    Publish: Published,
    PublishText: Published,
    PublishLines: PublishedLines,
    PublishHook: Published,
    Subscribe: Subscription,
    Unsubscribe: Done,
    RetryDeadLetters: Done,
    DropDeadLetters: Done,
    AcknowledgeAlerts: Done,
    ReloadRules: Done,
    Ping: Pong,
    GetSnapshot: Snapshot,
    GetStats: Stats,
    GetState: StateReport,
    QueryEvents: EventPage,
    GetEvent: EventDetail,
    QueryDeadLetters: DeadLetterPage,
    ResolveRoute: Route,
    QuerySubscriptions: Subscriptions,
    QueryAlerts: Alerts,
    GetAnalytics: Analytics,
}
