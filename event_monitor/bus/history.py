"""Short reads of the store: pages of the queue and of history. Runs on a reader's thread.

Every read is a keyset page, never a long open cursor: a reader that stays pins the WAL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from event_monitor.bus.dead_groups import Letters, Place
from event_monitor.clock import to_iso
from event_monitor.model import PRIORITIES, Delivery, DeliveryError, DeliveryState, Event, Status
from event_monitor.replies.general import DeadLetter
from event_monitor.topics import TopicPattern

COLUMNS = (
    "e.id, e.timestamp, e.event_type, e.payload, e.status, e.retry_count, e.priority, e.source, e.key, "
    "e.expires_at, e.schema_version, e.correlation_id, e.causation_id, e.replay_of, e.traceparent, e.depth"
)
_WIDTH = COLUMNS.count(",") + 1
_STATUSES = {status.value: status for status in Status}
SIMPLE_STATES = {Status.PENDING: DeliveryState.QUEUED, Status.EXPIRED: DeliveryState.EXPIRED}
_decode_errors = msgspec.json.Decoder(tuple[DeliveryError, ...]).decode
_decode_targets = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_payload = msgspec.json.Decoder(dict[str, Any]).decode
# How many rows a filtered query may look at for one page, so that it stays short.
SCAN_LIMIT = 20_000
# How many bytes of payloads a page may have, with one more event.
PAGE_BYTES = 4_194_304


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event of the disk queue, with what ``deliveries`` already says of its targets."""

    event: Event
    size: int
    targets: tuple[str, ...]
    stored: tuple[tuple[str, DeliveryState], ...] = ()


@dataclass(frozen=True, slots=True)
class QueuePage:
    """``last`` says that no further queued event lies behind this page."""

    events: list[QueuedEvent]
    last: bool


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A queued delivery read back from the ``deliveries`` table."""

    event: Event
    size: int
    target: str
    attempts: int
    errors: tuple[DeliveryError, ...]


def to_event(row: Sequence[Any]) -> Event:
    """An event from the columns of ``COLUMNS``. A payload that cannot be read is shown as such."""
    try:
        payload = _decode_payload(row[3])
    except (msgspec.DecodeError, TypeError):
        payload = {"unreadable": str(row[3])[:2_000]}
    return Event(
        id=row[0],
        timestamp=row[1],
        event_type=row[2],
        payload=payload,
        status=_STATUSES.get(row[4], Status.PENDING),
        retry_count=row[5] or 0,
        priority=PRIORITIES[row[6]],
        source=row[7],
        key=row[8],
        expires_at=row[9],
        schema_version=row[10],
        correlation_id=row[11],
        causation_id=row[12],
        replay_of=row[13],
        traceparent=row[14],
        depth=row[15],
    )


# --- the queue ------------------------------------------------------------------------------


def queue_state(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """For each priority how many events are queued, and the highest id among them."""
    return [
        connection.execute(
            "SELECT COUNT(*), COALESCE(MAX(id), 0) FROM events INDEXED BY events_queue "
            "WHERE queued IS NOT NULL AND priority = ?",
            (priority.rank,),
        ).fetchone()
        for priority in PRIORITIES
    ]


def next_queued(connection: sqlite3.Connection, rank: int, after: int, limit: int, budget: int) -> QueuePage:
    """The next queued events of a priority after an id: at most ``limit``, and no more than one
    beyond ``budget`` bytes of payload."""
    cursor = connection.execute(
        f"SELECT {COLUMNS}, r.targets FROM events e INDEXED BY events_queue "
        "LEFT JOIN routes r ON r.id = e.route "
        "WHERE e.queued IS NOT NULL AND e.priority = ? AND e.id > ? ORDER BY e.id LIMIT ?",
        (rank, after, limit),
    )
    rows: list[Sequence[Any]] = []
    spent = 0
    for row in cursor:
        rows.append(row)
        spent += len(row[3])
        if spent > budget:
            break
    cursor.close()
    if not rows:
        return QueuePage([], True)
    stored: dict[int, list[tuple[str, DeliveryState]]] = {}
    for event_id, target, state in connection.execute(
        "SELECT event_id, target, state FROM deliveries WHERE event_id BETWEEN ? AND ?",
        (rows[0][0], rows[-1][0]),
    ):
        stored.setdefault(event_id, []).append((target, DeliveryState(state)))
    events = [
        QueuedEvent(
            to_event(row), len(row[3]), _decode_targets(row[_WIDTH] or "[]"), tuple(stored.get(row[0], ()))
        )
        for row in rows
    ]
    return QueuePage(events, len(rows) < limit and spent <= budget)


def next_targets(connection: sqlite3.Connection, rank: int, after: int, limit: int) -> set[str]:
    """The targets of the next ``limit`` queued events of a priority after an id."""
    routes = connection.execute(
        "SELECT DISTINCT r.targets FROM (SELECT route FROM events INDEXED BY events_queue "
        "WHERE queued IS NOT NULL AND priority = ? AND id > ? ORDER BY id LIMIT ?) e "
        "JOIN routes r ON r.id = e.route",
        (rank, after, limit),
    ).fetchall()
    return {target for (targets,) in routes for target in _decode_targets(targets)}


def stored_counts(connection: sqlite3.Connection) -> list[tuple[str, str, int, int]]:
    """(state, target, priority, count) of all deliveries that are not done."""
    return connection.execute(
        "SELECT state, target, priority, COUNT(*) FROM deliveries "
        "WHERE state IN ('queued', 'retrying', 'parked', 'dead') GROUP BY state, target, priority"
    ).fetchall()


def next_stored(
    connection: sqlite3.Connection, target: str, rank: int, limit: int, skip: set[int]
) -> list[StoredDelivery]:
    """The next queued deliveries of a target and priority on disk, the oldest event first, without
    those of the events in ``skip``."""
    rows = connection.execute(
        f"SELECT {COLUMNS}, d.attempts, d.errors FROM deliveries d JOIN events e ON e.id = d.event_id "
        "WHERE d.state = 'queued' AND d.target = ? AND d.priority = ? ORDER BY d.event_id LIMIT ?",
        (target, rank, limit + len(skip)),
    ).fetchall()
    return [
        StoredDelivery(to_event(row), len(row[3]), target, row[_WIDTH], _decode_errors(row[_WIDTH + 1]))
        for row in rows
        if row[0] not in skip
    ][:limit]


# --- history --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a page of history is to hold; ``None`` means anything. Times are epoch seconds.
    ``matches`` looks at the type and the payload as JSON text."""

    pattern: TopicPattern | None = None
    status: Status | None = None
    since: float | None = None
    until: float | None = None
    matches: Any = None


def read_events(
    connection: sqlite3.Connection,
    wanted: EventFilter,
    *,
    newest_first: bool = True,
    after_id: int | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> tuple[list[Event], int | None]:
    """One page of history, and the id to go on from (as ``before_id`` or ``after_id``), which is
    ``None`` at the end. A page may be short, even empty, when few of the rows looked at match."""
    conditions, values = _conditions(wanted)
    if after_id is not None:
        conditions.append("e.id > ?")
        values.append(after_id)
    if before_id is not None:
        conditions.append("e.id < ?")
        values.append(before_id)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    order = "DESC" if newest_first else "ASC"
    cursor = connection.execute(
        f"SELECT {COLUMNS} FROM events e {where} ORDER BY e.id {order} LIMIT ?", (*values, SCAN_LIMIT)
    )
    events: list[Event] = []
    following: int | None = None
    spent = 0
    for scanned, row in enumerate(cursor, 1):
        if _chosen(wanted, row[2], row[3]):
            events.append(to_event(row))
            spent += len(row[3])
        if len(events) == limit or scanned == SCAN_LIMIT or spent > PAGE_BYTES:
            following = row[0]
            break
    cursor.close()
    return events, following


def _conditions(wanted: EventFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    if wanted.pattern is not None:
        exact = str(wanted.pattern)
        if "*" not in exact and "#" not in exact:
            conditions.append("e.event_type = ?")
            values.append(exact)
    if wanted.status is Status.PENDING:
        conditions.append(
            "e.id IN (SELECT id FROM events WHERE queued IS NOT NULL UNION "
            "SELECT event_id FROM deliveries WHERE state IN ('queued', 'retrying', 'parked'))"
        )
    elif wanted.status is not None:
        conditions.append(
            "e.status = ?" if wanted.status is Status.DELIVERED else f"e.status = '{wanted.status.value}'"
        )
        if wanted.status is Status.DELIVERED:
            values.append(wanted.status.value)
    if wanted.since is not None:
        conditions.append("e.timestamp >= ?")
        values.append(to_iso(wanted.since))
    if wanted.until is not None:
        conditions.append("e.timestamp < ?")
        values.append(to_iso(wanted.until))
    return conditions, values


def _chosen(wanted: EventFilter, event_type: str, payload: str) -> bool:
    if wanted.pattern is not None and not wanted.pattern.matches(event_type):
        return False
    return wanted.matches is None or bool(wanted.matches.search(event_type) or wanted.matches.search(payload))


def scan_events(
    connection: sqlite3.Connection,
    *,
    after_id: int,
    last_id: int,
    since: str,
    until: str,
    event_type: str | None = None,
    limit: int = SCAN_LIMIT,
) -> Iterator[Sequence[Any]]:
    """Rows for ``to_event`` with an id over ``after_id`` up to ``last_id`` and a timestamp from
    ``since`` to before ``until``, by their ids: at most ``limit``, so that the scan stays short."""
    typed, values = ("AND e.event_type = ?", (event_type,)) if event_type is not None else ("", ())
    # The plus keeps SQLite from sorting by way of the index on timestamps.
    return connection.execute(
        f"SELECT {COLUMNS} FROM events e WHERE e.id > ? AND e.id <= ? {typed} "
        "AND +e.timestamp >= ? AND +e.timestamp < ? ORDER BY e.id LIMIT ?",
        (after_id, last_id, *values, since, until, limit),
    )


def read_event(
    connection: sqlite3.Connection, event_id: int
) -> tuple[Event, tuple[str, ...], list[Delivery]] | None:
    """An event, the targets it was routed to, and its deliveries that were not simply done."""
    row = connection.execute(
        f"SELECT {COLUMNS}, r.targets FROM events e LEFT JOIN routes r ON r.id = e.route WHERE e.id = ?",
        (event_id,),
    ).fetchone()
    if row is None:
        return None
    deliveries = [
        Delivery(
            event_id=event_id,
            target=target,
            state=DeliveryState(state),
            attempts=attempts,
            next_attempt_at=next_attempt_at,
            errors=_decode_errors(errors),
        )
        for target, state, attempts, next_attempt_at, errors in connection.execute(
            "SELECT target, state, attempts, next_attempt_at, errors FROM deliveries WHERE event_id = ?",
            (event_id,),
        )
    ]
    return to_event(row), _decode_targets(row[_WIDTH] or "[]"), deliveries


def read_recent(
    connection: sqlite3.Connection, limit: int
) -> list[tuple[Event, tuple[str, ...], dict[str, DeliveryState]]]:
    """The newest events, the oldest of them first, with their targets and how each delivery stands."""
    rows = connection.execute(
        f"SELECT {COLUMNS}, r.targets FROM events e LEFT JOIN routes r ON r.id = e.route "
        "ORDER BY e.id DESC LIMIT ?",
        (limit,),
    ).fetchall()
    recent = []
    for row in reversed(rows):
        event = to_event(row)
        simple = SIMPLE_STATES.get(event.status, DeliveryState.DELIVERED)
        owed = () if event.status is Status.SAMPLED else _decode_targets(row[_WIDTH] or "[]")
        states = dict.fromkeys(owed, simple)
        for target, state in connection.execute(
            "SELECT target, state FROM deliveries WHERE event_id = ?", (event.id,)
        ):
            states[target] = DeliveryState(state)
        recent.append((event, tuple(states), states))
    return recent


def read_causes(connection: sqlite3.Connection, event: Event, limit: int = 32) -> list[Event]:
    """What led to an event, the nearest first."""
    causes: list[Event] = []
    while event.causation_id is not None and len(causes) < limit:
        row = connection.execute(
            f"SELECT {COLUMNS} FROM events e WHERE e.id = ?", (event.causation_id,)
        ).fetchone()
        if row is None:
            break
        event = to_event(row)
        causes.append(event)
    return causes


def read_effects(connection: sqlite3.Connection, event_id: int, limit: int = 100) -> list[Event]:
    """What an event caused directly, the oldest first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM events e WHERE e.causation_id = ? ORDER BY e.id LIMIT ?", (event_id, limit)
    ).fetchall()
    return [to_event(row) for row in rows]


def read_depth(connection: sqlite3.Connection, event_id: int) -> int | None:
    """The causation depth of an event, ``None`` if it is not known."""
    row = connection.execute("SELECT depth FROM events WHERE id = ?", (event_id,)).fetchone()
    return None if row is None else int(row[0])


# --- dead letters ---------------------------------------------------------------------------


def read_dead_letters(
    connection: sqlite3.Connection,
    wanted: Letters,
    *,
    after: Place | None = None,
    newest_first: bool = False,
    limit: int = 100,
) -> tuple[list[DeadLetter], bool]:
    """One page of dead letters by event, and whether there are more: the oldest after ``after``, or the
    newest before it."""
    conditions: list[str] = ["d.state = 'dead'"]
    values: list[Any] = []
    for column, value in (
        ("d.target", wanted.target),
        ("d.event_id", wanted.event_id),
        ("d.dead_group", wanted.groups[0] if len(wanted.groups) == 1 else None),
    ):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if after is not None:
        conditions.append(f"(d.event_id, d.target) {'<' if newest_first else '>'} (?, ?)")
        values.extend(after)
    order = "DESC" if newest_first else "ASC"
    by = "deliveries_dead" if len(wanted.groups) != 1 else "deliveries_group"
    cursor = connection.execute(
        f"SELECT {COLUMNS}, d.target, d.attempts, d.errors, d.updated_at FROM deliveries d INDEXED BY {by} "
        f"JOIN events e ON e.id = d.event_id WHERE {' AND '.join(conditions)} "
        f"ORDER BY d.event_id {order}, d.target {order}",
        values,
    )
    letters: list[DeadLetter] = []
    more = False
    for row in cursor:
        if wanted.pattern is not None and not wanted.pattern.matches(row[2]):
            continue
        if len(letters) == limit:
            more = True
            break
        letters.append(_dead_letter(row))
    cursor.close()
    return letters, more


def _dead_letter(row: Sequence[Any]) -> DeadLetter:
    event = to_event(row)
    target, attempts, errors, dead_at = row[_WIDTH:]
    known = _decode_errors(errors)
    return DeadLetter(
        id=event.id,
        event_type=event.event_type,
        target=target,
        attempts=attempts,
        error=known[-1].error if known else "",
        dead_at=dead_at,
        priority=event.priority,
        payload=event.payload,
        errors=[{"at": error.at, "error": error.error} for error in known],
    )
