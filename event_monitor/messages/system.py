"""The system as a whole: its picture, figures, state, alerts and configuration."""

from __future__ import annotations

from event_monitor.messages.base import Message, Number, Reason


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


class AcknowledgeAlerts(Message, tag="acknowledge_alerts", frozen=True):
    """Mark one alert, or all (``alert_id`` absent), as seen. Answers ``Done``."""

    alert_id: Number | None = None


class QueryAlerts(Message, tag="query_alerts", frozen=True):
    """Answers ``Alerts``, the newest first."""

    limit: Number = 100


class GetAnalytics(Message, tag="get_analytics", frozen=True):
    """What the ``analytics`` target counted. Answers ``Analytics``."""

    since: str | None = None


class ReloadRules(Message, tag="reload_rules", frozen=True):
    """Read the routing rules again now. Answers ``Done`` or the mistake."""


class Reload(Message, tag="reload", frozen=True):
    """Read the routing rules and the settings again now. Answers ``Done`` or the mistakes; what is
    wrong changes nothing."""
