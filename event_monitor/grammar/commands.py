"""The table of commands: the one place that says which there are and what they take.

The parser, the help texts, the shell completions and the message that a command sends are all made
from it.
"""

from __future__ import annotations

import os

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.decode import payload_from_text
from event_monitor.grammar.spec import Argument, Command, Example, Option, Values
from event_monitor.messages import (
    AcknowledgeAlerts,
    DropDeadLetters,
    GetState,
    GetStats,
    Message,
    PublishText,
    QueryAlerts,
    QueryBreakers,
    QueryDeadLetters,
    QueryEvents,
    QueryHealth,
    QuerySubscriptions,
    ReloadRules,
    ResolveRoute,
    RestartService,
    Resume,
    RetryDeadLetters,
    SetBreaker,
    SetMaintenance,
    Subscribe,
    Unsubscribe,
)
from event_monitor.model import PRIORITIES, Status

TIME_NOTE = "Times are ISO 8601, epoch seconds, or relative to now (-15m, -2h, -7d)."

GLOBAL_OPTIONS = (
    Option(
        name="home",
        metavar="DIR",
        help="the home of the bus (default: $EVENT_MONITOR_HOME, $CLAUDE_CONFIG_DIR or ~/.claude)",
        source="files",
    ),
    Option(
        name="output",
        metavar="FORMAT",
        help="json or table (default: table on a terminal, json when piped)",
        choices=("json", "table"),
    ),
)

_PRIORITY_WORDS = tuple(str(priority) for priority in PRIORITIES)
_STATUS_WORDS = tuple(str(status) for status in Status)

_TYPE = Option(
    name="type",
    metavar="PATTERN",
    help="only event types that match, such as command.# or *.failed",
    source="types",
)
_TARGET = Option(name="target", metavar="NAME", help="only dead letters of this target", source="targets")
_ALL = Option(name="all", kind="flag", help="every dead letter that the other options leave")
_LETTER_IDS = Argument(
    name="id", help="the id of an event with dead letters", required=False, many=True, integer=True
)


def _publish(values: Values) -> Message:
    return PublishText(
        event_type=values["type"],
        payload=values["payload"] or "{}",
        priority=values["priority"],
        key=values["key"],
        ttl=values["ttl"],
        source=values["source"],
    )


def _subscribe(values: Values) -> Message:
    handler = values["handler"]
    if handler != "-" and not handler.startswith(("exec:", "py:")):
        raise InvalidRequest(f"unknown handler {handler!r}", "take -, exec:COMMAND or py:module:function")
    if handler == "-" and values["name"]:
        raise InvalidRequest("--name is for kept subscriptions", "leave it out, or give exec: or py:")
    if handler != "-" and values["count"] is not None:
        raise InvalidRequest("--count is for the handler -", "leave it out")
    return Subscribe(pattern=values["pattern"], handler=handler, name=values["name"], filter=values["filter"])


def _unsubscribe(values: Values) -> Message:
    return Unsubscribe(name=values["name"])


def _events(values: Values) -> Message:
    status = values["status"]
    return QueryEvents(
        type=values["type"],
        status=Status(status) if status else None,
        since=values["since"],
        until=values["until"],
        filter=values["filter"],
    )


def _dead_letters(values: Values) -> Message:
    return QueryDeadLetters(event_type=values["type"], target=values["target"])


def _route(values: Values) -> Message:
    return ResolveRoute(event_type=values["type"], payload=payload_from_text(values["payload"] or "{}"))


def _breaker(values: Values) -> Message:
    if values["action"] is None:
        return QueryBreakers(name=values["service"])
    return SetBreaker(name=values["service"], action=values["action"], reason=values["reason"], by=_user())


def _user() -> str:
    return f"{os.environ.get('USER') or os.environ.get('LOGNAME') or 'a person'} (event-cli)"


def _alerts(values: Values) -> Message:
    which = values["ack"]
    if which is None:
        return QueryAlerts(limit=values["limit"])
    if which == "all":
        return AcknowledgeAlerts()
    if not which.isdecimal():
        raise InvalidRequest(f"{which!r} is not the id of an alert", "give a number or all")
    return AcknowledgeAlerts(alert_id=int(which))


def letters_message(kind: type[RetryDeadLetters] | type[DropDeadLetters], values: Values) -> list[Message]:
    """The messages that retry or drop dead letters: one for each id, or one for all that match.

    Raises ``InvalidRequest`` where nothing or two things at once are named."""
    ids, target, event_type, everything = values["id"], values["target"], values["type"], values["all"]
    if ids and (everything or event_type):
        raise InvalidRequest("ids cannot be combined with --all or --type", "name the events in one way")
    if ids:
        return [kind(event_id=event_id, target=target) for event_id in ids]
    if not (everything or target or event_type):
        raise InvalidRequest("no dead letter is named", "give ids, --type, --target or --all")
    return [kind(target=target, event_type=event_type, all=everything)]


_READ = (
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
            _TYPE,
            Option(name="status", metavar="S", help="only events with this status", choices=_STATUS_WORDS),
            Option(name="since", metavar="T", help="not before this time"),
            Option(name="until", metavar="T", help="before this time"),
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
            Argument(name="payload", help="a JSON object, for rules that look into it", required=False),
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
        path=("alerts",),
        summary="Show or acknowledge alerts",
        options=(
            Option(name="ack", metavar="ID", help="mark one alert as seen, or all"),
            Option(name="limit", metavar="N", kind="integer", default=100, help="the newest N (default 100)"),
        ),
        examples=(
            Example("event-cli alerts", "the newest first"),
            Example("event-cli alerts --ack all", "mark all as seen"),
        ),
        build=_alerts,
    ),
)

_WRITE = (
    Command(
        path=("publish",),
        summary="Publish an event, or many",
        arguments=(
            Argument(
                name="type",
                help="dot-separated lower-case words, such as build.done; - with --batch",
                source="types",
            ),
            Argument(
                name="payload", help="a JSON object; - reads it from stdin (default {})", required=False
            ),
        ),
        options=(
            Option(
                name="priority",
                metavar="P",
                help=f"{', '.join(_PRIORITY_WORDS)}",
                choices=_PRIORITY_WORDS,
                ignore_case=True,
            ),
            Option(name="key", metavar="K", help="idempotency key: a second event with it is a duplicate"),
            Option(name="ttl", metavar="S", help="seconds after which the event is not delivered any more"),
            Option(name="source", metavar="S", help="who publishes"),
            Option(name="batch", kind="flag", help="one JSON event a line on stdin"),
        ),
        examples=(
            Example("""event-cli publish build.done '{"exit_code": 0}'""", "one event"),
            Example("jq -c . report.json | event-cli publish report.made -", "the payload from stdin"),
            Example(
                "event-cli publish - --batch < events.jsonl",
                'lines such as {"event_type": "a.b", "payload": {}, "priority": "HIGH"}',
            ),
        ),
        notes="With no bus running, events wait in the spool and are delivered at its next start.",
        build=_publish,
    ),
    Command(
        path=("subscribe",),
        summary="Follow events, or have a handler called with them",
        arguments=(
            Argument(
                name="pattern",
                help="a topic pattern: * is one word, # is any number of words",
                source="types",
            ),
            Argument(
                name="handler",
                help="- prints events as JSON lines; exec:COMMAND gets each as JSON on "
                "stdin; py:module:function is called with it",
            ),
        ),
        options=(
            Option(name="name", metavar="NAME", help="the name of a kept subscription (exec:, py:)"),
            Option(name="filter", metavar="REGEX", help="only events whose type or payload matches"),
            Option(name="count", metavar="N", kind="integer", help="end after N events (handler -)"),
        ),
        examples=(
            Example("event-cli subscribe 'command.#' -", "print events until interrupted"),
            Example(
                "event-cli subscribe mcp.server.down 'exec:./page-me.sh' --name pager", "kept over restarts"
            ),
            Example("event-cli subscribe list", "what is kept"),
            Example("event-cli subscribe remove pager", "forget it"),
        ),
        notes="A reader that is too slow sees a line that says how many events it missed.",
        build=_subscribe,
    ),
    Command(
        path=("subscribe", "list"),
        summary="List kept subscriptions",
        examples=(Example("event-cli subscribe list", "name, pattern and handler of each"),),
        build=lambda values: QuerySubscriptions(),
    ),
    Command(
        path=("subscribe", "remove"),
        summary="Remove a kept subscription",
        arguments=(Argument(name="name", help="its name", source="subscriptions"),),
        examples=(Example("event-cli subscribe remove pager", "forget the subscription pager"),),
        build=_unsubscribe,
    ),
    Command(
        path=("dlq", "list"),
        summary="List dead letters, the oldest first",
        options=(
            _TYPE,
            _TARGET,
            Option(
                name="limit",
                metavar="N",
                kind="integer",
                default=100,
                help="the oldest N (default 100; 0: all)",
            ),
        ),
        examples=(Example("event-cli dlq list --target notification", "what one target gave up"),),
        build=_dead_letters,
    ),
    Command(
        path=("dlq", "show"),
        summary="Show the dead letters of an event with all errors",
        arguments=(Argument(name="id", help="the id of the event", integer=True),),
        options=(_TARGET,),
        examples=(Example("event-cli dlq show 4711", "payload, attempts and errors"),),
        build=lambda values: QueryDeadLetters(event_id=values["id"], target=values["target"]),
    ),
    Command(
        path=("dlq", "retry"),
        summary="Queue dead letters again",
        arguments=(_LETTER_IDS,),
        options=(_TARGET, _TYPE, _ALL),
        examples=(
            Example("event-cli dlq retry 4711 4712", "those of two events"),
            Example("event-cli dlq retry --target notification", "those of one target"),
        ),
    ),
    Command(
        path=("dlq", "drop"),
        summary="Give dead letters up",
        arguments=(_LETTER_IDS,),
        options=(_TARGET, _TYPE, _ALL, Option(name="yes", kind="flag", help="do not ask")),
        examples=(
            Example("event-cli dlq drop 4711", "those of one event"),
            Example("event-cli dlq drop --all --yes", "all of them, without asking"),
        ),
        notes="Events keep their status and their errors. --all asks for confirmation on a terminal.",
    ),
    Command(
        path=("breaker",),
        summary="Show circuit breakers, or hold one",
        arguments=(
            Argument(name="service", required=False, help="whose breaker; a target's is target:NAME"),
            Argument(
                name="action",
                required=False,
                choices=("open", "close", "half_open", "reset"),
                help="open and close hold it, half_open lets the next call try, reset lets it work by itself",
            ),
        ),
        options=(Option(name="reason", metavar="TEXT", default="", help="why, for the record"),),
        examples=(
            Example("event-cli breaker", "all of them, one a line"),
            Example("event-cli breaker target:log open --reason 'disk is being replaced'", "park the log"),
            Example("event-cli breaker target:log reset", "let it work by itself again"),
        ),
        build=_breaker,
    ),
    Command(
        path=("health",),
        summary="Show the health of the services",
        arguments=(Argument(name="service", required=False, help="only this one"),),
        examples=(Example("event-cli health", "startup, readiness and liveness of each"),),
        build=lambda values: QueryHealth(service=values["service"]),
    ),
    Command(
        path=("restart",),
        summary="Restart a service",
        arguments=(Argument(name="service", help="which one"),),
        options=(Option(name="reason", metavar="TEXT", default="", help="why, for the record"),),
        examples=(Example("event-cli restart github", "end it and start it again"),),
        build=lambda values: RestartService(service=values["service"], reason=values["reason"]),
    ),
    Command(
        path=("resume",),
        summary="Go on after the kill switch",
        options=(Option(name="reason", metavar="TEXT", default="", help="why, for the record"),),
        examples=(Example("event-cli resume --reason 'disk replaced'", "dispatch again"),),
        notes="An error.critical event engages the kill switch: all but CRITICAL events wait until this.",
        build=lambda values: Resume(reason=values["reason"], by=_user()),
    ),
    Command(
        path=("maintenance",),
        summary="Begin or end planned downtime",
        arguments=(Argument(name="switch", choices=("on", "off"), help="on or off"),),
        options=(Option(name="reason", metavar="TEXT", default="", help="why, for the record"),),
        examples=(
            Example(
                "event-cli maintenance on --reason upgrade", "events are stored, only CRITICAL ones pass"
            ),
            Example("event-cli maintenance off", "check everything afresh and deliver what waited"),
        ),
        build=lambda values: SetMaintenance(on=values["switch"] == "on", reason=values["reason"]),
    ),
    Command(
        path=("reload",),
        summary="Read the routing rules again",
        examples=(Example("event-cli reload", "says what is wrong if the file is broken"),),
        build=lambda values: ReloadRules(),
    ),
)

_TOOLS = (
    Command(
        path=("hook",),
        summary="Publish an assistant's hook input from stdin",
        examples=(
            Example(
                '{"hooks": {"PostToolUse": [{"hooks": [{"type": "command", "command": "event-cli hook"}]}]}}',
                "in the assistant's settings.json",
            ),
        ),
        notes="Always exits 0 and prints nothing. EVENT_MONITOR_DEBUG=1 shows on stderr what went wrong.",
    ),
    Command(
        path=("completion",),
        summary="Print a completion script for a shell",
        arguments=(
            Argument(
                name="shell",
                help="bash, zsh or fish; or the values that the scripts ask for",
                choices=("bash", "zsh", "fish", "types", "targets", "subscriptions"),
            ),
        ),
        examples=(
            Example('eval "$(event-cli completion bash)"', "in ~/.bashrc"),
            Example("event-cli completion zsh > ~/.zfunc/_event-cli", "in a directory of $fpath"),
            Example("event-cli completion fish > ~/.config/fish/completions/event-cli.fish", "for fish"),
        ),
    ),
)

COMMANDS: tuple[Command, ...] = (*_WRITE, *_READ, *_TOOLS)
BY_PATH: dict[tuple[str, ...], Command] = {command.path: command for command in COMMANDS}


def subcommands(path: tuple[str, ...]) -> tuple[Command, ...]:
    """The commands one or more words below ``path``."""
    return tuple(c for c in COMMANDS if len(c.path) > len(path) and c.path[: len(path)] == path)
