"""Commands about dead letters: what could not be delivered."""

from __future__ import annotations

from typing import Any

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.shared import TYPE, user
from event_monitor.grammar.spec import Argument, Command, Example, Option, Values
from event_monitor.messages import (
    ControlRetryRun,
    DropDeadLetters,
    Message,
    QueryDeadGroups,
    QueryDeadLetters,
    QueryRetryRuns,
    RetryDeadLetters,
    StartRetryRun,
)

_TARGET = Option(name="target", metavar="NAME", help="only dead letters of this target", source="targets")
_GROUP = Option(
    name="group",
    metavar="N",
    kind="integer",
    many=True,
    help="those of a group of dlq groups; may be repeated",
)
_ALL = Option(name="all", kind="flag", help="every dead letter that the other options leave")
_LETTER_IDS = Argument(
    name="id",
    help="the id of an event with dead letters",
    required=False,
    many=True,
    integer=True,
    source="dead_letters",
)
_LETTER_ID = Argument(name="id", help="the id of the event", integer=True, source="dead_letters")
_RUN = Argument(name="number", integer=True, help="the number of the retry")


def _list(values: Values) -> Message:
    return QueryDeadLetters(event_type=values["type"], target=values["target"], group=values["group"])


def _groups(values: Values) -> Message:
    return QueryDeadGroups(event_type=values["type"], target=values["target"], limit=values["limit"])


def letters_messages(kind: type[RetryDeadLetters] | type[DropDeadLetters], values: Values) -> list[Message]:
    """The messages that retry or drop dead letters: one for each id, or one for all that match; with a
    rate one that begins a retry. Raises ``InvalidRequest`` where nothing or two things at once are named,
    or a rate that is none."""
    ids, groups = values["id"], tuple(values["group"] or ())
    target, event_type, everything = values["target"], values["type"], values["all"]
    rate = values.get("rate")
    if ids and (everything or event_type or groups):
        raise InvalidRequest(
            "ids cannot be combined with --all, --type or --group", "name the events in one way"
        )
    if ids and rate is not None:
        raise InvalidRequest("--rate is for many dead letters", "name them by --group, --type or --all")
    if ids:
        return [kind(event_id=event_id, target=target) for event_id in ids]
    if not (everything or target or event_type or groups):
        raise InvalidRequest("no dead letter is named", "give ids, --group, --type, --target or --all")
    chosen: dict[str, Any] = {
        "target": target,
        "event_type": event_type,
        "groups": groups,
        "all": everything,
    }
    if rate is None:
        return [kind(**chosen)]
    if not 0.01 <= rate <= 100_000:
        raise InvalidRequest(f"{rate:g} is not a rate", "give 0.01 to 100000 dead letters a second")
    return [StartRetryRun(**chosen, rate=rate, by=user())]


UNDELIVERED = (
    Command(
        path=("dlq", "groups"),
        summary="Count dead letters by type, target and kind of error",
        options=(
            TYPE,
            _TARGET,
            Option(
                name="limit", metavar="N", kind="integer", default=100, help="the largest N (default 100)"
            ),
        ),
        examples=(
            Example("event-cli dlq groups", "what went wrong, and how often"),
            Example("event-cli dlq groups --output json | jq -r .error", "the kinds of errors"),
        ),
        notes="Errors that differ in ids, times, paths and numbers only are of one kind.",
        build=_groups,
    ),
    Command(
        path=("dlq", "list"),
        summary="List dead letters, the oldest first",
        options=(
            TYPE,
            _TARGET,
            Option(name="group", metavar="N", kind="integer", help="only those of this group of dlq groups"),
            Option(
                name="limit",
                metavar="N",
                kind="integer",
                default=100,
                help="the oldest N (default 100; 0: all)",
            ),
        ),
        examples=(Example("event-cli dlq list --target notification", "what one target gave up"),),
        build=_list,
    ),
    Command(
        path=("dlq", "show"),
        summary="Show the dead letters of an event with all errors",
        arguments=(_LETTER_ID,),
        options=(_TARGET,),
        examples=(Example("event-cli dlq show 4711", "payload, attempts and errors"),),
        build=lambda values: QueryDeadLetters(event_id=values["id"], target=values["target"]),
    ),
    Command(
        path=("dlq", "retry"),
        summary="Queue dead letters again",
        arguments=(_LETTER_IDS,),
        options=(
            _TARGET,
            TYPE,
            _GROUP,
            _ALL,
            Option(
                name="rate",
                metavar="N",
                kind="number",
                help="N a second; goes on in the bus after this command has ended",
            ),
        ),
        examples=(
            Example("event-cli dlq retry 4711 4712", "those of two events, at once"),
            Example("event-cli dlq retry --target notification", "those of one target"),
            Example("event-cli dlq retry --group 3 --rate 5", "a group, five a second: see dlq runs"),
        ),
    ),
    Command(
        path=("dlq", "edit"),
        summary="Correct the payload of a dead letter and publish it again",
        arguments=(
            _LETTER_ID,
            Argument(
                name="payload",
                help="a JSON object; - reads it from stdin (default: $VISUAL or $EDITOR opens)",
                required=False,
                source="payload",
            ),
        ),
        options=(
            _TARGET,
            Option(name="rerouted", kind="flag", help="to all targets that the rules name today"),
            Option(name="yes", kind="flag", help="do not ask"),
        ),
        examples=(
            Example("event-cli dlq edit 4711", "in your editor; asks before it publishes"),
            Example("""event-cli dlq edit 4711 '{"path": "/mnt/b"}'""", "with this payload"),
        ),
        notes="The corrected event is a new one, caused by the old one, whose dead letters are dropped with "
        "it. It goes to the targets that gave the old one up. In the editor secrets stand as marks, "
        "which may stay where they are.",
    ),
    Command(
        path=("dlq", "drop"),
        summary="Give dead letters up",
        arguments=(_LETTER_IDS,),
        options=(_TARGET, TYPE, _GROUP, _ALL, Option(name="yes", kind="flag", help="do not ask")),
        examples=(
            Example("event-cli dlq drop 4711", "those of one event"),
            Example("event-cli dlq drop --all --yes", "all of them, without asking"),
        ),
        notes="Events keep their status and their errors. --all and --group ask on a terminal.",
    ),
    Command(
        path=("dlq", "runs"),
        summary="Show the retries at a rate, the newest first",
        arguments=(Argument(name="number", integer=True, required=False, help="only this one"),),
        examples=(Example("event-cli dlq runs", "how far they are, and what came of them"),),
        build=lambda values: QueryRetryRuns(run_id=values["number"]),
    ),
    Command(
        path=("dlq", "rate"),
        summary="Change the rate of a retry",
        arguments=(_RUN, Argument(name="rate", help="dead letters a second")),
        examples=(Example("event-cli dlq rate 2 50", "go on with 50 a second"),),
        build=lambda values: ControlRetryRun(
            run_id=values["number"], action="rate", rate=rate_from_text(values["rate"])
        ),
    ),
    Command(
        path=("dlq", "stop"),
        summary="Stop a retry",
        arguments=(_RUN,),
        examples=(Example("event-cli dlq stop 2", "what was queued again stays so"),),
        build=lambda values: ControlRetryRun(run_id=values["number"], action="stop"),
    ),
)


def rate_from_text(text: str) -> float:
    """A rate as people write it. Raises ``InvalidRequest`` for what is none."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.01 <= rate <= 100_000:
        raise InvalidRequest(f"{text[:40]!r} is not a rate", "give 0.01 to 100000 dead letters a second")
    return rate
