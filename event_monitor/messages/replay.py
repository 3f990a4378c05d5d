"""Replaying recorded events, and the shape of history to choose from."""

from __future__ import annotations

from typing import Literal

from event_monitor.messages.base import Message, Number

Speed = float | Literal["max"]
"""How many times as fast as recorded, 0.1 to 100; ``max`` waits for no recorded gap."""


class ReplaySelection(Message, frozen=True):
    """Which recorded events to replay, where to and how fast. ``since`` and ``until`` (now, if absent)
    are times as in ``QueryEvents``, ``type`` a topic pattern, ``filter`` a regular expression over
    type and payload. Without ``targets`` events go where they would go today, less the targets with
    side effects; a named target gets all of them, a named subscription those that it subscribes to.
    Events that are replays themselves are taken with ``replays`` only."""

    since: str
    until: str | None = None
    type: str | None = None
    filter: str | None = None
    targets: tuple[str, ...] = ()
    speed: Speed = 1.0
    replays: bool = False


class StartReplay(ReplaySelection, tag="start_replay", frozen=True):
    """Begin a replay of what is recorded now; ``paused`` waits for a step or to be resumed. Answers
    ``ReplayReport``. It goes on by itself, also after a restart, until it is done or stopped."""

    paused: bool = False


class ControlReplay(Message, tag="control_replay", frozen=True):
    """Pause, resume or stop a replay, pause it and replay ``count`` events (``step``), or set its
    ``speed``. Answers ``ReplayReport``: of what was under way nothing is half done then."""

    replay_id: Number
    action: Literal["pause", "resume", "step", "stop", "speed"]
    count: Number = 1
    speed: Speed = 1.0


class PlanReplay(ReplaySelection, tag="plan_replay", frozen=True):
    """What ``StartReplay`` would do now: it delivers nothing. Answers ``ReplayPlan``."""


class QueryReplays(Message, tag="query_replays", frozen=True):
    """Answers ``Replays``: the last hundred, the newest first, or the one that is named."""

    replay_id: Number | None = None


class QueryReplayed(Message, tag="query_replayed", frozen=True):
    """The last events that a replay published, the newest first, and what has become of each. Answers
    ``ReplayedEvents``."""

    replay_id: Number
    limit: Number = 20


class QueryReplayTargets(Message, tag="query_replay_targets", frozen=True):
    """Where a replay may go, and what that would do to people and machines. Answers ``ReplayTargets``."""


class GetHistogram(Message, tag="get_histogram", frozen=True):
    """How many events were recorded in each of ``buckets`` equal parts of a span, which is all of
    history if none is named. ``type`` is a topic pattern. Answers ``Histogram``."""

    since: str | None = None
    until: str | None = None
    type: str | None = None
    buckets: Number = 60
