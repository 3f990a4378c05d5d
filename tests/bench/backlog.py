"""Fills a database with pending events, as a bus that was killed would leave them, or with history.

``python -m tests.bench.backlog DATABASE COUNT [FIRST LAST]``: in a process of its own, so that its
memory is nobody else's. With two times the events are delivered and spread evenly between them.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from event_monitor.bus import schema
from tests.bench.measure import PAYLOAD, ROOT, environ

PENDING_SINCE = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
COUNT = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"


def fill(path: Path, count: int) -> None:
    """Pending events, all from the same moment."""
    _run(path, count)


def fill_history(path: Path, count: int, first: datetime, last: datetime) -> None:
    """Delivered events, spread evenly between two times."""
    _run(path, count, first.timestamp(), last.timestamp())


def _run(path: Path, count: int, *span: float) -> None:
    words = map(str, (path, count, *span))
    subprocess.run([sys.executable, "-m", "tests.bench.backlog", *words], check=True, cwd=ROOT, env=environ())


def _fill(path: Path, count: int, first: float = PENDING_SINCE, last: float = PENDING_SINCE) -> None:
    """Three priorities and twenty types, all for the target ``log``."""
    pending = first == last
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    schema.migrate_to_newest(connection)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    connection.execute("INSERT OR IGNORE INTO routes VALUES (1, '[\"log\"]')")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
        "INSERT INTO events "
        "(id, timestamp, event_type, payload, status, retry_count, priority, queued, route) "
        "SELECT i, strftime('%Y-%m-%dT%H:%M:%f000Z', ?2 + (?3 - ?2) * i / ?1, 'unixepoch'), "
        "'load.t' || (i % 20), ?4, ?5, 0, 1 + i % 3, ?6, 1 FROM n",
        (
            count, first, last, json.dumps(PAYLOAD), "pending" if pending else "delivered",
            1 if pending else None,
        ),
    )  # fmt: skip
    for name in ("accepted",) if pending else ("accepted", "delivered"):
        connection.execute(COUNT, (name, count))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.close()


if __name__ == "__main__":
    _fill(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
