"""What became undeliverable: look at it, try it again, give it up."""

from __future__ import annotations

from event_monitor.messages.base import Message, Number


class RetryDeadLetters(Message, tag="retry_dead_letters", frozen=True):
    """Queue dead letters again: those of one event, or all that match. Answers ``Done``."""

    event_id: Number | None = None
    target: str | None = None
    event_type: str | None = None
    all: bool = False


class DropDeadLetters(Message, tag="drop_dead_letters", frozen=True):
    """Give dead letters up; the event keeps its status and errors. Answers ``Done``."""

    event_id: Number | None = None
    target: str | None = None
    event_type: str | None = None
    all: bool = False


class QueryDeadLetters(Message, tag="query_dead_letters", frozen=True):
    """Answers ``DeadLetterPage``, the oldest first, starting after ``after`` (id, target)."""

    event_type: str | None = None
    target: str | None = None
    event_id: Number | None = None
    after: tuple[Number, str] | None = None
    limit: Number = 100
