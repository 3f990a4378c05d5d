"""Pages of history by any filter, each after a bounded number of looks. Runs on a reader's thread.

What an index can find is walked by that index: types, statuses, effects. Anything else is tested in
windows of neighbouring ids, inside SQLite as far as it can, which leaves the interpreter to the bus.
"""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from event_monitor.bus.history import COLUMNS
from event_monitor.bus.wanted import Wanted
from event_monitor.model import PRIORITIES, Status

SCANNED = 50_000
"""How many events one page may look at."""
PAGE_BYTES = 512 * 1024
"""How much payload one page may hold, but for its last event."""
COUNTED = 20_000
"""How far what a follower missed is counted."""
KINDS = 4_000
"""How many event types are looked up by name; past that the types of events are tested."""
_STREAMS = 256
_PATIENCE = 0.04
_BATCH = 512
_FIRST_WINDOW = 256
_LARGEST_WINDOW = 16_384
_BRISK = 0.004
# How many events beside an edge in time are asked for their ids, for the clock may have been set back.
_DISORDER = 10_000

Row = Sequence[Any]
Clock = Callable[[], float]

_Source = tuple[str, str, tuple[Any, ...]]
"""The name of the id in an index, a query of its ids, and the query's values."""


@dataclass(frozen=True, slots=True)
class Found:
    """``rows`` are columns for ``to_event``, then the targets. See ``HistoryPage``."""

    rows: list[Row]
    cursor: int | None
    scanned: int
    reached: str | None


@dataclass(frozen=True, slots=True)
class _Batch:
    """``rows`` pass what SQL can test; ``edge`` is the last id that was looked at."""

    rows: Iterator[Row]
    edge: int
    scanned: int


@dataclass(frozen=True, slots=True)
class _Walk:
    """One direction through the ids between ``low`` and ``high``, both exclusive."""

    connection: sqlite3.Connection
    low: int
    high: int
    newest_first: bool

    @property
    def order(self) -> str:
        return "DESC" if self.newest_first else "ASC"

    def beyond(self, edge: int) -> tuple[int, int]:
        """What lies behind an id, both ends exclusive."""
        return (self.low, edge) if self.newest_first else (edge, self.high)


def ends(connection: sqlite3.Connection) -> tuple[int | None, int | None]:
    """The lowest and the highest id of all history."""
    (oldest,) = connection.execute("SELECT MIN(id) FROM events").fetchone()
    (newest,) = connection.execute("SELECT MAX(id) FROM events").fetchone()
    return oldest, newest


def read_page(
    connection: sqlite3.Connection,
    wanted: Wanted,
    *,
    clock: Clock,
    newest_first: bool = True,
    after_id: int | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> Found:
    """One page: see ``QueryHistory``. It ends early when it has looked at ``SCANNED`` events, has
    taken its time, or holds ``PAGE_BYTES``."""
    span = _span(connection, wanted, after_id, before_id)
    kinds = allowed_kinds(connection, wanted)
    if span is None or kinds == []:
        return Found([], None, 0, None)
    walk = _Walk(connection, *span, newest_first)
    begun = clock()
    rows: list[Row] = []
    size = scanned = 0
    edge = None
    with contextlib.closing(_batches(walk, wanted, kinds, limit, clock)) as batches:
        for batch in batches:
            scanned += batch.scanned
            edge = batch.edge
            for row in batch.rows:
                if not wanted.passes(row, typed=kinds is not None):
                    continue
                rows.append(row)
                size += len(row[3])
                if len(rows) >= limit or size > PAGE_BYTES:
                    return Found(rows, row[0], scanned, row[1])
            if scanned >= SCANNED or clock() - begun > _PATIENCE:
                return Found(rows, edge, scanned, _time_of(connection, edge))
    return Found(rows, None, scanned, None if edge is None else _time_of(connection, edge))


def read_rows(connection: sqlite3.Connection, ids: Sequence[int]) -> Found:
    """Those of the events that are there, the newest first. The page ends when it holds ``PAGE_BYTES``:
    then its cursor is the id below which the others lie."""
    rows: list[Row] = []
    size = 0
    with contextlib.closing(_fetch(_Walk(connection, 0, 0, True), ids, "", [])) as cursor:
        for row in cursor:
            rows.append(row)
            size += len(row[3])
            if size > PAGE_BYTES:
                return Found(rows, row[0], len(rows), row[1])
    return Found(rows, None, len(rows), None)


def count_between(connection: sqlite3.Connection, low: int, high: int) -> tuple[int, bool]:
    """How many events lie between two ids, both exclusive, and whether there are more than that."""
    (count,) = connection.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM events WHERE id > ? AND id < ? LIMIT ?)",
        (low, high, COUNTED + 1),
    ).fetchone()
    return min(count, COUNTED), count > COUNTED


def find_moment(connection: sqlite3.Connection, at: str) -> tuple[int, str] | None:
    """The id and time of the last event at ``at``, or of the first after it; ``None`` if there is none."""
    for condition, order in (("<= ?", "DESC"), ("> ?", "ASC")):
        row = connection.execute(
            f"SELECT id, timestamp FROM events WHERE timestamp {condition} "
            f"ORDER BY timestamp {order}, id {order} LIMIT 1",
            (at,),
        ).fetchone()
        if row is not None:
            return row[0], row[1]
    return None


# --- where to look --------------------------------------------------------------------------


def _span(
    connection: sqlite3.Connection, wanted: Wanted, after_id: int | None, before_id: int | None
) -> tuple[int, int] | None:
    """The ids between which wanted events may lie, both exclusive; ``None`` if there are none."""
    oldest, newest = ends(connection)
    if oldest is None or newest is None:
        return None
    lows, highs = [oldest - 1], [newest + 1]
    if after_id is not None:
        lows.append(after_id)
    if before_id is not None:
        highs.append(before_id)
    if wanted.event_id is not None:
        lows.append(wanted.event_id - 1)
        highs.append(wanted.event_id + 1)
    for edge, function, condition, order in (
        (wanted.until, "MAX", "<", "DESC"),
        (wanted.since, "MIN", ">=", "ASC"),
    ):
        if edge is None:
            continue
        (found,) = connection.execute(
            f"SELECT {function}(id) FROM (SELECT id FROM events WHERE timestamp {condition} ? "
            f"ORDER BY timestamp {order} LIMIT ?)",
            (edge, _DISORDER),
        ).fetchone()
        if found is None:
            return None
        if order == "DESC":
            highs.append(found + 1)
        else:
            lows.append(found - 1)
    low, high = max(lows), min(highs)
    return (low, high) if high - low > 1 else None


def known_kinds(connection: sqlite3.Connection, limit: int = KINDS) -> list[str]:
    """The event types of history in their order, one step in the index each; at most ``limit``."""
    rows = connection.execute(
        "WITH RECURSIVE kinds(name) AS (SELECT MIN(event_type) FROM events UNION ALL "
        "SELECT (SELECT MIN(event_type) FROM events WHERE event_type > kinds.name) FROM kinds "
        "WHERE kinds.name IS NOT NULL) SELECT name FROM kinds WHERE name IS NOT NULL LIMIT ?",
        (limit,),
    )
    return [name for (name,) in rows]


def allowed_kinds(connection: sqlite3.Connection, wanted: Wanted) -> list[str] | None:
    """The types that the filter lets through; ``None`` if it names none, or there are too many to list."""
    if not (wanted.types or wanted.without_types):
        return None
    if wanted.types and all(pattern.is_literal for pattern in wanted.types):
        known = [str(pattern) for pattern in wanted.types]
    else:
        known = known_kinds(connection, KINDS + 1)
        if len(known) > KINDS:
            return None
    return [name for name in known if wanted.lets_type_through(name)]


def _batches(
    walk: _Walk, wanted: Wanted, kinds: list[str] | None, limit: int, clock: Clock
) -> Generator[_Batch, None, None]:
    conditions, values = wanted.conditions()
    sources = _by_status(wanted)
    if sources is None and kinds is not None and len(kinds) <= _STREAMS:
        sources = _of_types(kinds)
    elif kinds is not None:
        conditions.append(f"+e.event_type IN ({', '.join('?' * len(kinds))})")
        values += kinds
    if sources is not None:
        size = _BATCH if conditions or wanted.in_python else min(limit, _BATCH)
        return _by_index(walk, sources, conditions, values, size)
    if not (conditions or wanted.in_python or wanted.tests_types):
        return _by_window(walk, conditions, values, limit, clock)
    return _by_window(walk, conditions, values, _FIRST_WINDOW, clock)


def _by_status(wanted: Wanted) -> list[_Source] | None:
    """Indexes of causes or statuses that hold every wanted event; ``None`` if there are none."""
    if wanted.cause is not None:
        return [("id", "SELECT id FROM events WHERE causation_id = ?", (wanted.cause,))]
    statuses = set(wanted.statuses)
    if statuses and Status.DELIVERED not in statuses:
        return [source for status in sorted(statuses) for source in _of_status(status)]
    return None


def _of_types(kinds: Sequence[str]) -> list[_Source]:
    query = "SELECT id FROM events INDEXED BY events_event_type WHERE event_type = ?"
    return [("id", query, (kind,)) for kind in kinds]


def _of_status(status: Status) -> list[_Source]:
    if status is not Status.PENDING:
        # As a literal, for a partial index is used for its own condition only.
        return [("id", f"SELECT id FROM events WHERE status = '{status.value}'", ())]
    queued = "SELECT id FROM events INDEXED BY events_queue WHERE queued IS NOT NULL AND priority = ?"
    owed = "SELECT event_id FROM deliveries WHERE state IN ('queued', 'retrying', 'parked')"
    return [
        *(("id", queued, (priority.rank,)) for priority in PRIORITIES),
        ("event_id", owed, ()),
    ]


# --- ways through ---------------------------------------------------------------------------


def _by_index(
    walk: _Walk,
    sources: Sequence[_Source],
    conditions: list[str],
    values: list[Any],
    size: int,
) -> Generator[_Batch, None, None]:
    """Merge what several indexes hold, in the order of the ids."""
    cursors = [
        walk.connection.execute(
            f"{query} AND {name} > ? AND {name} < ? ORDER BY {name} {walk.order}",
            (*bound, walk.low, walk.high),
        )
        for name, query, bound in sources
    ]
    tested = "".join(f" AND {condition}" for condition in conditions)
    merged = heapq.merge(*cursors, key=lambda row: row[0], reverse=walk.newest_first)
    ids = (event_id for (event_id,), _ in groupby(merged))
    try:
        looked_at = 0
        while batch := list(islice(ids, min(size, SCANNED - looked_at))):
            looked_at += len(batch)
            rows = _fetch(walk, batch, tested, values)
            try:
                yield _Batch(rows, batch[-1], len(batch))
            finally:
                rows.close()
    finally:
        for cursor in cursors:
            cursor.close()


def _fetch(walk: _Walk, ids: Sequence[int], tested: str, values: Sequence[Any]) -> sqlite3.Cursor:
    return walk.connection.execute(
        f"SELECT {COLUMNS}, r.targets FROM events e LEFT JOIN routes r ON r.id = e.route "
        f"WHERE e.id IN ({', '.join('?' * len(ids))}){tested} ORDER BY e.id {walk.order}",
        (*ids, *values),
    )


def _by_window(
    walk: _Walk, conditions: list[str], values: list[Any], size: int, clock: Clock
) -> Generator[_Batch, None, None]:
    """Test neighbouring events, in windows that grow while they cost little."""
    low, high = walk.low, walk.high
    tested = "".join(f" AND {condition}" for condition in conditions)
    edge_of = "MIN" if walk.newest_first else "MAX"
    looked_at = 0
    while True:
        begun = clock()
        edge, scanned = walk.connection.execute(
            f"SELECT {edge_of}(id), COUNT(*) FROM (SELECT id FROM events WHERE id > ? AND id < ? "
            f"ORDER BY id {walk.order} LIMIT ?)",
            (low, high, size),
        ).fetchone()
        if edge is None:
            return
        first, last = (edge, high - 1) if walk.newest_first else (low + 1, edge)
        rows = walk.connection.execute(
            f"SELECT {COLUMNS}, r.targets FROM events e LEFT JOIN routes r ON r.id = e.route "
            f"WHERE e.id BETWEEN ? AND ?{tested} ORDER BY e.id {walk.order}",
            (first, last, *values),
        )
        try:
            yield _Batch(rows, edge, scanned)
        finally:
            rows.close()
        low, high = walk.beyond(edge)
        looked_at += scanned
        if clock() - begun < _BRISK:
            size = min(size * 4, _LARGEST_WINDOW)
        size = max(1, min(size, SCANNED - looked_at))


def _time_of(connection: sqlite3.Connection, event_id: int) -> str | None:
    row = connection.execute("SELECT timestamp FROM events WHERE id = ?", (event_id,)).fetchone()
    return None if row is None else row[0]
