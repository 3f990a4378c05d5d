"""Looking through history: pages of it by any filter, and the place of a moment."""

from __future__ import annotations

import msgspec

from event_monitor.messages.base import Message, Number
from event_monitor.model import Priority, Status


class HistoryTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tests of an event. ``types`` are topic patterns; of them, and of ``statuses``, ``priorities`` and
    ``sources`` (``*`` stands for any text), one must fit, where any is named. All ``words`` and all
    ``regexes`` must be found, in the type, the source or the payload as JSON text; words in any case."""

    types: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    priorities: tuple[Priority, ...] = ()
    sources: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()


class HistoryFilter(HistoryTerms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events of history are wanted. What fits a single test of ``without`` is left out. ``since``
    (inclusive) and ``until`` (exclusive) are times as in ``QueryEvents``."""

    without: HistoryTerms = HistoryTerms()
    since: str | None = None
    until: str | None = None
    correlation: str | None = None
    cause: Number | None = None
    event_id: Number | None = None


class QueryHistory(Message, tag="query_history", frozen=True):
    """A page of the events that pass ``where``, between ``after_id`` and ``before_id`` (both exclusive),
    from the newest down or from the oldest up; or the events of ``ids``, wherever they are. Answers
    ``HistoryPage`` after having looked at a bounded number of events, whatever the filter. With ``full``
    the page holds ``events``, else ``rows``."""

    where: HistoryFilter = HistoryFilter()
    before_id: Number | None = None
    after_id: Number | None = None
    newest_first: bool = True
    limit: Number = 100
    full: bool = False
    ids: tuple[Number, ...] = ()


class FindMoment(Message, tag="find_moment", frozen=True):
    """Which event was the last at a time as in ``QueryEvents``, or the first after it where there was
    none yet. Answers ``Moment``."""

    at: str
