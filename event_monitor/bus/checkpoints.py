"""Folds the write-ahead log into the database, on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from event_monitor.bus.database import Database

logger = logging.getLogger(__name__)

INTERVAL = 0.1
# While the log is too large: a moment without a reader is short.
HURRY = 0.02
TRUNCATE_ABOVE = 64 * 1024 * 1024
# After a reader that made the log grow.
TRUNCATE_AFTER = 8 * 1024 * 1024


class Checkpoints:
    """``dirty`` is set when something was written. ``pinned`` says that the last checkpoint could not
    fold all of the log, because a reader of an older state is at it; ``on_error`` hears why one failed."""

    def __init__(self, database: Database, path: Path) -> None:
        self.dirty = asyncio.Event()
        self.pinned = False
        self.on_error: Callable[[Exception], None] = lambda error: None
        self._database = database
        self._wal = Path(f"{path}-wal")

    async def run(self) -> None:
        """Make checkpoints for as long as something is written."""
        while True:
            await self.dirty.wait()
            self.dirty.clear()
            try:
                self.pinned = await self._database.run(self._checkpoint)
            except (sqlite3.Error, OSError) as error:
                logger.warning("checkpoint failed: %s", error)
                self.on_error(error)
            if self.pinned:
                self.dirty.set()
            large = self.pinned and _size(self._wal) > TRUNCATE_ABOVE
            await asyncio.sleep(HURRY if large else INTERVAL)

    def _checkpoint(self, connection: sqlite3.Connection) -> bool:
        """Fold what can be folded; answers whether a reader keeps some of it."""
        _, pages, folded = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if folded < pages:
            # TRUNCATE would hold up the writer while it waits for that reader, to no avail.
            return True
        if _size(self._wal) > (TRUNCATE_AFTER if self.pinned else TRUNCATE_ABOVE):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
