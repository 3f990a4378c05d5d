"""What SQLite's errors mean for the store."""

from __future__ import annotations

import sqlite3

from event_monitor.errors import StoreUnavailable


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Damage and foreign content, as against a lock, a full disk or missing rights."""
    return not isinstance(error, sqlite3.OperationalError)


def is_corruption(error: Exception) -> bool:
    """SQLite has found the content of the file wrong, at whatever it was doing."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


_ENVIRONMENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)


def is_environment(error: Exception) -> bool:
    """Whether the disk or the file is at fault, not the statement."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, OSError) or (code is not None and code & 0xFF in _ENVIRONMENT)


def unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"the event store cannot be used: {error}",
        "nothing was accepted; check disk space and rights, then try again",
    )
