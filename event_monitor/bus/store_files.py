"""Opening database files for a look, beside a running bus or without one. Runs on a thread."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from event_monitor.bus import schema
from event_monitor.errors import Conflict, NotFound, StoreTooNew, StoreUnavailable

Moved = Callable[[int, int], None]
"""Hears how much is done of how much; raises ``Stopped`` to end the work."""

_BUSY_SECONDS = 5.0


class Stopped(Exception):
    """The work was cancelled."""


@contextlib.contextmanager
def looking_at(path: Path, *, any_version: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing. Raises ``NotFound``, ``Conflict`` for a file of an older
    version unless ``any_version``, ``StoreTooNew``, ``StoreUnavailable``."""
    if not path.is_file():
        raise NotFound(
            f"there is no database {path}", "name another file, or start event-monitor to make one"
        )
    try:
        with contextlib.closing(connect(path)) as connection:
            connection.execute("PRAGMA query_only = 1")
            # Of a damaged file what can be read is shown.
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
            if not any_version:
                _check_version(connection, path)
            yield connection
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be read: {error}", "see event-cli store check") from error


def connect(path: Path) -> sqlite3.Connection:
    """A plain connection to a file that exists. Raises ``sqlite3.Error``."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False
    )


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > schema.SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} has schema version {version}, this program knows {schema.SCHEMA_VERSION}",
            "use the newer event-monitor",
        )
    if version < schema.SCHEMA_VERSION:
        raise Conflict(
            f"{path} has schema version {version}, this program has {schema.SCHEMA_VERSION}",
            "start event-monitor once: it brings the store up to date",
        )


def sync_directory(path: Path) -> None:
    """Have a rename in a directory reach the disk."""
    place = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(place)
    finally:
        os.close(place)
