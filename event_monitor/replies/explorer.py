"""What the queries that look through history answer."""

from __future__ import annotations

import msgspec

from event_monitor.model import DeliveryState, Event, Priority, Status
from event_monitor.replies.general import Reply


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event on one line. ``summary`` is masked; ``outcomes`` pairs each target with the state of
    its delivery."""

    id: int
    timestamp: str
    priority: Priority
    event_type: str
    summary: str
    status: Status
    source: str | None = None
    outcomes: tuple[tuple[str, DeliveryState], ...] = ()
    replay_of: int | None = None


class HistoryPage(Reply, frozen=True):
    """``cursor`` is the id to go on from (as ``before_id``, or ``after_id`` when reading upwards);
    ``None`` at the end. A page may be short, even empty, although there is more: ``scanned`` events at
    most were looked at, back (or on) to the time ``reached``. ``oldest_id`` and ``newest_id`` are the
    ends of all history. ``between`` counts events, whether they pass or not: from ``after_id`` up to the
    cursor of a page that begins with the newest, which is what a follower has missed; from ``after_id``
    on, if the page is of ``ids``. ``capped`` says that there are more than so many."""

    rows: list[HistoryRow] = []
    events: list[Event] = []
    cursor: int | None = None
    scanned: int = 0
    reached: str | None = None
    oldest_id: int | None = None
    newest_id: int | None = None
    between: int = 0
    capped: bool = False


class Moment(Reply, frozen=True):
    """``event_id`` is ``None`` while history is empty. ``at`` is the time that was asked for."""

    event_id: int | None
    at: str
    timestamp: str | None = None
