"""Fills a database with pending events, as a bus that was killed would leave them.

``python -m tests.bench.backlog DATABASE COUNT``: in a process of its own, so that its memory is
nobody else's.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from event_monitor.bus import schema
from tests.bench.measure import PAYLOAD, ROOT, environ


def fill(path: Path, count: int) -> None:
    """Run this module on ``path``."""
    subprocess.run(
        [sys.executable, "-m", "tests.bench.backlog", str(path), str(count)],
        check=True,
        cwd=ROOT,
        env=environ(),
    )


def _fill(path: Path, count: int) -> None:
    """Three priorities and twenty types, all for the target ``log``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    schema.migrate_to_newest(connection)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    connection.execute("INSERT OR IGNORE INTO routes VALUES (1, '[\"log\"]')")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO events "
        "(id, timestamp, event_type, payload, status, retry_count, priority, queued, route) "
        "SELECT i, '2026-11-23T00:00:00.000000Z', 'load.t' || (i % 20), ?, 'pending', 0, 1 + i % 3, 1, 1 "
        "FROM n",
        (count, json.dumps(PAYLOAD)),
    )
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'accepted'", (count,))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.close()


if __name__ == "__main__":
    _fill(Path(sys.argv[1]), int(sys.argv[2]))
