"""Commands about events on their way: publish, subscribe, dead letters."""

from __future__ import annotations

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.shared import TYPE
from event_monitor.grammar.spec import Argument, Command, Example, Option, Values
from event_monitor.messages import (
    DropDeadLetters,
    Message,
    PublishText,
    QueryDeadLetters,
    QuerySubscriptions,
    RetryDeadLetters,
    Subscribe,
    Unsubscribe,
)
from event_monitor.model import PRIORITIES

_PRIORITY_WORDS = tuple(str(priority) for priority in PRIORITIES)

_TARGET = Option(name="target", metavar="NAME", help="only dead letters of this target", source="targets")
_ALL = Option(name="all", kind="flag", help="every dead letter that the other options leave")
_LETTER_IDS = Argument(
    name="id",
    help="the id of an event with dead letters",
    required=False,
    many=True,
    integer=True,
    source="dead_letters",
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


def _dead_letters(values: Values) -> Message:
    return QueryDeadLetters(event_type=values["type"], target=values["target"])


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


PUBLISHING = (
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
                name="payload",
                help="a JSON object; - reads it from stdin (default {})",
                required=False,
                source="payload",
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
            Option(
                name="wait",
                metavar="S",
                kind="integer",
                default=300,
                help="with --batch: end when the bus has taken nothing for S seconds (default 300; 0: "
                "refuse what it cannot take at once)",
            ),
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
                source="handlers",
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
            TYPE,
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
        arguments=(Argument(name="id", help="the id of the event", integer=True, source="dead_letters"),),
        options=(_TARGET,),
        examples=(Example("event-cli dlq show 4711", "payload, attempts and errors"),),
        build=lambda values: QueryDeadLetters(event_id=values["id"], target=values["target"]),
    ),
    Command(
        path=("dlq", "retry"),
        summary="Queue dead letters again",
        arguments=(_LETTER_IDS,),
        options=(_TARGET, TYPE, _ALL),
        examples=(
            Example("event-cli dlq retry 4711 4712", "those of two events"),
            Example("event-cli dlq retry --target notification", "those of one target"),
        ),
    ),
    Command(
        path=("dlq", "drop"),
        summary="Give dead letters up",
        arguments=(_LETTER_IDS,),
        options=(_TARGET, TYPE, _ALL, Option(name="yes", kind="flag", help="do not ask")),
        examples=(
            Example("event-cli dlq drop 4711", "those of one event"),
            Example("event-cli dlq drop --all --yes", "all of them, without asking"),
        ),
        notes="Events keep their status and their errors. --all asks for confirmation on a terminal.",
    ),
)
