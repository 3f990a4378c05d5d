"""What a scenario is, and how its faults are planned: by the seed alone, so that the same happens again."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from event_monitor.chaos.points import Strike
from event_monitor.chaos.world import TOOLS, WEB, World

Group = Literal["services", "network", "exhaustion", "recovery"]
Felt = Callable[[World], str]
"""What of a fault was not felt yet; empty once it was."""
Planner = Callable[[random.Random, float], tuple[Strike, ...]]

_LEAD = 0.15
"""The share of a scenario's time before its first fault."""
_SECONDS_A_FAULT = 3.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that goes wrong. ``limit`` is the most seconds that may pass from a heal until the system
    is HEALTHY and settled. Each fault lasts as planned, and until each of ``felt`` says that it was felt;
    what each of ``told`` looks for must be there after it. ``settings`` are what its home has beside the
    others' (``service`` for each service)."""

    name: str
    group: Group
    title: str
    limit: float
    plan: Planner
    felt: tuple[Felt, ...] = ()
    told: tuple[Felt, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[str, ...] = (WEB,)
    rate: float = 100.0

    def strikes(self, seed: int, duration: float) -> tuple[Strike, ...]:
        """Its faults for a seed."""
        return self.plan(random.Random(f"{seed}/{self.name}"), duration)


def spread(
    point: str,
    seconds: tuple[float, float],
    *,
    amount: tuple[float, float] = (0.0, 0.0),
    share: float = 1.0,
    times: int = 0,
    most: int = 1_000,
) -> Planner:
    """As many faults at a point as the time allows, each in its part of it. ``seconds`` and ``amount`` are
    the least and the most of each."""

    def plan(rng: random.Random, duration: float) -> tuple[Strike, ...]:
        count = max(1, min(most, int(duration / _SECONDS_A_FAULT)))
        lead = _LEAD * duration
        part = (duration - lead) / count
        return tuple(
            Strike(
                point=point,
                at=round(lead + number * part + rng.uniform(0.0, 0.15 * part), 3),
                seconds=round(rng.uniform(*seconds), 3),
                amount=round(rng.uniform(*amount), 2),
                share=share,
                times=times,
            )
            for number in range(count)
        )

    return plan


# --- what can be felt ----------------------------------------------------------------------------------


def ailing(world: World) -> str:
    """The state is another than HEALTHY."""
    return "" if world.watch.ailed(world.since) else "the state stays HEALTHY"


def unwell(world: World) -> str:
    """The state is another than HEALTHY, or nobody can ask for it."""
    return "" if world.watch.blind else ailing(world)


def silent(world: World) -> str:
    """The bus does not answer."""
    return "" if world.watch.blind else "the bus answers"


def spooled(world: World) -> str:
    """Events are written into the spool."""
    return "" if world.publisher.spooled > world.spooled_before else "nothing is spooled"


def refused(*codes: str) -> Felt:
    """A publisher was refused, for one of these reasons."""

    def felt(world: World) -> str:
        if any(world.publisher.refused[code] > world.refused_before[code] for code in codes):
            return ""
        return f"no publisher is refused ({', '.join(codes)})"

    return felt


def alerted(part: str) -> Felt:
    """There is an alert with this in its title."""
    return lambda world: "" if world.watch.told(part, world.since) else f"there is no alert {part!r}"


def rejected(world: World) -> str:
    """The bulkhead of the service that is called has no place for a call."""
    return "" if world.watch.rejected > world.rejected_before else "no call is rejected by a bulkhead"


BOTH = (WEB, TOOLS)
