"""What the commands and queries about replays and history answer."""

from __future__ import annotations

from typing import Literal

import msgspec

from event_monitor.model import DeliveryState, ReplayState, Status
from event_monitor.replies.general import Reply


class ReplayPlan(Reply, frozen=True):
    """What a replay would do. ``events`` would be replayed, which takes ``seconds`` at its speed (0 at
    ``max``); ``by_target`` counts deliveries. ``excluded`` counts what is left out, by the name of a
    target (deliveries) or ``filtered``, ``replays``, ``no_target`` (events), and ``why`` says why."""

    events: int
    first: str | None
    last: str | None
    seconds: float
    by_type: dict[str, int]
    by_target: dict[str, int]
    excluded: dict[str, int]
    why: dict[str, str] = {}
    since: str = ""
    until: str = ""
    speed: float | Literal["max"] = 1.0
    first_id: int | None = None
    last_id: int | None = None


class ReplayReport(Reply, frozen=True):
    """One replay. Of ``events`` that it planned, ``replayed`` were published again, and of those
    ``failed`` had a delivery given up and ``under_way`` are not concluded. ``skipped`` are events that
    it was asked for and that were not replayed: replays themselves, those without a target, and what
    had gone, or was left, at its end. ``at`` is the recorded time that it has reached, ``seconds_left``
    ``None`` while that cannot be told; ``waits`` says what else it waits for, ``note`` what paused it
    that was no person. ``id`` is 0 if there was nothing to do."""

    id: int
    state: ReplayState
    since: str
    until: str
    type: str | None
    filter: str | None
    targets: list[str]
    speed: float | Literal["max"]
    events: int
    replayed: int
    failed: int
    skipped: int
    under_way: int = 0
    at: str | None = None
    seconds_left: float | None = None
    created_at: str = ""
    waits: str = ""
    note: str = ""


class Replays(Reply, frozen=True):
    LINES = "replays"

    replays: list[ReplayReport]


class ReplayedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a replay published. ``recorded_at`` is when its original was recorded, if that is
    still known; ``outcomes`` pairs each target with the state of its delivery, ``error`` is the last one."""

    id: int
    replay_of: int
    event_type: str
    summary: str
    replayed_at: str
    recorded_at: str | None
    status: Status
    outcomes: tuple[tuple[str, DeliveryState], ...] = ()
    error: str = ""


class ReplayedEvents(Reply, frozen=True):
    replay_id: int
    events: list[ReplayedEvent]


class ReplayTargetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A target. One with an ``effect`` on people or machines is left out of a replay unless named, for
    the reason ``why``; a ``pattern`` says that it gets only what it subscribes to."""

    name: str
    effect: str = ""
    why: str = ""
    pattern: str | None = None


class ReplayTargets(Reply, frozen=True):
    targets: list[ReplayTargetInfo]


class Histogram(Reply, frozen=True):
    """Recorded events from ``since`` to before ``until``: ``counts`` of equal parts, each ``seconds``
    long, the oldest first."""

    since: str
    until: str
    seconds: float
    total: int
    counts: list[int]
