"""SQLite through aiosqlite, with one hop to its thread for a whole unit of work.

A hop costs several times what an insert costs (research: 170 us against 24 us), so work that
belongs together travels together: ``run`` and ``transaction`` pass a function to the connection's
thread by way of a ``sqlite3.Connection`` subclass, which is aiosqlite's documented factory hook.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

import aiosqlite

T = TypeVar("T")

_RUN = "-- run a function on this thread"


class _Connection(sqlite3.Connection):
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        if sql is not _RUN:
            return super().executemany(sql, parameters)
        try:
            for work in parameters:
                work(self)
        except UnicodeDecodeError as error:
            # SQLite's message quotes the damaged schema, and Python cannot read the quotation.
            damage = sqlite3.DatabaseError("the schema is damaged: it is no text any more")
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage from error
        return self.cursor()


def _text(stored: bytes) -> str:
    """What a damaged byte was part of stays readable: it must not keep all else from being read."""
    return stored.decode("utf-8", "replace")


class Database:
    """One connection and its thread. Use ``open``; ``close`` ends the thread and must be reached."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, path: Path, *, read_only: bool = False, busy_timeout: float = 5.0) -> Self:
        """Open ``path``; ``busy_timeout`` is in seconds. A cancelled open leaks nothing.

        Raises ``sqlite3.Error``.
        """
        uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "?mode=rwc")
        errors: list[sqlite3.Error] = []

        def connect() -> sqlite3.Connection:
            try:
                connection = sqlite3.connect(
                    uri, uri=True, isolation_level=None, factory=_Connection, timeout=busy_timeout
                )
                connection.text_factory = _text
                return connection
            except sqlite3.Error as error:
                # aiosqlite would leave its thread behind unawaited: open something, close it in order.
                errors.append(error)
                return sqlite3.connect(":memory:")

        opening = asyncio.ensure_future(_opened(aiosqlite.Connection(connect, 64)))
        try:
            connection = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        if errors:
            await connection.close()
            raise errors[0]
        return cls(connection)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on the connection's thread: one hop, whatever it does there.

        A cancelled caller does not stop the work.
        """
        box: list[T] = []
        await self._connection.executemany(_RUN, [lambda connection: box.append(work(connection))])
        return box[0]

    async def transaction(self, work: Callable[[sqlite3.Connection], T], *, synced: bool = True) -> T:
        """``run`` inside one transaction: all of it is committed, or nothing. One that is not ``synced``
        may be lost in a power cut, as a whole and with none before it."""
        if synced:
            return await self.run(lambda connection: in_transaction(connection, work))
        return await self.run(lambda connection: _unsynced(connection, work))

    async def close(self) -> None:
        """Finish what was queued, close the file and end the thread. Safe to call twice."""
        await self._connection.close()


def in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run ``work`` between BEGIN IMMEDIATE and COMMIT; roll back if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _unsynced(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        return in_transaction(connection, work)
    finally:
        connection.execute(f"PRAGMA synchronous = {level}")


async def _opened(connection: aiosqlite.Connection) -> aiosqlite.Connection:
    return await connection


def _close_late(opening: asyncio.Future[aiosqlite.Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().stop()
