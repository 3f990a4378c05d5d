"""Commands about events on their way: publish, subscribe."""

from __future__ import annotations

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.spec import Argument, Command, Example, Option, Values
from event_monitor.messages import (
    Message,
    PublishText,
    QuerySubscriptions,
    Subscribe,
    Unsubscribe,
)
from event_monitor.model import PRIORITIES

_PRIORITY_WORDS = tuple(str(priority) for priority in PRIORITIES)


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
)
