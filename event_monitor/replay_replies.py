"""What the commands and queries about replays and history answer."""

from __future__ import annotations

from typing import Literal

from event_monitor.model import ReplayState
from event_monitor.replies import Reply


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
    replays: list[ReplayReport]


class Histogram(Reply, frozen=True):
    """Recorded events from ``since`` to before ``until``: ``counts`` of equal parts, each ``seconds``
    long, the oldest first."""

    since: str
    until: str
    seconds: float
    total: int
    counts: list[int]
