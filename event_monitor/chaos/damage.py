"""Damage to a database that is in use, so that nothing which is still in memory or in the log mends it."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

PAGE = 4_096


def overwrite_every_page(database: Path) -> None:
    """Overwrite the begin of every page while the write-ahead log is empty and nobody can write: whoever
    looks next finds no sound copy. It is for databases that another process has open."""
    # Closing a file drops this process's locks on it: the damage is done through one opened before.
    with (
        database.open("r+b", buffering=0) as file,
        contextlib.closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection,
    ):
        _hold_with_empty_log(connection, database)
        for page in range(database.stat().st_size // PAGE):
            file.seek(page * PAGE)
            file.write(b"\xff" * 16)
        connection.execute("ROLLBACK")


def _hold_with_empty_log(connection: sqlite3.Connection, database: Path) -> None:
    """Begin to write once the whole log is in the database, which another's commit puts off."""
    log = Path(f"{database}-wal")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        if log.stat().st_size == 0:
            return
        connection.execute("ROLLBACK")
    raise TimeoutError(f"{log} is never empty")
