"""Replies as text for people. Programs get ``json_lines``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from event_monitor.grammar import render_health as watched
from event_monitor.grammar.figures import clock, duration, figure, ms, size
from event_monitor.grammar.render_letters import LETTER_RENDERERS
from event_monitor.grammar.render_replay import REPLAY_RENDERERS
from event_monitor.grammar.render_services import adoption_plan, discovered_servers, services
from event_monitor.grammar.render_store import STORE_RENDERERS
from event_monitor.grammar.render_tasks import render_tasks
from event_monitor.grammar.table import Column, facts, table
from event_monitor.grammar.text import clip, plain
from event_monitor.model import Alert, Event, Snapshot
from event_monitor.redaction import redact
from event_monitor.replies.general import (
    AdoptionPlan,
    Alerts,
    Analytics,
    AnalyticsRow,
    BreakerReport,
    Breakers,
    DeadLetter,
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
    StormCount,
    Subscription,
    SubscriptionInfo,
    Subscriptions,
    Tasks,
)

MASK = (
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "authorization",
    "credential",
    "private_key",
)

_encode = msgspec.json.encode


def render_table(reply: Any, width: int, mask: Sequence[str] = MASK) -> str:
    """A reply as text for a terminal ``width`` cells wide, without a newline at the end. Values of
    keys that contain a word of ``mask`` are hidden. Raises ``TypeError`` for what is no reply."""
    renderer = _RENDERERS.get(type(reply))
    if renderer is None:
        raise TypeError(f"no table for {type(reply).__name__}")
    return renderer(reply, width, mask)


def event_line(event: Event, width: int, mask: Sequence[str] = MASK) -> str:
    """One event on one line, as a stream of events is shown."""
    head = f"{clock(event.timestamp)}  {event.id:>7}  {event.priority:<8}  {event.event_type}"
    return clip(plain(f"{head}  {_brief(event.payload, mask)}"), width)


def _published(reply: Published, width: int, mask: Sequence[str]) -> str:
    targets = ", ".join(reply.targets) or "none"
    if reply.status == "spooled":
        return plain(f"spooled {reply.event_type}: no bus answered; it is delivered as soon as one runs")
    if reply.status == "duplicate":
        return plain(f"duplicate {reply.event_type}: the key is that of event {reply.id}")
    return plain(f"accepted {reply.event_type} as event {reply.id}, {reply.priority}, for {targets}")


def _published_lines(reply: PublishedLines, width: int, mask: Sequence[str]) -> str:
    return f"{reply.accepted:,} accepted, {reply.duplicates:,} duplicate, {len(reply.errors):,} refused"


def _done(reply: Done, width: int, mask: Sequence[str]) -> str:
    return plain(reply.message) if reply.message else f"done ({reply.count:,})"


def _pong(reply: Pong, width: int, mask: Sequence[str]) -> str:
    return plain(f"event-monitor {reply.version} runs as process {reply.pid} for {reply.home}")


def _events(reply: EventPage, width: int, mask: Sequence[str]) -> str:
    if not reply.events:
        return "no events"
    columns = (
        Column("TIME"),
        Column("ID", right=True),
        Column("PRIORITY"),
        Column("STATUS"),
        Column("TYPE", flexible=True),
        Column("PAYLOAD", flexible=True),
    )
    rows = [
        (clock(e.timestamp), str(e.id), e.priority, e.status, e.event_type, _brief(e.payload, mask))
        for e in reply.events
    ]
    return table(columns, rows, width)


def _event_detail(reply: EventDetail, width: int, mask: Sequence[str]) -> str:
    event = reply.event
    pairs = [
        ("event", str(event.id)),
        ("type", event.event_type),
        ("time", event.timestamp),
        ("priority", str(event.priority)),
        ("status", str(event.status)),
        ("source", event.source or "-"),
        ("targets", ", ".join(reply.targets) or "-"),
        ("caused by", ", ".join(f"{e.id} {e.event_type}" for e in reply.causes) or "-"),
        ("caused", ", ".join(f"{e.id} {e.event_type}" for e in reply.effects) or "-"),
    ]
    rows = [
        (d.target, d.state, str(d.attempts), d.errors[-1].error if d.errors else "") for d in reply.deliveries
    ]
    columns = (
        Column("TARGET"),
        Column("STATE"),
        Column("ATTEMPTS", right=True),
        Column("LAST ERROR", flexible=True),
    )
    parts = [facts(pairs, width), _pretty(event.payload, mask)]
    return "\n\n".join([*parts, table(columns, rows, width)] if rows else parts)


def _dead_letters(reply: DeadLetterPage, width: int, mask: Sequence[str]) -> str:
    if not reply.dead_letters:
        return "no dead letters"
    columns = (
        Column("ID", right=True),
        Column("TYPE", flexible=True),
        Column("TARGET"),
        Column("ATTEMPTS", right=True),
        Column("DEAD AT"),
        Column("ERROR", flexible=True),
    )
    rows = [
        (
            str(letter.id),
            letter.event_type,
            letter.target,
            str(letter.attempts),
            clock(letter.dead_at),
            letter.error,
        )
        for letter in reply.dead_letters
    ]
    return table(columns, rows, width)


def dead_letter_detail(letter: DeadLetter, width: int, mask: Sequence[str] = MASK) -> str:
    """One dead letter with its payload and every error."""
    pairs = [
        ("event", f"{letter.id} {letter.event_type} {letter.priority}"),
        ("target", letter.target),
        ("attempts", str(letter.attempts)),
        ("dead at", letter.dead_at),
    ]
    errors = [(error.get("at", ""), error.get("error", "")) for error in letter.errors] or [
        ("", letter.error)
    ]
    shown = table((Column("TIME"), Column("ERROR", flexible=True)), errors, width)
    return "\n\n".join((facts(pairs, width), _pretty(letter.payload, mask), shown))


def _stats(reply: Stats, width: int, mask: Sequence[str]) -> str:
    latency = reply.latency_ms
    pairs = [
        ("state", str(reply.state)),
        ("events per second", f"{reply.events_per_second:,.1f}"),
        ("latency", f"p50 {ms(latency.p50)}, p95 {ms(latency.p95)}, p99 {ms(latency.p99)}"),
        ("queue", f"{reply.queue_depth:,} waiting, {reply.in_memory:,} of them in memory"),
        ("published", f"{reply.published:,}"),
        ("delivered", f"{reply.delivered:,}"),
        ("pending", f"{reply.pending:,}"),
        ("retrying", f"{reply.retrying:,}"),
        ("parked", f"{reply.parked:,}"),
        ("dead", f"{reply.dead:,}"),
        ("expired", f"{reply.expired:,}"),
        ("sampled", f"{reply.sampled:,}"),
        *_held_back(reply),
        ("store", f"{size(reply.store_bytes)}, log {size(reply.wal_bytes)}"),
        ("memory", size(reply.rss_bytes)),
        ("process", f"{reply.fds:,} open files, {reply.threads:,} threads, {reply.tasks:,} tasks"),
        ("up", duration(reply.uptime)),
        *((f"breaker {plain(name)}", state) for name, state in sorted(reply.breakers.items())),
    ]
    text = facts(pairs, width)
    if reply.storms:
        text += f"\n\n{_storms(reply.storms, width)}"
    if not reply.targets:
        return text
    names = list(dict.fromkeys(name for figures in reply.targets.values() for name in figures))
    columns = [Column("TARGET", flexible=True), *(Column(plain(name).upper(), right=True) for name in names)]
    rows = [
        [target, *(figure(figures.get(name)) for name in names)]
        for target, figures in sorted(reply.targets.items())
    ]
    return f"{text}\n\n{table(columns, rows, width)}"


def _held_back(reply: Stats) -> list[tuple[str, str]]:
    """What storm rules and busy disks did to publishers, as far as they did anything."""
    figures = {
        "delayed": reply.delayed,
        "refused": reply.refused,
        "shed": sum(reply.shed.values()),
        "publishers waiting": reply.waiting_publishers,
    }
    return [(name, f"{count:,}") for name, count in figures.items() if count]


def _storms(counts: Sequence[StormCount], width: int) -> str:
    names = ("over", "kept", "sampled", "delayed", "refused")
    columns = [
        Column("STORM RULE"),
        Column("SOURCE", flexible=True),
        *(Column(name.upper(), right=True) for name in names),
    ]
    rows = [
        [count.pattern, plain(count.source or "-"), *(f"{getattr(count, name):,}" for name in names)]
        for count in counts
    ]
    return table(columns, rows, width)


def _route(reply: Route, width: int, mask: Sequence[str]) -> str:
    pairs = [
        ("type", reply.event_type),
        ("priority", str(reply.priority)),
        ("targets", ", ".join(reply.targets) or "none"),
        ("rules", ", ".join(reply.rules) or "none matches"),
        ("time to live", duration(reply.ttl) if reply.ttl is not None else "unlimited"),
    ]
    return facts(pairs, width)


def _subscription(reply: Subscription, width: int, mask: Sequence[str]) -> str:
    return _subscription_table([reply.subscription], width)


def _subscriptions(reply: Subscriptions, width: int, mask: Sequence[str]) -> str:
    return _subscription_table(reply.subscriptions, width) if reply.subscriptions else "no kept subscriptions"


def _subscription_table(items: Sequence[SubscriptionInfo], width: int) -> str:
    columns = (
        Column("NAME"),
        Column("PATTERN", flexible=True),
        Column("HANDLER", flexible=True),
        Column("FILTER", flexible=True),
        Column("SINCE"),
    )
    rows = [(s.name, s.pattern, s.handler, s.filter or "-", clock(s.created_at)) for s in items]
    return table(columns, rows, width)


def _alerts(reply: Alerts, width: int, mask: Sequence[str]) -> str:
    if not reply.alerts:
        return "no alerts"
    columns = (
        Column("ID", right=True),
        Column("TIME"),
        Column("SEVERITY"),
        Column("SEEN"),
        Column("TIMES", right=True),
        Column("ALERT", flexible=True),
    )
    return table(columns, [_alert_row(alert) for alert in reply.alerts], width)


def _alert_row(alert: Alert) -> tuple[str, ...]:
    text = f"{alert.title}: {alert.detail}" if alert.detail else alert.title
    seen = "yes" if alert.acknowledged else "no"
    return str(alert.id), clock(alert.last_at or alert.at), alert.severity, seen, str(alert.count), text


def _analytics(reply: Analytics, width: int, mask: Sequence[str]) -> str:
    parts = [
        _analytics_table("TYPE", reply.by_type, width),
        _analytics_table("COMMAND", reply.by_command, width),
    ]
    return "\n\n".join(part for part in parts if part) or "nothing was counted yet"


def _analytics_table(heading: str, rows: Sequence[AnalyticsRow], width: int) -> str:
    if not rows:
        return ""
    columns = (
        Column(heading, flexible=True),
        *(Column(name, right=True) for name in ("COUNT", "FAILED", "SUCCESS", "MEAN", "MAX")),
        Column("LAST"),
    )
    cells = [
        (
            r.name,
            f"{r.count:,}",
            f"{r.failures:,}",
            f"{r.success_rate:.0%}",
            ms(r.mean_ms),
            ms(r.max_ms),
            clock(r.last_at),
        )
        for r in rows
    ]
    return table(columns, cells, width)


def _snapshot(reply: Snapshot, width: int, mask: Sequence[str]) -> str:
    pairs = [
        ("home", reply.home),
        ("state", f"{reply.state} since {reply.state_since}: {reply.state_reason}"),
        ("events per second", f"{reply.rate.per_second:,.1f}"),
        ("queue", f"{reply.queue.depth:,} of {reply.queue.limit:,}"),
        ("dead letters", f"{reply.queue.dead:,}"),
        ("alerts", f"{reply.unacknowledged:,} not acknowledged"),
        ("up", duration(reply.uptime)),
    ]
    return facts(pairs, width)


def _brief(payload: dict[str, Any], mask: Sequence[str]) -> str:
    return _encode(redact(payload, mask)).decode()


def _pretty(payload: dict[str, Any], mask: Sequence[str]) -> str:
    text = msgspec.json.format(_encode(redact(payload, mask)), indent=2).decode()
    return "\n".join(plain(line) for line in text.split("\n"))


_RENDERERS: dict[type, Callable[[Any, int, Sequence[str]], str]] = {
    Published: _published,
    PublishedLines: _published_lines,
    Done: _done,
    Pong: _pong,
    EventPage: _events,
    EventDetail: _event_detail,
    DeadLetterPage: _dead_letters,
    Stats: _stats,
    Tasks: render_tasks,
    StateReport: watched.state,
    BreakerReport: watched.breaker,
    Breakers: watched.breakers,
    HealthReport: watched.health,
    ServiceDetail: watched.detail,
    Services: lambda reply, width, mask: services(reply, width),
    DiscoveredServers: lambda reply, width, mask: discovered_servers(reply, width),
    AdoptionPlan: lambda reply, width, mask: adoption_plan(reply, width),
    Route: _route,
    Subscription: _subscription,
    Subscriptions: _subscriptions,
    Alerts: _alerts,
    Analytics: _analytics,
    Snapshot: _snapshot,
    **LETTER_RENDERERS,
    **REPLAY_RENDERERS,
    **STORE_RENDERERS,
}
