"""A fixed moment for tests and pictures: the same data, clock and home on every machine."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from event_monitor.config import DashboardSettings
from event_monitor.dashboard.app import EventMonitorApp
from event_monitor.errors import EventMonitorError, NotFound
from event_monitor.messages import (
    AcknowledgeAlerts,
    GetEvent,
    GetService,
    GetSnapshot,
    GetState,
    Message,
    QueryAlerts,
    QueryBreakers,
    QueryDiscovered,
    SetBreaker,
    SetMaintenance,
)
from event_monitor.model import (
    Alert,
    Delivery,
    DeliveryError,
    DeliveryState,
    Event,
    FeedItem,
    Latency,
    Priority,
    QueueView,
    RateView,
    Severity,
    Snapshot,
    Status,
    SystemState,
    Totals,
    Transition,
    TypeRate,
)
from event_monitor.replies.general import (
    Alerts,
    BreakerReport,
    Breakers,
    DiscoveredServerInfo,
    DiscoveredServers,
    Done,
    EventDetail,
    ServiceDetail,
    StateReport,
)
from tests.dashboard import service_scene

NOW = datetime(2026, 3, 14, 15, 42, 7, tzinfo=UTC)

DECLARED = DiscoveredServers(
    servers=[
        DiscoveredServerInfo(
            name="github",
            scope="user",
            transport="stdio",
            origin="/home/demo/.claude.json",
            shown="mcp-server-github --token [masked]",
            env=["GITHUB_TOKEN"],
            service="github",
            health="pass",
            calls_ok=412,
            calls_failed=3,
            last_call_at="2026-03-14T15:41:58.000000Z",
            last_error='MCP server "github" timed out after 3s',
            timeout=30.0,
        ),
        DiscoveredServerInfo(
            name="docs",
            scope="project",
            transport="http",
            origin="/home/demo/shop/.mcp.json",
            project="/home/demo/shop",
            shown="https://docs.example.org",
            notes=["has no timeout: a call may hang without limit"],
        ),
    ],
    notes=["/home/demo/other/.mcp.json: not approved and left out (1): 'database'"],
)

_DELIVERED, _RETRYING = DeliveryState.DELIVERED, DeliveryState.RETRYING
_STORY: tuple[tuple[str, Priority, str, dict[str, DeliveryState]], ...] = (
    ("session.started", Priority.NORMAL, "startup", {"log": _DELIVERED}),
    ("prompt.submitted", Priority.HIGH, "fix the failing test", {"log": _DELIVERED, "analytics": _DELIVERED}),
    ("tool.executed", Priority.NORMAL, "Read tests/test_app.py", {"analytics": _DELIVERED}),
    ("command.executed", Priority.NORMAL, "pytest -q", {"log": _DELIVERED, "analytics": _DELIVERED}),
    ("command.failed", Priority.HIGH, "npm test ✖ Exit code 1", {"log": _DELIVERED, "analytics": _DELIVERED}),
    ("tool.executed", Priority.NORMAL, "Edit src/app.py", {"analytics": _DELIVERED}),
    ("mcp.call.ok", Priority.NORMAL, "mcp__github__query open issues", {"analytics": _DELIVERED}),
    (
        "mcp.call.failed",
        Priority.HIGH,
        'mcp__github__query ✖ MCP server "github" timed out after 3s',
        {"log": _DELIVERED, "analytics": _DELIVERED},
    ),
    (
        "mcp.server.down",
        Priority.CRITICAL,
        "github: connection closed",
        {"alert": _DELIVERED, "log": _DELIVERED, "notification": _RETRYING},
    ),
    ("hook.message_display", Priority.LOW, "the assistant waits", {"log": DeliveryState.PARKED}),
    ("backup.completed", Priority.NORMAL, "/home/demo/backup.tar.zst", {"storage": DeliveryState.DEAD}),
    ("command.executed", Priority.NORMAL, "git status", {"log": _DELIVERED, "analytics": _DELIVERED}),
    ("command.executed", Priority.NORMAL, "git diff --stat", {"log": DeliveryState.QUEUED}),
)


def feed(rounds: int = 3) -> tuple[FeedItem, ...]:
    """Invented events, the oldest first, ids from 1."""
    items: list[FeedItem] = []
    for number in range(rounds * len(_STORY)):
        kind, priority, summary, outcomes = _STORY[number % len(_STORY)]
        seconds, thousandths = divmod(number * 371, 1_000)
        items.append(
            FeedItem(
                id=number + 1,
                timestamp=f"2026-03-14T15:41:{40 + seconds:02}.{thousandths:03}000Z",
                priority=priority,
                event_type=kind,
                summary=summary,
                status=Status.DELIVERED,
                outcomes=tuple(outcomes.items()),
            )
        )
    return tuple(items)


def types() -> tuple[TypeRate, ...]:
    """What the assistant's hooks and the scripts publish, and a burst of one type."""
    shares = {
        "command.executed": 0.41,
        "tool.executed": 0.33,
        "mcp.call.ok": 0.12,
        "hook.message_display": 0.08,
        "mcp.call.failed": 0.03,
        "": 0.03,
    }
    return tuple(
        TypeRate(
            event_type=name,
            per_second=round(142 * share, 3),
            share=share,
            series=tuple(round(700 * share * (1 + math.sin(step / 2 + share * 9) / 2)) for step in range(24)),
        )
        for name, share in shares.items()
    )


def snapshot(**changes: Any) -> Snapshot:
    """A busy, healthy system with one alert."""
    series = tuple(round(90 + 60 * math.sin(second / 7) + 40 * math.sin(second / 3)) for second in range(120))
    calm = Snapshot(
        at="2026-03-14T15:42:07.000000Z",
        home="/home/demo/.claude",
        version="0.1.0",
        uptime=8_078.0,
        pid=4_711,
        state=SystemState.HEALTHY,
        state_since="2026-03-14T15:40:02.000000Z",
        state_reason="the store accepts events again",
        transitions=(
            _transition("INITIALIZING", "HEALTHY", "13:27:29", "everything runs"),
            _transition("HEALTHY", "DEGRADED", "15:39:01", "the store refuses events: disk full"),
            _transition("DEGRADED", "RECOVERING", "15:39:31", "the store accepts events"),
            _transition("RECOVERING", "HEALTHY", "15:40:02", "the store accepts events again"),
        ),
        rate=RateView(per_second=142.0, peak=310, series=series, latency_ms=Latency(0.8, 2.1, 4.0)),
        types=types(),
        queue=QueueView(
            depth=23,
            limit=1_000_000,
            in_memory=23,
            by_priority=(0, 2, 19, 2),
            oldest_age=0.4,
            parked=3,
            retrying=1,
            dead=4,
        ),
        totals=Totals(published=18_231, delivered=18_201, pending=23, dead=4, parked=3),
        alerts=(
            Alert(
                id=2,
                at="2026-03-14T15:41:43.000000Z",
                severity=Severity.CRITICAL,
                title="mcp.server.down",
                detail="github: connection closed",
                event_id=9,
                count=3,
                last_at="2026-03-14T15:41:52.000000Z",
            ),
            Alert(
                id=1,
                at="2026-03-14T15:39:01.000000Z",
                severity=Severity.WARNING,
                title="HEALTHY → DEGRADED",
                detail="disk full",
                acknowledged=True,
            ),
        ),
        unacknowledged=1,
        feed=feed(),
        feed_revision=1,
        rss_bytes=48_000_000,
    )
    return msgspec.structs.replace(calm, **changes)


def _transition(before: str, after: str, time: str, reason: str) -> Transition:
    return Transition(
        from_state=SystemState(before),
        to_state=SystemState(after),
        at=f"2026-03-14T{time}.000000Z",
        reason=reason,
    )


def calm() -> Snapshot:
    """Nothing to say: no alert, everything delivered."""
    return snapshot(alerts=(), unacknowledged=0)


def empty() -> Snapshot:
    """A home in which nothing ever happened."""
    return snapshot(
        alerts=(),
        unacknowledged=0,
        transitions=(),
        state_reason="everything runs",
        rate=RateView(),
        types=(),
        queue=QueueView(limit=1_000_000),
        totals=Totals(),
        feed=(),
        uptime=4.0,
    )


def detail(event_id: int, payload: dict[str, Any] | None = None) -> EventDetail:
    """All about one event, its secrets included: what shows it must mask them."""
    event = Event(
        id=event_id,
        timestamp="2026-03-14T15:41:42.968000Z",
        event_type="mcp.server.down",
        payload=payload
        or {
            "service": "github",
            "error": "connection closed",
            "attempt": 3,
            "ratio": 0.25,
            "final": False,
            "cause": None,
            "headers": {"Authorization": "Bearer hunter2", "Accept": "application/json"},
            "tried": ["stdio", "http"],
        },
        priority=Priority.CRITICAL,
        status=Status.PENDING,
        source="hook",
        correlation_id="c-17",
    )
    cause = Event(id=7, timestamp=event.timestamp, event_type="mcp.call.ok", payload={"service": "github"})
    return EventDetail(
        event=event,
        targets=["alert", "log", "notification"],
        deliveries=[
            Delivery(event_id=event_id, target="alert", state=_DELIVERED, attempts=1),
            Delivery(event_id=event_id, target="log", state=_DELIVERED, attempts=1),
            Delivery(
                event_id=event_id,
                target="notification",
                state=_RETRYING,
                attempts=2,
                next_attempt_at="2026-03-14T15:42:11.000000Z",
                errors=(
                    DeliveryError("2026-03-14T15:41:43.100000Z", "notify-send: no display"),
                    DeliveryError("2026-03-14T15:41:45.300000Z", "notify-send: no display"),
                ),
            ),
        ],
        causes=[cause],
        effects=[],
    )


class FakeClient:
    """Answers from fixed data and remembers every message but what a view asks for by itself.

    ``error`` set makes every request fail with it; ``asked`` counts snapshots. ``service`` is what
    there is to know of any service."""

    def __init__(self, picture: Snapshot | None = None) -> None:
        self.picture = picture or snapshot()
        self.sent: list[Message] = []
        self.error: EventMonitorError | None = None
        self.payload: dict[str, Any] | None = None
        self.service: ServiceDetail = service_scene.failing()
        self.breakers: list[BreakerReport] = []
        self.asked = 0
        self.open = 0
        self.most_open = 0
        self.gate: asyncio.Event | None = None
        self.why: str | None = None

    def silence(self) -> str | None:
        return self.why

    async def request(self, message: Message) -> Any:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await self._answer(message)
        finally:
            self.open -= 1

    async def _answer(self, message: Message) -> Any:
        if isinstance(message, GetSnapshot):
            self.asked += 1
            if self.gate is not None:
                await self.gate.wait()
        elif not isinstance(message, GetService | QueryBreakers | QueryAlerts):
            self.sent.append(message)
        if self.error is not None:
            raise self.error
        if isinstance(message, GetSnapshot):
            unchanged = message.feed_revision == self.picture.feed_revision
            return msgspec.structs.replace(self.picture, feed=None) if unchanged else self.picture
        if isinstance(message, GetEvent):
            if message.event_id > 1_000_000:
                raise NotFound(f"there is no event {message.event_id}")
            return detail(message.event_id, self.payload)
        if isinstance(message, GetService):
            return msgspec.structs.replace(self.service, service=message.name)
        if isinstance(message, QueryAlerts):
            return Alerts(alerts=list(self.picture.alerts))
        if isinstance(message, QueryBreakers):
            return Breakers(breakers=self.breakers)
        if isinstance(message, GetState):
            return service_scene.state_report()
        if isinstance(message, AcknowledgeAlerts):
            return Done(count=1, message="1 alert acknowledged")
        if isinstance(message, SetBreaker):
            state = "OPEN" if message.action == "open" else "CLOSED"
            return BreakerReport(
                service=message.name, state=state, failure_count=0, forced=None, retry_after=0.0
            )
        if isinstance(message, SetMaintenance):
            state = SystemState.MAINTENANCE if message.on else SystemState.HEALTHY
            return StateReport(state=state, since=self.picture.at, reason=message.reason)
        if isinstance(message, QueryDiscovered):
            return DECLARED
        return Done(count=4, message="done")

    def apart(self, timeout: float) -> FakeClient:
        return self

    async def close(self) -> None:
        """Nothing to let go of."""


def app(
    client: FakeClient | None = None,
    *,
    read_only: bool = False,
    now: Callable[[], datetime] = lambda: NOW,
    clock: Callable[[], float] = lambda: 0.0,
    **settings: Any,
) -> EventMonitorApp:
    """The real dashboard on fixed data, a fixed clock and no motion. It refreshes only when told."""
    wanted = {"refresh": 60.0, "reduced_motion": True, **settings}
    return EventMonitorApp(
        client or FakeClient(),
        DashboardSettings(**wanted),
        mask=("authorization", "token", "password"),
        read_only=read_only,
        now=now,
        clock=clock,
    )
