"""What the commands and queries about dead letters answer, beside ``DeadLetterPage``."""

from __future__ import annotations

import enum

import msgspec

from event_monitor.model import Priority
from event_monitor.replies.general import Reply


class RetryState(enum.StrEnum):
    """How a retry of many stands: only the first is live."""

    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"


class DeadGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters of one event type and target with one kind of error, which is their text without ids,
    times, paths and numbers. ``sample`` is the last error of the newest event among them."""

    id: int
    event_type: str
    target: str
    error: str
    letters: int
    first_at: str
    last_at: str
    first_id: int
    last_id: int
    sample: str


class DeadGroups(Reply, frozen=True):
    """Those with most letters first. ``total`` groups with ``letters`` letters match, of which some
    may be left out here; ``at`` is when they were counted."""

    LINES = "groups"

    groups: list[DeadGroup]
    total: int
    letters: int
    at: str


class Corrected(Reply, frozen=True):
    """``id`` is the corrected event, ``corrects`` the one whose ``dropped`` dead letters it replaces."""

    id: int
    event_type: str
    priority: Priority
    targets: list[str]
    corrects: int
    dropped: int


class RetryRun(Reply, frozen=True):
    """A retry of many dead letters, ``rate`` a second. Of ``letters`` that were meant at its start,
    ``retried`` were queued again; of those ``delivered`` got through, ``failed`` are dead letters
    again, and ``under_way`` have no outcome yet. ``waits`` says what it waits for that is not its
    rate. ``id`` is 0 if there was nothing to do."""

    id: int
    state: RetryState
    rate: float
    letters: int
    retried: int = 0
    delivered: int = 0
    failed: int = 0
    under_way: int = 0
    seconds_left: float | None = None
    event_id: int | None = None
    target: str | None = None
    event_type: str | None = None
    groups: list[int] = []
    begun_by: str = ""
    created_at: str = ""
    ended_at: str | None = None
    waits: str = ""


class RetryRuns(Reply, frozen=True):
    """The newest first."""

    LINES = "runs"

    runs: list[RetryRun]
