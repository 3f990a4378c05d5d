"""A fixed history with replays of it, for pictures of the Replay tab."""

from __future__ import annotations

import asyncio
import math
from itertools import accumulate
from typing import Any

from event_monitor.clock import from_iso, to_iso
from event_monitor.errors import EventMonitorError
from event_monitor.messages import (
    ControlReplay,
    GetHistogram,
    Message,
    PlanReplay,
    QueryReplayed,
    QueryReplays,
    QueryReplayTargets,
    StartReplay,
)
from event_monitor.model import DeliveryState, ReplayState, Status
from event_monitor.replies.replays import (
    Histogram,
    ReplayedEvent,
    ReplayedEvents,
    ReplayPlan,
    ReplayReport,
    Replays,
    ReplayTargetInfo,
    ReplayTargets,
)
from tests.dashboard import scene

END = scene.NOW.timestamp()
BEGIN = END - 20 * 3_600
_DEAD, _DELIVERED, _RETRYING = DeliveryState.DEAD, DeliveryState.DELIVERED, DeliveryState.RETRYING
# So many of a span's events are replays themselves.
_REPLAYS = 3
_WHY = {"replays": "events that are replays themselves"}
_EFFECTS = {
    "alert": "raises each alert again: bell, banner and toast",
    "recovery": "restarts or probes the services that the events name",
}


def _minute(minute: int) -> float:
    """How many events a minute has: a working day with a lunch break."""
    hour = minute / 60 % 24
    busy = max(0.0, math.sin((hour - 8) / 10 * math.pi)) if 8 <= hour <= 18 else 0.05
    return 12 * busy * (0.3 if 12 <= hour < 13 else 1.0) * (1 + 0.5 * math.sin(minute / 7))


_FIRST = math.floor(BEGIN / 60)
_BEFORE = list(accumulate(map(_minute, range(_FIRST, math.ceil(END / 60) + 1)), initial=0.0))


def recorded(since: float, until: float, share: float = 1.0) -> int:
    """How many events there are between two moments. The parts of a span have as many as the whole."""

    def before(moment: float) -> int:
        minute, rest = divmod(min(max(moment, BEGIN), END) / 60, 1)
        place = int(minute) - _FIRST
        return math.floor(share * (_BEFORE[place] + rest * (_BEFORE[place + 1] - _BEFORE[place])))

    return before(until) - before(since)


def histogram(message: GetHistogram) -> Histogram:
    """The counts of a span."""
    since = from_iso(message.since) if message.since else BEGIN
    until = from_iso(message.until) if message.until else END
    width = (until - since) / message.buckets
    share = 1.0 if message.type is None else 0.4
    counts = [recorded(since + n * width, since + (n + 1) * width, share) for n in range(message.buckets)]
    return Histogram(
        since=to_iso(since), until=to_iso(until), seconds=width, total=sum(counts), counts=counts
    )


def plan(message: PlanReplay) -> ReplayPlan:
    """What a replay of a span would do."""
    assert message.until is not None
    since, until = from_iso(message.since), from_iso(message.until)
    replays = 0 if message.replays else min(_REPLAYS, recorded(since, until))
    events = recorded(since, until) - replays
    down = events // 20
    targets = dict.fromkeys(message.targets, events) or {
        "analytics": events - down,
        "learning": events - down,
        "log": events,
    }
    excluded = (
        {"replays": replays} if message.targets else dict.fromkeys(_EFFECTS, down) | {"replays": replays}
    )
    excluded = {name: number for name, number in excluded.items() if number}
    return ReplayPlan(
        events=events,
        first=to_iso(since + 1),
        last=to_iso(until - 1),
        seconds=0.0 if message.speed == "max" else (until - since - 2) / message.speed,
        by_type={"command.executed": events - down - 7, "mcp.server.down": down, "tool.executed": 7},
        by_target=targets,
        excluded=excluded,
        why={name: _WHY.get(name, "it acts on people or machines") for name in excluded},
        since=message.since,
        until=message.until,
        speed=message.speed,
    )


def report(number: int, state: str = "running", **changes: Any) -> ReplayReport:
    """A replay, half way unless it is said otherwise."""
    fields: dict[str, Any] = {
        "since": "2026-03-14T14:02:10.000000Z",
        "until": "2026-03-14T14:31:40.000000Z",
        "type": None,
        "filter": None,
        "targets": ["log", "analytics"],
        "speed": 10.0,
        "events": 1_204,
        "replayed": 602,
        "failed": 4,
        "skipped": 0,
        "under_way": 2,
        "at": "2026-03-14T14:16:55.120000Z",
        "seconds_left": 88.0,
        "created_at": "2026-03-14T15:40:40.000000Z",
    }
    return ReplayReport(id=number, state=ReplayState(state), **{**fields, **changes})


def many() -> list[ReplayReport]:
    """One that runs, and some that have ended."""
    over: dict[str, Any] = {"under_way": 0, "seconds_left": None}
    return [
        report(12),
        report(11, "paused", speed="max", replayed=3, failed=0, events=54, note="", **over),
        report(10, "stopped", replayed=20, failed=0, skipped=1_184, **over),
        report(9, "done", replayed=1_204, failed=0, type="mcp.#", **over),
    ]


def results() -> list[ReplayedEvent]:
    """The last events of a replay."""
    story = (
        ("command.executed", (("log", _DELIVERED), ("analytics", _DELIVERED), ("learning", _DELIVERED)), ""),
        ("mcp.server.down", (("log", _DELIVERED),), ""),
        ("command.executed", (("log", _DELIVERED), ("analytics", _RETRYING)), "disk is full"),
        ("backup.completed", (("log", _DELIVERED), ("storage", _DEAD)), "disk is full: /home/demo"),
        ("command.executed", (("log", _DELIVERED), ("analytics", _DELIVERED)), ""),
    )
    return [
        ReplayedEvent(
            id=9_000 - number,
            replay_of=4_000 - 3 * number,
            event_type=kind,
            summary="git status",
            replayed_at=f"2026-03-14T15:42:0{6 - number}.500000Z",
            recorded_at=f"2026-03-14T14:16:{55 - 7 * number}.120000Z",
            status=Status.DEAD if _DEAD in dict(outcomes).values() else Status.DELIVERED,
            outcomes=outcomes,
            error=error,
        )
        for number, (kind, outcomes, error) in enumerate(story)
    ]


class ReplayClient(scene.FakeClient):
    """Answers what the Replay tab asks. The answers to the first plans wait for the events in ``held``, that
    to the first command for ``first_command``."""

    def __init__(self, reports: list[ReplayReport] | None = None, *, empty: bool = False) -> None:
        super().__init__(scene.empty() if empty else scene.calm())
        self.reports = reports if reports is not None else []
        self.empty = empty
        self.plans: list[PlanReplay] = []
        self.counted: list[GetHistogram] = []
        self.held: list[asyncio.Event] = []
        self.refusal: EventMonitorError | None = None
        self.cancelled = 0
        self.commands = 0
        self.first_command: asyncio.Event | None = None

    async def _answer(self, message: Message) -> Any:
        if self.error is not None:
            raise self.error
        if isinstance(message, GetHistogram):
            self.counted.append(message)
            found = histogram(message)
            if self.empty:
                return Histogram(found.since, found.until, found.seconds, 0, [0] * message.buckets)
            return found
        if isinstance(message, PlanReplay):
            return await self._plan(message)
        if isinstance(message, QueryReplays):
            return Replays(replays=list(self.reports))
        if isinstance(message, QueryReplayed):
            return ReplayedEvents(replay_id=message.replay_id, events=results())
        if isinstance(message, QueryReplayTargets):
            names = ("log", "analytics", "learning", "storage", *_EFFECTS)
            targets = [ReplayTargetInfo(name=name, effect=_EFFECTS.get(name, "")) for name in names]
            targets.append(ReplayTargetInfo(name="pager", pattern="mcp.#", effect="runs its command"))
            return ReplayTargets(targets=targets)
        if isinstance(message, StartReplay | ControlReplay):
            self.commands += 1
            if self.commands == 1 and self.first_command is not None:
                await self.first_command.wait()
            self.sent.append(message)
            if self.refusal is not None:
                raise self.refusal
            return report(12)
        return await super()._answer(message)

    async def _plan(self, message: PlanReplay) -> ReplayPlan:
        number = len(self.plans)
        self.plans.append(message)
        if number < len(self.held):
            try:
                await self.held[number].wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.refusal is not None:
            raise self.refusal
        return plan(message)
