"""Every command and query that a person or a program can send.

One message is one frozen struct. On the socket a message is a JSON object whose ``do`` names it;
in process it is passed as it is. ``Runtime.handle`` is the only place that receives them.
Commands (``COMMANDS``) change something; queries never do.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from event_monitor.model import Priority, Snapshot, Status
from event_monitor.replay_replies import Histogram, ReplayPlan, ReplayReport, Replays
from event_monitor.replies import (
    AdoptionPlan,
    Alerts,
    Analytics,
    BreakerReport,
    Breakers,
    DeadLetterPage,
    DiscoveredServers,
    Done,
    EventDetail,
    EventPage,
    HealthReport,
    Pong,
    Published,
    PublishedLines,
    Route,
    ServiceDetail,
    Services,
    StateReport,
    Stats,
    Subscription,
    Subscriptions,
    Tasks,
)

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What the store can hold as an integer."""

Reason = Annotated[str, msgspec.Meta(max_length=1_000)]
"""Why a person does something, in their words: any text of a length that a screen can hold."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    """Base of all messages."""


Speed = float | Literal["max"]
"""How many times as fast as recorded, 0.1 to 100; ``max`` waits for no recorded gap."""


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


class Reload(Message, tag="reload", frozen=True):
    """Read the routing rules and the settings again now. Answers ``Done`` or the mistakes; what is
    wrong changes nothing."""


class AdoptService(Message, tag="adopt_service", frozen=True):
    """A person's word that a server of the assistant's configuration may be started: written to the
    settings, which are then read again. ``fingerprint`` is that of the plan which was shown. Answers
    ``Done``."""

    name: str
    fingerprint: str
    scope: Literal["user", "local", "project"] | None = None
    project: str | None = None
    service: str | None = None
    by: str = ""


class ForgetService(Message, tag="forget_service", frozen=True):
    """Take an adopted service out of the settings and end it. Answers ``Done``."""

    service: str
    by: str = ""


class SetBreaker(Message, tag="set_breaker", frozen=True):
    """Hold a breaker ``open`` or ``close``d, let its next call try (``half_open``), or ``reset`` it to
    work by itself; kept across a restart with who and why. Answers ``BreakerReport``."""

    name: str
    action: Literal["open", "close", "half_open", "reset"]
    reason: Reason = ""
    by: str = ""


class SetMaintenance(Message, tag="set_maintenance", frozen=True):
    """Begin or end planned downtime: events are accepted and stored, all but CRITICAL ones wait. Who
    and why are recorded with the transition. Answers ``StateReport``."""

    on: bool
    reason: Reason = ""
    by: str = ""


class Resume(Message, tag="resume", frozen=True):
    """Go on after the kill switch: dispatch again, and give back the breakers that it opened. Answers
    ``StateReport``."""

    reason: Reason = ""
    by: str = ""


class RestartService(Message, tag="restart_service", frozen=True):
    """Begin a service's recovery now. Answers ``Done``."""

    service: str
    reason: Reason = ""
    by: str = ""


class ReplaySelection(Message, frozen=True):
    """Which recorded events to replay, where to and how fast. ``since`` and ``until`` (now, if absent)
    are times as in ``QueryEvents``, ``type`` a topic pattern, ``filter`` a regular expression over
    type and payload. Without ``targets`` events go where they would go today, less the targets with
    side effects; a named target gets all of them, a named subscription those that it subscribes to.
    Events that are replays themselves are taken with ``replays`` only."""

    since: str
    until: str | None = None
    type: str | None = None
    filter: str | None = None
    targets: tuple[str, ...] = ()
    speed: Speed = 1.0
    replays: bool = False


class StartReplay(ReplaySelection, tag="start_replay", frozen=True):
    """Begin a replay of what is recorded now; ``paused`` waits for a step or to be resumed. Answers
    ``ReplayReport``. It goes on by itself, also after a restart, until it is done or stopped."""

    paused: bool = False


class ControlReplay(Message, tag="control_replay", frozen=True):
    """Pause, resume or stop a replay, pause it and replay ``count`` events (``step``), or set its
    ``speed``. Answers ``ReplayReport``: of what was under way nothing is half done then."""

    replay_id: Number
    action: Literal["pause", "resume", "step", "stop", "speed"]
    count: Number = 1
    speed: Speed = 1.0


# --- queries --------------------------------------------------------------------------------


class Ping(Message, tag="ping", frozen=True):
    """Answers ``Pong``."""


class GetSnapshot(Message, tag="get_snapshot", frozen=True):
    """Answers ``Snapshot``; its feed is left out if it still is at ``feed_revision``."""

    feed_revision: Number = -1


class GetStats(Message, tag="get_stats", frozen=True):
    """Answers ``Stats``."""


class GetTasks(Message, tag="get_tasks", frozen=True):
    """What the bus does now: each task with its stack, and what it waits for. Answers ``Tasks``."""


class GetState(Message, tag="get_state", frozen=True):
    """Answers ``StateReport``; with ``history`` the last 100 transitions too, oldest first, and those
    that were refused."""

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


class QueryBreakers(Message, tag="query_breakers", frozen=True):
    """Answers ``Breakers``: all, or the one that is named."""

    name: str | None = None


class QueryHealth(Message, tag="query_health", frozen=True):
    """Answers ``HealthReport``: all services, or the one that is named."""

    service: str | None = None


class QueryServices(Message, tag="query_services", frozen=True):
    """Answers ``Services``: those that are configured."""


class QueryDiscovered(Message, tag="query_discovered", frozen=True):
    """The MCP servers that the assistant's own configuration declares. Answers ``DiscoveredServers``."""


class PlanAdoption(Message, tag="plan_adoption", frozen=True):
    """What ``AdoptService`` would write and start. Answers ``AdoptionPlan``."""

    name: str
    scope: Literal["user", "local", "project"] | None = None
    project: str | None = None
    service: str | None = None


class GetService(Message, tag="get_service", frozen=True):
    """Answers ``ServiceDetail``: all about one service, or about a target by its breaker's name."""

    name: str


class QueryAlerts(Message, tag="query_alerts", frozen=True):
    """Answers ``Alerts``, the newest first."""

    limit: Number = 100


class GetAnalytics(Message, tag="get_analytics", frozen=True):
    """What the ``analytics`` target counted. Answers ``Analytics``."""

    since: str | None = None


class PlanReplay(ReplaySelection, tag="plan_replay", frozen=True):
    """What ``StartReplay`` would do now: it delivers nothing. Answers ``ReplayPlan``."""


class QueryReplays(Message, tag="query_replays", frozen=True):
    """Answers ``Replays``: the last hundred, the newest first, or the one that is named."""

    replay_id: Number | None = None


class GetHistogram(Message, tag="get_histogram", frozen=True):
    """How many events were recorded in each of ``buckets`` equal parts of a span, which is all of
    history if none is named. ``type`` is a topic pattern. Answers ``Histogram``."""

    since: str | None = None
    until: str | None = None
    type: str | None = None
    buckets: Number = 60


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
    Reload,
    SetBreaker,
    SetMaintenance,
    Resume,
    RestartService,
    AdoptService,
    ForgetService,
    StartReplay,
    ControlReplay,
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
    | Reload
    | SetBreaker
    | SetMaintenance
    | Resume
    | RestartService
    | AdoptService
    | ForgetService
    | StartReplay
    | ControlReplay
    | Ping
    | GetSnapshot
    | GetStats
    | GetState
    | GetTasks
    | QueryEvents
    | GetEvent
    | QueryDeadLetters
    | ResolveRoute
    | QuerySubscriptions
    | QueryBreakers
    | QueryHealth
    | QueryServices
    | QueryDiscovered
    | PlanAdoption
    | GetService
    | QueryAlerts
    | GetAnalytics
    | PlanReplay
    | QueryReplays
    | GetHistogram
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
    Reload: Done,
    SetBreaker: BreakerReport,
    SetMaintenance: StateReport,
    Resume: StateReport,
    RestartService: Done,
    AdoptService: Done,
    ForgetService: Done,
    Ping: Pong,
    GetSnapshot: Snapshot,
    GetStats: Stats,
    GetState: StateReport,
    GetTasks: Tasks,
    QueryEvents: EventPage,
    GetEvent: EventDetail,
    QueryDeadLetters: DeadLetterPage,
    ResolveRoute: Route,
    QuerySubscriptions: Subscriptions,
    QueryBreakers: Breakers,
    QueryHealth: HealthReport,
    QueryServices: Services,
    QueryDiscovered: DiscoveredServers,
    PlanAdoption: AdoptionPlan,
    GetService: ServiceDetail,
    QueryAlerts: Alerts,
    GetAnalytics: Analytics,
    StartReplay: ReplayReport,
    ControlReplay: ReplayReport,
    PlanReplay: ReplayPlan,
    QueryReplays: Replays,
    GetHistogram: Histogram,
}
