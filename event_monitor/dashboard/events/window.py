"""A window on history: a bounded run of events without a hole, and what lies above and below it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import Enum

from event_monitor.messages import HistoryFilter, QueryHistory
from event_monitor.replies.explorer import HistoryPage, HistoryRow

PAGE = 100
MOST = 2_000
"""So many rows are kept; those farthest from where is read are let go of."""


class Way(Enum):
    """In which direction history is read."""

    DOWN = "older"
    UP = "newer"


@dataclass(slots=True)
class _Edge:
    """One end of the run. ``cursor`` is where to read on, ``None`` at the very end of history;
    ``done`` says that nothing more lies there, ``reached`` how far a search has come."""

    cursor: int | None = None
    done: bool = False
    reached: str | None = None


class HistoryWindow:
    """Events that pass ``where``, the newest first. ``head`` is the highest id that was looked at, once
    the newest end is reached; a follower reads from there."""

    def __init__(self, where: HistoryFilter | None = None) -> None:
        self.where = where or HistoryFilter()
        self.rows: list[HistoryRow] = []
        self.head: int | None = None
        self.oldest_id: int | None = None
        self.newest_id: int | None = None
        self.trimmed = False
        self._edges = {Way.DOWN: _Edge(), Way.UP: _Edge()}

    # --- where to begin ---------------------------------------------------------------------

    def begin_newest(self, where: HistoryFilter | None = None) -> None:
        """Forget all rows; what is read next begins with the newest event."""
        self._begin(where)
        self._edges[Way.UP].done = True

    def begin_oldest(self) -> None:
        """Forget all rows; what is read next, upwards, begins with the oldest event."""
        self._begin(None)
        self._edges[Way.DOWN].done = True
        self._edges[Way.UP].cursor = 0

    def begin_at(self, event_id: int) -> None:
        """Forget all rows; what is read next lies around an event."""
        self._begin(None)
        self._edges[Way.DOWN].cursor = event_id + 1
        self._edges[Way.UP].cursor = event_id

    def _begin(self, where: HistoryFilter | None) -> None:
        if where is not None:
            self.where = where
        self.rows = []
        self.head = None
        self.trimmed = False
        self._edges = {Way.DOWN: _Edge(), Way.UP: _Edge()}

    # --- reading on -------------------------------------------------------------------------

    def done(self, way: Way) -> bool:
        """Whether nothing more lies there."""
        return self._edges[way].done

    def reached(self, way: Way) -> str | None:
        """The time up to which was searched there, if rows did not fill what was asked for."""
        return self._edges[way].reached

    @property
    def complete(self) -> bool:
        """Whether it holds all that passes."""
        return not self.trimmed and all(edge.done for edge in self._edges.values())

    def question(self, way: Way) -> QueryHistory:
        """What to ask for the next page there."""
        cursor = self._edges[way].cursor
        if way is Way.DOWN:
            return QueryHistory(where=self.where, before_id=cursor, limit=PAGE)
        return QueryHistory(where=self.where, after_id=cursor, newest_first=False, limit=PAGE)

    def take(self, way: Way, page: HistoryPage) -> None:
        """Add the page that answers ``question(way)``."""
        self._note_ends(page)
        edge = self._edges[way]
        edge.cursor, edge.done = page.cursor, page.cursor is None
        edge.reached = page.reached if len(page.rows) < PAGE else None
        if way is Way.DOWN:
            self.rows += page.rows
            newest, above = page.newest_id or 0, self._edges[Way.UP]
            if above.done and self.head is None:
                self.head = newest
            elif above.cursor is not None and above.cursor > newest:
                # A place was gone to that no event has reached yet.
                above.cursor = newest
        else:
            self.rows[:0] = reversed(page.rows)
            if edge.done:
                self.head = page.newest_id or 0
        self._trim(away_from=way)

    def _trim(self, away_from: Way) -> None:
        """Let go of what is farthest from where was read."""
        if len(self.rows) <= MOST:
            return
        self.trimmed = True
        if away_from is Way.DOWN:
            del self.rows[: len(self.rows) - MOST]
            self._edges[Way.UP] = _Edge(cursor=self.rows[0].id)
            self.head = None
        else:
            del self.rows[MOST:]
            self._edges[Way.DOWN] = _Edge(cursor=self.rows[-1].id)

    # --- following --------------------------------------------------------------------------

    @property
    def at_newest(self) -> bool:
        """Whether its first row is the newest that passes, as far as is known."""
        return self._edges[Way.UP].done and self.head is not None

    def news(self) -> QueryHistory:
        """What to ask for what came since."""
        return QueryHistory(where=self.where, after_id=self.head, limit=PAGE)

    def take_news(self, page: HistoryPage) -> tuple[int, bool]:
        """Add what came since; of more than fits a page only the newest. Answers how many events were
        passed over then (they can be paged to), and whether there are even more than that."""
        self._note_ends(page)
        self.head = max(self.head or 0, page.newest_id or 0)
        if page.cursor is None:
            self.rows[:0] = page.rows
            self._trim(away_from=Way.UP)
            return 0, False
        self.rows = list(page.rows)
        self.trimmed = False
        self._edges[Way.DOWN] = _Edge(cursor=page.cursor, reached=page.reached if not page.rows else None)
        return page.between, page.capped

    def refresh(self, page: HistoryPage) -> bool:
        """Take rows as they are now in place of those that are known. Answers whether any differed."""
        self._note_ends(page)
        changed = False
        for row in page.rows:
            place = self.place(row.id)
            if place is not None and self.rows[place] != row:
                self.rows[place] = row
                changed = True
        return changed

    # --- finding ----------------------------------------------------------------------------

    def place(self, event_id: int | None) -> int | None:
        """The place of an event in ``rows``."""
        if event_id is None:
            return None
        place = self.nearest(event_id)
        found = place < len(self.rows) and self.rows[place].id == event_id
        return place if found else None

    def nearest(self, event_id: int) -> int:
        """The place of an event, or of the next older one."""
        return bisect_left(self.rows, -event_id, key=lambda row: -row.id)

    def _note_ends(self, page: HistoryPage) -> None:
        self.oldest_id, self.newest_id = page.oldest_id, page.newest_id
