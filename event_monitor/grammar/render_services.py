"""Replies about services as text for people."""

from __future__ import annotations

from event_monitor.grammar.table import Column, facts, table
from event_monitor.grammar.text import clip, plain
from event_monitor.replies.general import AdoptionPlan, DiscoveredServerInfo, DiscoveredServers, Services

# What a person approves is shown whole, on more lines if need be.
_UNCUT = 1_000_000


def services(reply: Services, width: int) -> str:
    """The configured services, one a line."""
    if not reply.services:
        return (
            "no service is configured: add services to event-monitor.yaml, or see event-cli services discover"
        )
    columns = (
        Column("SERVICE"),
        Column("KIND"),
        Column("STATE", flexible=True),
        Column("PID", right=True),
        Column("RESTARTS", right=True),
        Column("BREAKER"),
        Column("READINESS"),
        Column("DECLARED"),
    )
    rows = [
        (
            one.service,
            one.kind,
            one.state,
            _number(one.pid),
            _number(one.restarts),
            one.breaker,
            one.readiness,
            one.declared or "-",
        )
        for one in reply.services
    ]
    return table(columns, rows, width)


def discovered_servers(reply: DiscoveredServers, width: int) -> str:
    """The declared servers, one a line, then what is to be known of them and of the files."""
    columns = (
        Column("SERVER"),
        Column("SCOPE"),
        Column("TRANSPORT"),
        Column("WATCHED AS"),
        Column("CALLS", right=True),
        Column("FAILED", right=True),
        Column("COMMAND OR ADDRESS", flexible=True),
        Column("DECLARED IN", flexible=True),
    )
    rows = [
        (
            one.name,
            one.scope,
            one.transport,
            f"{one.service} ({one.health})" if one.service else "-",
            f"{one.calls_ok + one.calls_failed:,}",
            f"{one.calls_failed:,}",
            one.shown,
            _origin(one),
        )
        for one in reply.servers
    ]
    shown = table(columns, rows, width) if rows else "your assistant declares no MCP server"
    notes = [f"{one.name}: {note}" for one in reply.servers for note in (*one.notes, *_last_error(one))]
    lines = [clip(plain(note), width) for note in (*notes, *reply.notes)]
    return "\n\n".join(filter(None, (shown, "\n".join(lines))))


def adoption_plan(reply: AdoptionPlan, width: int) -> str:
    """What a person is asked to approve, whatever the ``width``."""
    server = reply.server
    pairs = [
        ("server", f"{server.name} ({server.scope} scope, {server.transport})"),
        ("declared in", _origin(server)),
        ("address" if server.transport == "http" else "command", server.shown),
        ("environment", ", ".join(server.env) or "nothing of its own"),
        ("headers", ", ".join(server.headers) or "none"),
        ("directory", reply.cwd or "that of event-monitor"),
        ("service", reply.service),
        ("written to", reply.file),
    ]
    entry = "\n".join(plain(line) for line in reply.entry.split("\n"))
    return f"{facts(pairs, _UNCUT)}\n\n{entry}"


def _origin(server: DiscoveredServerInfo) -> str:
    if server.project is None or server.scope == "project":
        return server.origin
    return f"{server.origin} for {server.project}"


def _last_error(server: DiscoveredServerInfo) -> tuple[str, ...]:
    return (f"its last failed call said: {server.last_error}",) if server.last_error else ()


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
