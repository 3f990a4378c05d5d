"""What is to be replayed, as a person has put it together on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from event_monitor.dashboard.replay.span import Span, iso
from event_monitor.errors import InvalidRequest
from event_monitor.messages import PlanReplay, Speed, StartReplay
from event_monitor.topics import TopicPattern

SPEEDS: tuple[Speed, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, "max")


@dataclass(frozen=True, slots=True)
class Question:
    """``type`` and ``filter`` are empty for all events, ``targets`` for where they would go today."""

    span: Span
    type: str = ""
    filter: str = ""
    targets: tuple[str, ...] = ()
    speed: Speed = 1.0
    replays: bool = False

    def plan(self) -> PlanReplay:
        """Asks what would happen."""
        return PlanReplay(**self._fields())

    def start(self, *, paused: bool) -> StartReplay:
        """Begins it."""
        return StartReplay(**self._fields(), paused=paused)

    def _fields(self) -> dict[str, Any]:
        return {
            "since": iso(self.span.since),
            "until": iso(self.span.until),
            "type": self.type or None,
            "filter": self.filter or None,
            "targets": self.targets,
            "speed": self.speed,
            "replays": self.replays,
        }


def next_speed(speed: Speed, steps: int) -> Speed:
    """The next faster of the usual speeds, or the next slower if ``steps`` is negative."""
    if speed in SPEEDS:
        place = SPEEDS.index(speed) + steps
    else:
        faster = [n for n, usual in enumerate(SPEEDS) if usual == "max" or (speed != "max" and usual > speed)]
        place = faster[0] + steps - (steps > 0)
    return SPEEDS[min(max(place, 0), len(SPEEDS) - 1)]


def speed_text(speed: Speed) -> str:
    """A speed as people write it."""
    return "max speed" if speed == "max" else f"{speed:g}x"


def type_mistake(text: str) -> str:
    """Why a text is no topic pattern; empty if it is one, or empty itself."""
    try:
        if text:
            TopicPattern(text)
    except InvalidRequest as error:
        return str(error)
    return ""


def remembered_speed(value: object) -> Speed:
    """A speed that was kept, if it is one of the usual."""
    return next((speed for speed in SPEEDS if speed == value), 1.0)
