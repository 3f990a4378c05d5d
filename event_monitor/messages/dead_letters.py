"""Dead letters: deliveries that were given up, until a person decides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from event_monitor.messages.base import Message, Number, Reason

Groups = Annotated[tuple[Number, ...], msgspec.Meta(max_length=1_000)]

Rate = Annotated[float, msgspec.Meta(ge=0.01, le=100_000.0)]
"""Dead letters a second."""


class DeadLetterSelection(Message, frozen=True):
    """Which dead letters are meant: those that fit all that is named, every one with ``all``.
    ``event_type`` is a topic pattern, ``groups`` the numbers of ``DeadGroup``s of which one must fit;
    ``until`` leaves out what was given up later than that (ISO 8601), which whoever decides has not
    seen."""

    event_id: Number | None = None
    target: str | None = None
    event_type: str | None = None
    groups: Groups = ()
    until: str | None = None
    all: bool = False


class RetryDeadLetters(DeadLetterSelection, tag="retry_dead_letters", frozen=True):
    """Queue dead letters again at once, with a fresh set of attempts. Answers ``Done``."""


class DropDeadLetters(DeadLetterSelection, tag="drop_dead_letters", frozen=True):
    """Give dead letters up; the event keeps its status and errors. Answers ``Done``."""


class StartRetryRun(DeadLetterSelection, tag="start_retry_run", frozen=True):
    """Queue dead letters again, ``rate`` a second: each that is one now, once. Answers ``RetryRun``. It
    goes on by itself, also after a restart, until it is done or stopped."""

    rate: Rate = 10.0
    by: Reason = ""


class ControlRetryRun(Message, tag="control_retry_run", frozen=True):
    """Stop a retry of many (what was queued again stays so), or change its ``rate``. Answers
    ``RetryRun``."""

    run_id: Number
    action: Literal["stop", "rate"]
    rate: Rate = 1.0


class CorrectDeadLetter(Message, tag="correct_dead_letter", frozen=True):
    """Publish an event again with another payload and drop its dead letters (or that of ``target``), both
    or neither. The new event is caused by the old one and has its type, priority, source and
    correlation; it goes to the targets of those dead letters, with ``rerouted`` wherever it would go
    today. Answers ``Corrected``; ``Conflict`` if the letters were dealt with before."""

    event_id: Number
    payload: dict[str, Any]
    target: str | None = None
    rerouted: bool = False


class QueryDeadLetters(Message, tag="query_dead_letters", frozen=True):
    """Answers ``DeadLetterPage``, the oldest event first, starting after ``after`` (id, target); with
    ``newest_first`` the other way."""

    event_type: str | None = None
    target: str | None = None
    event_id: Number | None = None
    group: Number | None = None
    after: tuple[Number, str] | None = None
    newest_first: bool = False
    limit: Number = 100


class QueryDeadGroups(Message, tag="query_dead_groups", frozen=True):
    """Dead letters counted by event type, target and kind of error. ``words`` must all stand somewhere
    in type, target or error, whatever their case. Answers ``DeadGroups``."""

    event_type: str | None = None
    target: str | None = None
    words: tuple[str, ...] = ()
    limit: Number = 100


class QueryRetryRuns(Message, tag="query_retry_runs", frozen=True):
    """Answers ``RetryRuns``: the last hundred, or the one that is named."""

    run_id: Number | None = None
