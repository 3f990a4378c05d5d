"""Looks for damage in a database file, and for events whose account does not balance.

Everything is read in short transactions, so that the write-ahead log of a live store stays small; one
page of events and their deliveries is seen in one state.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from event_monitor.bus.store_files import Moved

PAGE = 5_000
MOST = 100

# Each counts as one problem an event. ``{page}`` limits it to one page of ids.
_RULES = {
    "is pending, but nothing is left to deliver": """
        SELECT id FROM events e WHERE {page} AND status = 'pending' AND queued IS NULL AND NOT EXISTS (
        SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND state IN ('queued', 'retrying', 'parked'))""",
    "is queued and has its outcome already": """
        SELECT id FROM events e WHERE {page} AND queued IS NOT NULL AND status != 'pending'""",
    "has its outcome, but a delivery is open": """
        SELECT id FROM events e WHERE {page} AND status != 'pending' AND EXISTS (
        SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND state IN ('queued', 'retrying', 'parked'))""",
    "is dead without a dead delivery": """
        SELECT id FROM events e WHERE {page} AND status = 'dead' AND NOT EXISTS (
        SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND state IN ('dead', 'dropped'))
        AND NOT EXISTS (SELECT 1 FROM imports i WHERE i.event_id = e.id)""",
    "is not dead, but has a dead delivery": """
        SELECT id FROM events e WHERE {page} AND status NOT IN ('dead', 'pending') AND EXISTS (
        SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND state IN ('dead', 'dropped'))""",
    "has a status that is none": """
        SELECT id FROM events e WHERE {page} AND COALESCE(status, '')
        NOT IN ('pending', 'delivered', 'dead', 'expired', 'sampled')""",
    "has a payload that is no JSON": """
        SELECT id FROM events e WHERE {page} AND NOT json_valid(payload)""",
}

# In one statement, which sees one state: what was accepted and has no outcome is what is pending.
_COUNTS = """
SELECT (SELECT COALESCE(SUM(CASE name WHEN 'accepted' THEN value ELSE -value END), 0) FROM counters
WHERE name IN ('accepted', 'delivered', 'dead', 'expired', 'sampled')),
(SELECT COUNT(*) FROM (SELECT id FROM events WHERE queued IS NOT NULL
UNION SELECT event_id FROM deliveries WHERE state IN ('queued', 'retrying', 'parked')))"""


def find_problems(connection: sqlite3.Connection, moved: Moved) -> Iterator[str]:
    """What is wrong, in words, as it is found. ``moved`` hears of pages of events and, before them, one
    for each table. Raises ``sqlite3.OperationalError`` when it is interrupted or the file is locked, and
    what ``moved`` raises."""
    try:
        yield from _problems(connection, moved)
    except (sqlite3.DatabaseError, UnicodeError) as error:
        # Damage so great that it cannot be read on; its text may be none any more.
        if isinstance(error, sqlite3.OperationalError):
            raise
        yield f"table unknown: {error}"


def _problems(connection: sqlite3.Connection, moved: Moved) -> Iterator[str]:
    tables = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
    ]
    (last,) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM events").fetchone()
    (first,) = connection.execute("SELECT COALESCE(MIN(id), 1) FROM events").fetchone()
    pages = range(first, last + 1, PAGE)
    total = len(tables) + len(pages) + 1
    done = 0
    for table in tables:
        moved(done, total)
        for (verdict,) in connection.execute(f"PRAGMA integrity_check({_quoted(table)})").fetchall():
            if verdict != "ok":
                yield f"table {table}: {verdict}"
        done += 1
    for begin in pages:
        moved(done, total)
        yield from _page(connection, begin, begin + PAGE)
        done += 1
    moved(done, total)
    yield from _account(connection)
    moved(total, total)


def _page(connection: sqlite3.Connection, begin: int, end: int) -> Iterator[str]:
    # One transaction, or an event could be settled between two of the statements.
    connection.execute("BEGIN")
    try:
        found = [
            (event_id, text)
            for text, query in _RULES.items()
            for (event_id,) in connection.execute(
                query.format(page=f"id >= {begin} AND id < {end}")
            ).fetchall()
        ]
    finally:
        connection.execute("ROLLBACK")
    for event_id, text in sorted(found):
        yield f"event {event_id} {text}"


def _account(connection: sqlite3.Connection) -> Iterator[str]:
    strays = connection.execute(
        "SELECT event_id, target FROM deliveries d WHERE NOT EXISTS "
        "(SELECT 1 FROM events e WHERE e.id = d.event_id) LIMIT ?",
        (MOST,),
    ).fetchall()
    for event_id, target in strays:
        yield f"a delivery to {target} is of event {event_id}, which is not there"
    owed, pending = connection.execute(_COUNTS).fetchone()
    if owed != pending:
        yield f"the counters leave {owed:,} events pending, the store holds {pending:,}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
