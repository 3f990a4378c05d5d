"""Commands that replay recorded events."""

from __future__ import annotations

from typing import Literal

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.shared import TIME_NOTE, TYPE
from event_monitor.grammar.spec import Argument, Command, Example, Option, Values
from event_monitor.messages import ControlReplay, Message, PlanReplay, QueryReplays, Speed, StartReplay

_NUMBER = Argument(name="number", integer=True, help="the number of the replay", source="replays")


def speed_from_text(text: str) -> Speed:
    """A speed as people write it. Raises ``InvalidRequest`` for what is no number and not ``max``."""
    if text == "max":
        return "max"
    try:
        return float(text)
    except ValueError:
        raise InvalidRequest(f"{text[:40]!r} is not a speed", "give 0.1 to 100, or max") from None


def replay_message(values: Values) -> PlanReplay | StartReplay:
    """What ``replay`` sends: a plan for a dry run, else the start. Raises ``InvalidRequest``."""
    if values["from"] is None:
        raise InvalidRequest("--from is missing", "name the time to replay from, such as --from -15m")
    selected = {
        "since": values["from"],
        "until": values["to"],
        "type": values["type"],
        "filter": values["filter"],
        "targets": tuple(values["target"] or ()),
        "speed": speed_from_text(values["speed"]),
        "replays": values["replays"],
    }
    if values["dry-run"]:
        return PlanReplay(**selected)
    return StartReplay(**selected, paused=values["paused"])


def _control(action: Literal["pause", "resume", "stop"], summary: str, purpose: str) -> Command:
    return Command(
        path=("replay", action),
        summary=summary,
        arguments=(_NUMBER,),
        examples=(Example(f"event-cli replay {action} 7", purpose),),
        build=lambda values: ControlReplay(replay_id=values["number"], action=action),
    )


def _set_speed(values: Values) -> Message:
    return ControlReplay(replay_id=values["number"], action="speed", speed=speed_from_text(values["speed"]))


REPLAYING = (
    Command(
        path=("replay",),
        summary="Replay recorded events",
        options=(
            Option(name="from", metavar="T", help="not before this time (needed)", source="times"),
            Option(name="to", metavar="T", help="before this time (default: now)", source="times"),
            TYPE,
            Option(name="filter", metavar="REGEX", help="only events whose type or payload matches"),
            Option(
                name="speed",
                metavar="N",
                default="1",
                help="0.1 to 100 times as fast as recorded, or max for no gaps (default 1)",
                source="speeds",
            ),
            Option(
                name="target",
                metavar="NAME",
                many=True,
                help="deliver to this target only; may be given several times",
                source="targets",
            ),
            Option(name="replays", kind="flag", help="also events that are replays themselves"),
            Option(name="dry-run", kind="flag", help="deliver nothing; show what would go where"),
            Option(name="paused", kind="flag", help="begin paused, to go on step by step"),
            Option(name="detach", kind="flag", help="begin and return at once"),
            Option(name="progress", kind="flag", help="a JSON line each second on stdout"),
        ),
        examples=(
            Example("event-cli replay --from -1h --type 'command.#' --dry-run", "what would go where"),
            Example("event-cli replay --from -1h --to -30m --speed 10", "ten times as fast as recorded"),
            Example("event-cli replay --from -1d --target analytics --speed max", "count a day again"),
        ),
        notes="Without --target, events go where they would go today, less alert, notification, recovery, "
        "kill-switch, cleanup and exec: subscriptions. Replayed events have replay_of and LOW priority. "
        "Ctrl+C pauses the replay. " + TIME_NOTE,
        build=replay_message,
    ),
    Command(
        path=("replay", "list"),
        summary="List replays, the newest first",
        examples=(Example("event-cli replay list", "number, state and progress of each"),),
        build=lambda values: QueryReplays(),
    ),
    Command(
        path=("replay", "show"),
        summary="Show how a replay stands",
        arguments=(_NUMBER,),
        examples=(Example("event-cli replay show 7", "counts, time reached, time left"),),
        build=lambda values: QueryReplays(replay_id=values["number"]),
    ),
    _control("pause", "Pause a replay", "publish nothing more for now"),
    _control("resume", "Go on with a paused replay", "at the recorded time where it was paused"),
    Command(
        path=("replay", "step"),
        summary="Pause a replay and publish its next events",
        arguments=(_NUMBER,),
        options=(Option(name="count", metavar="N", kind="integer", default=1, help="how many (default 1)"),),
        examples=(Example("event-cli replay step 7 --count 3", "the next three, at once"),),
        build=lambda values: ControlReplay(replay_id=values["number"], action="step", count=values["count"]),
    ),
    Command(
        path=("replay", "speed"),
        summary="Change the speed of a replay",
        arguments=(_NUMBER, Argument(name="speed", help="0.1 to 100, or max", source="speeds")),
        examples=(Example("event-cli replay speed 7 max", "wait for no gaps from now on"),),
        build=_set_speed,
    ),
    _control("stop", "End a replay", "what was published stays, the rest is left"),
)
