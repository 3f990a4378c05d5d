"""The database file: its schema, its migrations, and what to do with a file that is not ours.

``events`` has the seed's six columns first, by their names and types. ``queued`` is 1 while the
event still waits to be handed over to all of its targets; ``route`` names its list of targets.
``deliveries`` holds only those that are not simply done; a dead one names its group, which is the
others with the same event type, target and kind of error.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from event_monitor.bus.dead_groups import group_of
from event_monitor.errors import StoreTooNew

_SEED_COLUMNS = ("id", "timestamp", "event_type", "payload", "status", "retry_count")

_ADDED_COLUMNS = {
    "priority": "INTEGER NOT NULL DEFAULT 2",
    "queued": "INTEGER",
    "route": "INTEGER",
    "source": "TEXT",
    "key": "TEXT",
    "expires_at": "DATETIME",
    "schema_version": "INTEGER NOT NULL DEFAULT 1",
    "correlation_id": "TEXT",
    "causation_id": "INTEGER",
    "replay_of": "INTEGER",
    "traceparent": "TEXT",
    "depth": "INTEGER NOT NULL DEFAULT 0",
}

_SEED_TABLE = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    timestamp DATETIME,
    event_type VARCHAR(255),
    payload JSON,
    status VARCHAR(50),
    retry_count INTEGER
)"""

_VERSION_1 = (
    "CREATE INDEX IF NOT EXISTS events_event_type ON events(event_type)",
    "CREATE INDEX IF NOT EXISTS events_timestamp ON events(timestamp)",
    "CREATE UNIQUE INDEX events_key ON events(key) WHERE key IS NOT NULL",
    "CREATE INDEX events_queue ON events(priority) WHERE queued IS NOT NULL",
    "CREATE INDEX events_expiry ON events(expires_at) WHERE queued IS NOT NULL AND expires_at IS NOT NULL",
    "CREATE INDEX events_dead ON events(status) WHERE status = 'dead'",
    "CREATE INDEX events_expired ON events(status) WHERE status = 'expired'",
    "CREATE INDEX events_sampled ON events(status) WHERE status = 'sampled'",
    "CREATE INDEX events_causation ON events(causation_id) WHERE causation_id IS NOT NULL",
    "CREATE TABLE routes (id INTEGER PRIMARY KEY, targets JSON NOT NULL UNIQUE)",
    """
    CREATE TABLE deliveries (
        event_id INTEGER NOT NULL,
        target TEXT NOT NULL,
        state TEXT NOT NULL,
        priority INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_attempt_at DATETIME,
        errors JSON NOT NULL DEFAULT '[]',
        updated_at DATETIME NOT NULL,
        PRIMARY KEY (event_id, target)
    ) WITHOUT ROWID""",
    "CREATE INDEX deliveries_due ON deliveries(next_attempt_at) WHERE state = 'retrying'",
    "CREATE INDEX deliveries_queued ON deliveries(target, priority, event_id) WHERE state = 'queued'",
    "CREATE INDEX deliveries_dead ON deliveries(event_id, target) WHERE state = 'dead'",
    "CREATE INDEX deliveries_parked ON deliveries(target, event_id) WHERE state = 'parked'",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE alerts (
        id INTEGER PRIMARY KEY,
        at DATETIME NOT NULL,
        severity TEXT NOT NULL,
        title TEXT NOT NULL,
        detail TEXT NOT NULL,
        event_id INTEGER,
        count INTEGER NOT NULL,
        last_at DATETIME NOT NULL,
        acknowledged INTEGER NOT NULL DEFAULT 0
    )""",
    """
    CREATE TABLE subscriptions (
        name TEXT PRIMARY KEY,
        pattern TEXT NOT NULL,
        handler TEXT NOT NULL,
        filter TEXT,
        created_at DATETIME NOT NULL
    ) WITHOUT ROWID""",
    """
    CREATE TABLE patterns (
        name TEXT PRIMARY KEY,
        pattern JSON NOT NULL,
        seen INTEGER NOT NULL,
        first_event_id INTEGER NOT NULL,
        last_event_id INTEGER NOT NULL,
        updated_at DATETIME NOT NULL
    ) WITHOUT ROWID""",
    """
    CREATE TABLE analytics (
        minute DATETIME NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        count INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        timed INTEGER NOT NULL,
        total_ms REAL NOT NULL,
        max_ms REAL,
        last_at DATETIME NOT NULL,
        PRIMARY KEY (minute, kind, name)
    ) WITHOUT ROWID""",
)


def _to_version_1(connection: sqlite3.Connection) -> None:
    """From nothing, or from the seed's bare table, to version 1."""
    if not _columns(connection, "events"):
        connection.execute(_SEED_TABLE)
    for name, definition in _ADDED_COLUMNS.items():
        connection.execute(f"ALTER TABLE events ADD COLUMN {name} {definition}")
    for statement in _VERSION_1:
        connection.execute(statement)
    counts = connection.execute("SELECT status, COUNT(*) FROM events GROUP BY status").fetchall()
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?)",
        [(str(status), count) for status, count in counts if status != "pending"]
        + [("accepted", sum(count for _, count in counts))],
    )
    connection.execute("UPDATE events SET queued = 1 WHERE status = 'pending'")


def _to_version_2(connection: sqlite3.Connection) -> None:
    """Circuit breakers outlive a restart."""
    connection.execute("CREATE TABLE breakers (name TEXT PRIMARY KEY, saved JSON NOT NULL) WITHOUT ROWID")


def _to_version_3(connection: sqlite3.Connection) -> None:
    """Replays go on after a restart."""
    connection.execute(
        """
        CREATE TABLE replays (
            id INTEGER PRIMARY KEY,
            state TEXT NOT NULL,
            request JSON NOT NULL,
            plan JSON NOT NULL,
            mark TEXT NOT NULL,
            created_at DATETIME NOT NULL,
            speed REAL,
            position INTEGER NOT NULL,
            at DATETIME,
            clock REAL NOT NULL,
            replayed INTEGER NOT NULL DEFAULT 0,
            failed INTEGER NOT NULL DEFAULT 0,
            skipped INTEGER NOT NULL DEFAULT 0,
            note TEXT NOT NULL DEFAULT ''
        )"""
    )


def _to_version_4(connection: sqlite3.Connection) -> None:
    """Dead letters know with which others they belong; retries of many go on after a restart."""
    connection.execute(
        """
        CREATE TABLE dead_groups (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            event_type TEXT NOT NULL,
            target TEXT NOT NULL,
            error TEXT NOT NULL,
            UNIQUE (event_type, target, error)
        )"""
    )
    connection.execute("ALTER TABLE deliveries ADD COLUMN dead_group INTEGER")
    letters = connection.execute(
        "SELECT d.event_id, d.target, COALESCE(e.event_type, ''), d.errors FROM deliveries d "
        "LEFT JOIN events e ON e.id = d.event_id WHERE d.state = 'dead'"
    ).fetchall()
    connection.executemany(
        "UPDATE deliveries SET dead_group = ? WHERE event_id = ? AND target = ?",
        [
            (group_of(connection, event_type, target, errors), event_id, target)
            for event_id, target, event_type, errors in letters
        ],
    )
    connection.execute(
        # With the state in it the index answers a count alone: SQLite would look it up in the table.
        "CREATE INDEX deliveries_group ON deliveries(dead_group, event_id, target, updated_at, state) "
        "WHERE state = 'dead'"
    )
    connection.execute(
        """
        CREATE TABLE retry_runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            state TEXT NOT NULL,
            request JSON NOT NULL,
            rate REAL NOT NULL,
            letters INTEGER NOT NULL,
            retried INTEGER NOT NULL DEFAULT 0,
            delivered INTEGER NOT NULL DEFAULT 0,
            failed INTEGER NOT NULL DEFAULT 0,
            after_id INTEGER NOT NULL DEFAULT 0,
            after_target TEXT NOT NULL DEFAULT '',
            begun_by TEXT NOT NULL DEFAULT '',
            created_at DATETIME NOT NULL,
            ended_at DATETIME
        )"""
    )
    connection.execute(
        """
        CREATE TABLE retry_letters (
            run INTEGER NOT NULL,
            event_id INTEGER NOT NULL,
            target TEXT NOT NULL,
            PRIMARY KEY (run, event_id, target)
        ) WITHOUT ROWID"""
    )


def _to_version_5(connection: sqlite3.Connection) -> None:
    """An alert says which service or target it is about."""
    connection.execute("ALTER TABLE alerts ADD COLUMN about TEXT NOT NULL DEFAULT ''")


def _to_version_6(connection: sqlite3.Connection) -> None:
    """Imported events are known again: ``digest`` is of the line that each came from."""
    connection.execute(
        "CREATE TABLE imports (digest BLOB PRIMARY KEY, event_id INTEGER NOT NULL) WITHOUT ROWID"
    )
    connection.execute("CREATE UNIQUE INDEX imports_event ON imports(event_id)")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _to_version_1,
    _to_version_2,
    _to_version_3,
    _to_version_4,
    _to_version_5,
    _to_version_6,
)
SCHEMA_VERSION = len(MIGRATIONS)


def examine(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ``StoreTooNew`` for a newer file and ``sqlite3.DatabaseError`` for one that is damaged
    or holds something else. Changes nothing."""
    check(connection, path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} has schema version {version}, this program knows {SCHEMA_VERSION}",
            "start the newer event-monitor, or move the file away to begin with an empty history",
        )
    if version == 0:
        _refuse_foreign(connection)


def migrate_to_newest(connection: sqlite3.Connection) -> None:
    """Bring an examined database to ``SCHEMA_VERSION``, each step in its own transaction."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, migrate in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            migrate(connection)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    missing = {*_SEED_COLUMNS, *_ADDED_COLUMNS} - _columns(connection, "events")
    if missing:
        raise sqlite3.DatabaseError(f"table events lacks {', '.join(sorted(missing))}")


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _refuse_foreign(connection: sqlite3.Connection) -> None:
    """Version 0 is ours only if it is empty or holds the seed's table and nothing else."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return
    if tables != {"events"} or _columns(connection, "events") != set(_SEED_COLUMNS):
        raise sqlite3.DatabaseError("another program's database")


def check(connection: sqlite3.Connection, path: Path, deep_below: int = 16 * 1024 * 1024) -> None:
    """Raise ``sqlite3.DatabaseError`` if the file is not a sound database.

    A file below ``deep_below`` bytes is checked whole; of a larger one the parts that a start
    reads anyway, so that a start stays fast. One that a former run found damaged is checked whole
    whatever its size, and its indexes too.
    """
    connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    mark = _suspicion(path)
    if mark.exists():
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict))
        mark.unlink(missing_ok=True)
    elif path.stat().st_size < deep_below:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict))


def suspect(path: Path) -> None:
    """Leave a mark that the next start is to check the whole file; as far as the disk allows."""
    with contextlib.suppress(OSError):
        _suspicion(path).touch(mode=0o600)


def _suspicion(path: Path) -> Path:
    return Path(f"{path}.suspect")


def aside_name(path: Path, why: str) -> Path:
    """A name beside ``path`` that nothing has: ``<name>.<why>-<time>``."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = path.with_name(f"{path.name}.{why}-{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.{why}-{stamp}-{number}")
    return target


def set_aside(path: Path, why: str = "damaged") -> Path:
    """Move a file and its companions to ``<name>.<why>-<time>`` and return that path."""
    target = aside_name(path, why)
    for suffix in ("", "-wal", "-shm"):
        companion = Path(f"{path}{suffix}")
        if companion.exists():
            companion.rename(f"{target}{suffix}")
    _suspicion(path).unlink(missing_ok=True)
    return target
