"""Commands that show something."""

from __future__ import annotations

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.decode import payload_from_text
from event_monitor.grammar.shared import TIME_NOTE, TYPE
from event_monitor.grammar.spec import Argument, Command, Example, Option, Values
from event_monitor.messages import (
    AcknowledgeAlerts,
    GetState,
    GetStats,
    GetTasks,
    Message,
    QueryAlerts,
    QueryEvents,
    ResolveRoute,
)
from event_monitor.model import Status

STATUS_WORDS = tuple(str(status) for status in Status)


def _events(values: Values) -> Message:
    status = values["status"]
    if values["follow"] and (status is not None or values["until"] is not None):
        raise InvalidRequest("--follow cannot be combined with --status or --until", "leave them out")
    return QueryEvents(
        type=values["type"],
        status=Status(status) if status else None,
        since=values["since"],
        until=values["until"],
        filter=values["filter"],
    )


def _route(values: Values) -> Message:
    return ResolveRoute(event_type=values["type"], payload=payload_from_text(values["payload"] or "{}"))


def _alerts(values: Values) -> Message:
    which = values["ack"]
    if which is None:
        return QueryAlerts(limit=values["limit"])
    if which == "all":
        return AcknowledgeAlerts()
    if not which.isdecimal():
        raise InvalidRequest(f"{which!r} is not the id of an alert", "give a number or all")
    return AcknowledgeAlerts(alert_id=int(which))


LOOKING = (
    Command(
        path=("stats",),
        summary="Show rates, counts and latency",
        options=(Option(name="live", kind="flag", help="once a second until interrupted"),),
        examples=(
            Example("event-cli stats", "a table on the terminal"),
            Example("event-cli stats --live | jq .events_per_second", "a line of JSON each second"),
        ),
        build=lambda values: GetStats(),
    ),
    Command(
        path=("events",),
        summary="Show recorded events, the newest last",
        options=(
            TYPE,
            Option(name="status", metavar="S", help="only events with this status", choices=STATUS_WORDS),
            Option(name="since", metavar="T", help="not before this time", source="times"),
            Option(name="until", metavar="T", help="before this time", source="times"),
            Option(name="filter", metavar="REGEX", help="only events whose type or payload matches"),
            Option(
                name="limit",
                metavar="N",
                kind="integer",
                default=100,
                help="the newest N (default 100; 0: all)",
            ),
            Option(name="follow", kind="flag", help="go on with new events until interrupted"),
        ),
        examples=(
            Example(
                "event-cli events --type 'command.#' --since -15m", "commands of the last quarter of an hour"
            ),
            Example("event-cli events --status dead --limit 0 > dead.jsonl", "all dead events as JSON lines"),
            Example("event-cli events --follow", "watch what happens"),
        ),
        notes=TIME_NOTE,
        build=_events,
    ),
    Command(
        path=("routes",),
        summary="Show where an event of a type would go, and why",
        arguments=(
            Argument(name="type", help="an event type, such as mcp.server.down", source="types"),
            Argument(
                name="payload",
                help="a JSON object, for rules that look into it",
                required=False,
                source="payload",
            ),
        ),
        examples=(
            Example("event-cli routes mcp.server.down", "its targets and the rules that matched"),
            Example(
                """event-cli routes command.failed '{"exit_code": 2}'""",
                "with filters on the payload applied",
            ),
        ),
        build=_route,
    ),
    Command(
        path=("state",),
        summary="Show the system state",
        options=(Option(name="history", kind="flag", help="the last 100 changes, oldest first"),),
        examples=(Example("event-cli state --output json", "the state as one JSON object"),),
        build=lambda values: GetState(history=values["history"]),
    ),
    Command(
        path=("debug", "tasks"),
        summary="Show what the bus does now: its tasks, their stacks, locks",
        examples=(
            Example("event-cli debug tasks", "those left behind first; stacks begin at the innermost call"),
            Example(
                "event-cli debug tasks --output json | jq -r '.tasks[].name'", "one JSON object, for scripts"
            ),
        ),
        notes="While a handler blocks the bus no request is answered: kill -USR1 PID writes the same to "
        "logs/event-monitor.log.",
        build=lambda values: GetTasks(),
    ),
    Command(
        path=("alerts",),
        summary="Show or acknowledge alerts",
        options=(
            Option(name="ack", metavar="ID", help="mark one alert as seen, or all", source="alerts"),
            Option(name="limit", metavar="N", kind="integer", default=100, help="the newest N (default 100)"),
        ),
        examples=(
            Example("event-cli alerts", "the newest first"),
            Example("event-cli alerts --ack all", "mark all as seen"),
        ),
        build=_alerts,
    ),
)
