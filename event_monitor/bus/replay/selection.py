"""Which recorded events a replay takes, and where each of them goes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from event_monitor.bus.router import Router
from event_monitor.bus.rules import compile_regex
from event_monitor.bus.upcasters import Upcasters
from event_monitor.clock import nearest_iso, parse_time, to_iso
from event_monitor.errors import InvalidRequest
from event_monitor.messages import ReplaySelection, Speed
from event_monitor.model import Event
from event_monitor.resilience.retry import PermanentError
from event_monitor.topics import TopicPattern

T = TypeVar("T", bound=ReplaySelection)

SLOWEST, FASTEST = 0.1, 100.0
FILTERED, REPLAYS, NO_TARGET = "filtered", "replays", "no_target"
WHY = {
    FILTERED: "events of the span whose type or payload was not asked for",
    REPLAYS: "events that are replays themselves",
    NO_TARGET: "events that no target is left for",
}
NOT_NAMED = "other targets were named"

# Where the columns of a scanned row stand.
ID, TIMESTAMP, TYPE, PAYLOAD, VERSION, REPLAY_OF = 0, 1, 2, 3, 10, 13


@dataclass(frozen=True, slots=True)
class Selection:
    """Recorded events from ``since`` to before ``until`` (ISO 8601) that match."""

    since: str
    until: str
    pattern: TopicPattern | None = None
    filter: Any = None
    replays: bool = False

    @property
    def literal_type(self) -> str | None:
        """The one type that it takes, if there is only one."""
        return str(self.pattern) if self.pattern is not None and self.pattern.is_literal else None

    def refusal_of_type(self, event_type: str, is_replay: bool) -> str | None:
        """Why no event of a type is taken; ``None`` if the payload may decide, or all are."""
        if self.pattern is not None and not self.pattern.matches(event_type):
            return FILTERED
        return REPLAYS if is_replay and not self.replays else None

    def looks_into(self, event_type: str) -> bool:
        """Whether the payload decides on an event of a type that is not refused."""
        return self.filter is not None and not self.filter.search(event_type)

    def takes(self, row: Sequence[Any]) -> bool:
        """Whether a row of ``scan_events`` is taken."""
        if self.refusal_of_type(row[TYPE], row[REPLAY_OF] is not None) is not None:
            return False
        return not self.looks_into(row[TYPE]) or bool(self.filter.search(row[PAYLOAD]))


@dataclass(frozen=True, slots=True)
class Choice:
    """Where an event goes; ``left_out`` are the targets that its routing names beside those."""

    targets: tuple[str, ...]
    left_out: tuple[str, ...] = ()


class Chooser:
    """Decides where events go by the routing of the moment.

    ``named`` targets replace the routing, ``named`` subscriptions still get only what they subscribe
    to. If none is named, ``unwanted`` targets are left out.
    """

    def __init__(
        self, router: Router, upcasters: Upcasters, named: Collection[str], unwanted: Mapping[str, str]
    ) -> None:
        self.unwanted = unwanted
        self._router = router
        self._upcasters = upcasters
        self._named = tuple(named)

    def of_type(self, event_type: str, schema_version: int) -> Choice | None:
        """The choice for every event of a type and version; ``None`` where it depends on the event."""
        if self._upcasters.concerns(event_type, schema_version):
            return None
        routed = self._router.targets_of_type(event_type)
        return None if routed is None else self._choice(routed)

    def of_event(self, event: Event) -> tuple[Event, Choice]:
        """The event in its newest version, and where it goes. One that cannot be brought there stays
        as it is: its deliveries say why."""
        try:
            event = self._upcasters.apply(event)
        except PermanentError:
            return event, self._choice(self._router.targets_of(event))
        return event, self._choice(self._router.targets_of(event))

    def _choice(self, routed: tuple[str, ...]) -> Choice:
        if self._named:
            subscriptions = self._router.subscribers
            targets = tuple(name for name in self._named if name not in subscriptions or name in routed)
        else:
            targets = tuple(name for name in routed if name not in self.unwanted)
        return Choice(targets, tuple(name for name in routed if name not in targets))

    def why(self, name: str) -> str:
        """Why a target is left out."""
        return NOT_NAMED if self._named else self.unwanted.get(name, "")


def check_request(request: T, now: float, known: Collection[str]) -> T:
    """The request with its times made absolute. Raises ``InvalidRequest`` for what cannot be meant."""
    since = parse_time(request.since, now)
    until = parse_time(request.until, now) if request.until is not None else now
    if since > until:
        raise InvalidRequest(
            f"the replay would begin at {to_iso(since)}, after its end at {to_iso(until)}",
            "give --from an earlier time than --to",
        )
    unknown = [name for name in request.targets if name not in known]
    if unknown:
        raise InvalidRequest(
            f"no target is named {', '.join(name[:80] for name in unknown)}",
            f"known: {', '.join(sorted(known)) or 'none'}",
        )
    check_speed(request.speed)
    selection_of(request)
    return msgspec.structs.replace(
        request,
        since=nearest_iso(since),
        until=nearest_iso(until),
        targets=tuple(dict.fromkeys(request.targets)),
    )


def check_speed(speed: Speed) -> None:
    """Raise ``InvalidRequest`` unless a speed can be kept."""
    if speed != "max" and not (math.isfinite(speed) and SLOWEST <= speed <= FASTEST):
        raise InvalidRequest(
            f"speed {speed:g} is out of range", f"choose {SLOWEST:g} to {FASTEST:g}, or max for no gaps"
        )


def selection_of(request: ReplaySelection) -> Selection:
    """What a checked request selects. Raises ``InvalidRequest`` for a pattern or filter that is none."""
    return Selection(
        since=request.since,
        until=request.until or "",
        pattern=TopicPattern(request.type) if request.type else None,
        filter=compile_regex(request.filter) if request.filter else None,
        replays=request.replays,
    )
