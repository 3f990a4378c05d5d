"""The durable side of the bus: group commit on one writer connection, checkpoints on another.

Whoever calls ``append`` within the time of one commit shares it: one hop, one transaction, one
fsync. Each publisher has a future of its own, so a cancelled one harms no other. Settlements and
other changes are not waited for: they ride in the next transaction, at the latest after
``SETTLE_DELAY`` seconds, and are kept and tried again when the disk refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from event_monitor.bus import schema
from event_monitor.bus.checkpoints import Checkpoints
from event_monitor.bus.database import Database
from event_monitor.bus.inflight import InFlight
from event_monitor.bus.ledger import EventRow, Ledger
from event_monitor.bus.sqlite_errors import is_corruption, is_damage, is_environment, unavailable
from event_monitor.errors import EventMonitorError, StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

Change = Callable[[Ledger], object]
Condition = Callable[[Ledger], EventMonitorError | None]
"""Answers why an event is not to be written after all; else may change what is to change with it."""

MAX_BATCH = 1_000
SETTLE_DELAY = 0.02
RETRY_DELAY = 1.0
# How long work that can wait waits for a moment in which nobody else wants to write.
ASIDE_PATIENCE = 0.25

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA cache_size = -8000",
    "PRAGMA journal_size_limit = 67108864",
)


class EventStore:
    """One home's database. ``on_commit`` hears of the accepted events in the order of their ids,
    ``on_answered`` how many of those that were appended are now accepted or refused;
    ``on_concluded`` of those that were simply delivered and of the new status of others;
    ``on_trouble`` hears the error when writing begins to fail and ``None`` when it works again,
    ``on_damage`` once that the file turned out to be damaged: it is examined at the next ``open``."""

    def __init__(self, path: Path, writer: Database, reader: Database, checkpointer: Database) -> None:
        self.path = path
        self.on_commit: Callable[[list[InFlight]], None] = lambda records: None
        self.on_answered: Callable[[int], None] = lambda count: None
        self.on_trouble: Callable[[Exception | None], None] = lambda error: None
        self.on_damage: Callable[[Exception], None] = lambda error: None
        self.on_concluded: Callable[[Sequence[int], dict[int, str]], None] = lambda delivered, others: None
        self.set_aside: Path | None = None
        self.counters: Counter[str] = Counter()
        self._writer = writer
        self._reader = reader
        self._checkpointer = checkpointer
        self._next_id = 1
        self._appends: deque[_Append] = deque()
        self._delivered: list[int] = []
        self._changes: deque[Change] = deque()
        self._first: deque[Change] = deque()
        self._wake = asyncio.Event()
        self._settle_timer: asyncio.TimerHandle | None = None
        self._trouble: Exception | None = None
        self._damaged = False
        self._aside: deque[tuple[float, _Waited]] = deque()
        self._checkpoints = Checkpoints(checkpointer, path)
        self._checkpoints.on_error = self._look_for_damage
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, path: Path, durability: str = "full", database: type[Database] = Database) -> Self:
        """Open with connections of the class ``database``, check, migrate, and start committing.

        A damaged or foreign file is set aside (``set_aside`` names it) and a fresh one begun.
        Raises ``StoreTooNew``, and ``StoreUnavailable`` when no file can be made at all.
        """
        aside: Path | None = None
        try:
            try:
                writer, newest, counters = await _open_writer(path, durability, database)
            except sqlite3.DatabaseError as error:
                if not (is_damage(error) or is_corruption(error) or path.is_dir()):
                    raise
                logger.error("%s is damaged or not ours (%s): set aside", path, error)
                aside = schema.set_aside(path)
                writer, newest, counters = await _open_writer(path, durability, database)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(
                f"cannot open {path}: {error}", "check that the directory is writable and the disk has room"
            ) from error
        reader = checkpointer = None
        try:
            reader = await database.open(path)
            await reader.run(lambda connection: connection.execute("PRAGMA query_only = 1") and None)
            checkpointer = await database.open(path, busy_timeout=0.05)
            store = cls(path, writer, reader, checkpointer)
        except BaseException:
            for connection in (checkpointer, reader, writer):
                if connection is not None:
                    await connection.close()
            raise
        store.set_aside = aside
        store.counters.update(counters)
        store._next_id = newest + 1
        store._tasks = [
            asyncio.create_task(store._commit_forever(), name="store-commit"),
            asyncio.create_task(store._checkpoints.run(), name="store-checkpoint"),
        ]
        return store

    # --- writing ----------------------------------------------------------------------------

    def next_id(self) -> int:
        """Reserve the id of the next event. Ids of refused events are not used again."""
        event_id = self._next_id
        self._next_id += 1
        return event_id

    def append(
        self, row: EventRow, record: InFlight, condition: Condition | None = None
    ) -> asyncio.Future[int]:
        """Write one event with the next commit, unless ``condition`` refuses within it: then the future
        raises that refusal.

        The future answers the id under which the event is known, which is an earlier event's if
        the idempotency key was seen before, or raises ``StoreUnavailable``. Cancelling it does not
        take the event back.
        """
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._appends.append(_Append(row, record, future, condition))
        self._wake.set()
        return future

    def delivered(self, event_id: int) -> None:
        """Every delivery of the event is done at its first attempt. Not waited for."""
        self._delivered.append(event_id)
        self._soon()

    def change(self, change: Change) -> None:
        """Apply ``change`` in the next transaction. Not waited for; kept while the disk refuses."""
        self._changes.append(change)
        self._soon()

    def prepare(self, change: Change) -> None:
        """Apply ``change`` ahead of the events that are appended after it."""
        self._first.append(change)

    async def write(self, work: Callable[[Ledger], T]) -> T:
        """Apply ``work`` with the next transaction and answer its result.

        Raises ``StoreUnavailable`` when that transaction fails; it is not tried again.
        """
        waited, future = _waited(work)
        self._changes.append(waited)
        self._wake.set()
        return await future

    async def write_aside(self, work: Callable[[Ledger], T]) -> T:
        """``write`` for what can wait and could be done again: in a transaction of its own that is not
        synced, at a moment in which nobody else wants to write, as far as there is one. A publisher may
        have to wait for it: it must be short.

        Raises ``StoreUnavailable`` when that transaction fails; it is not tried again.
        """
        waited, future = _waited(work)
        self._aside.append((asyncio.get_running_loop().time(), waited))
        self._wake.set()
        return await future

    async def flush(self) -> None:
        """Return when all that was handed in before is on disk. Raises ``StoreUnavailable``."""
        await self.write(lambda ledger: None)

    async def catch_up(self) -> None:
        """Let a read see what was handed in before it; while the disk refuses, what is there."""
        with contextlib.suppress(StoreUnavailable):
            await self.flush()

    def _soon(self) -> None:
        if self._settle_timer is None and not self._wake.is_set():
            self._settle_timer = asyncio.get_running_loop().call_later(SETTLE_DELAY, self._settle_now)

    def _settle_now(self) -> None:
        self._settle_timer = None
        self._wake.set()

    async def _commit_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._settle_timer is not None:
                self._settle_timer.cancel()
                self._settle_timer = None
            while (wanted := self._appends or self._delivered or self._changes) or self._aside:
                if self._aside and (not wanted or self._aside_is_late()):
                    await self._commit_aside()
                elif not await self._commit() and not self._appends:
                    asyncio.get_running_loop().call_later(RETRY_DELAY, self._wake.set)
                    break

    def _aside_is_late(self) -> bool:
        return asyncio.get_running_loop().time() - self._aside[0][0] > ASIDE_PATIENCE

    async def _commit_aside(self) -> None:
        """One transaction for work that can wait."""
        _, waited = self._aside.popleft()

        def work(connection: sqlite3.Connection) -> Ledger:
            ledger = Ledger(connection)
            waited(ledger)
            ledger.close()
            return ledger

        try:
            ledger = await self._writer.transaction(work, synced=False)
        except Exception as error:  # noqa: BLE001 - whatever failed, its author must hear of it
            self._look_for_damage(error)
            waited.committed(error)
            return
        self.counters.update(ledger.counts)
        self._checkpoints.dirty.set()
        waited.committed(None)
        self.on_concluded((), ledger.concluded)

    async def _commit(self) -> bool:
        """One transaction over what has gathered. Answers whether to go on at once."""
        taken = min(len(self._appends), MAX_BATCH)
        appends = [self._appends.popleft() for _ in range(taken)]
        delivered, self._delivered = self._delivered, []
        changes, self._changes = self._changes, deque()
        first = list(self._first)

        def work(
            connection: sqlite3.Connection,
        ) -> tuple[list[tuple[_Append, int | EventMonitorError]], Ledger]:
            ledger = Ledger(connection)
            for change in first:
                change(ledger)
            answered = _insert(ledger, appends)
            ledger.delivered(delivered)
            for change in changes:
                change(ledger)
            ledger.close()
            return answered, ledger

        try:
            answered, ledger = await self._writer.transaction(work)
        except Exception as error:  # noqa: BLE001 - whatever failed, publishers must hear of it
            sound = changes if is_environment(error) else await self._without_poison(changes)
            if len(sound) < len(changes):
                self._appends.extendleft(reversed(appends))
                self._delivered = delivered + self._delivered
                self._changes.extendleft(reversed(sound))
            else:
                self._failed(error, appends, delivered, changes)
            return len(sound) < len(changes)
        for _ in first:
            self._first.popleft()
        self.counters.update(ledger.counts)
        self._checkpoints.dirty.set()
        if self._trouble is not None:
            self._trouble = None
            self.on_trouble(None)
        self.on_commit([append.record for append, answer in answered if append.row[0] == answer])
        self.on_answered(len(appends))
        for append, answer in answered:
            if append.future.done():
                continue
            if isinstance(answer, int):
                append.future.set_result(answer)
            else:
                append.future.set_exception(answer)
        for change in changes:
            if isinstance(change, _Waited):
                change.committed(None)
        self.on_concluded(delivered, ledger.concluded)
        return True

    async def _without_poison(self, changes: deque[Change]) -> deque[Change]:
        """Try each change alone, inside a transaction that is rolled back, and leave out those
        that can never succeed, so that one mistake does not stop the store for ever."""
        sound: deque[Change] = deque()
        for change in changes:

            def attempt(connection: sqlite3.Connection, change: Change = change) -> None:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    change(Ledger(connection))
                finally:
                    connection.execute("ROLLBACK")

            try:
                await self._writer.run(attempt)
            except Exception as error:
                if is_environment(error):
                    sound.append(change)
                    continue
                logger.error("a change to the store was given up", exc_info=error)
                if isinstance(change, _Waited):
                    change.committed(error)
            else:
                sound.append(change)
        return sound

    def _failed(
        self,
        error: Exception,
        appends: Sequence[_Append],
        delivered: list[int],
        changes: deque[Change],
    ) -> None:
        """Refuse what a caller waits for; keep the rest for the next transaction."""
        self.on_answered(len(appends))
        for append in appends:
            if not append.future.done():
                append.future.set_exception(unavailable(error))
        self._delivered = delivered + self._delivered
        kept: deque[Change] = deque()
        for change in changes:
            if isinstance(change, _Waited):
                change.committed(error)
            else:
                kept.append(change)
        self._changes.extendleft(reversed(kept))
        if self._trouble is None:
            logger.error("the store cannot be written: %s", error)
            self._trouble = error
            self.on_trouble(error)
        self._look_for_damage(error)

    def _look_for_damage(self, error: Exception) -> None:
        """Report a file that SQLite calls damaged, once, and have the next ``open`` examine all of it."""
        if self._damaged or not is_corruption(error):
            return
        self._damaged = True
        logger.error("%s is damaged: %s", self.path, error)
        schema.suspect(self.path)
        self.on_damage(error)

    @property
    def trouble(self) -> Exception | None:
        """The error of the last transaction, ``None`` while writing works."""
        return self._trouble

    # --- reading ----------------------------------------------------------------------------

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a short read on the reader's connection. Raises ``StoreUnavailable``."""
        try:
            return await self._reader.run(work)
        except sqlite3.Error as error:
            self._look_for_damage(error)
            raise unavailable(error) from error

    @property
    def pinned(self) -> bool:
        """A reader of an older state keeps the write-ahead log from being folded into the database."""
        return self._checkpoints.pinned

    def sizes(self) -> tuple[int, int]:
        """Bytes of the database and of its write-ahead log."""
        return _size(self.path), _size(Path(f"{self.path}-wal"))

    # --- checkpoints and the end ------------------------------------------------------------

    async def fold(self) -> None:
        """Fold the write-ahead log into the database and empty it, if no reader is at it."""
        with contextlib.suppress(sqlite3.Error):
            await self._checkpointer.run(
                lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            )

    async def close(self) -> None:
        """Write what is left, fold the log into the database, end all threads."""
        with contextlib.suppress(StoreUnavailable):
            await self.flush()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._checkpointer.close()
        await self._reader.close()
        with contextlib.suppress(sqlite3.Error):
            await self._writer.run(_fold_all)
        await self._writer.close()


class _Append(NamedTuple):
    row: EventRow
    record: InFlight
    future: asyncio.Future[int]
    condition: Condition | None


def _insert(ledger: Ledger, appends: Sequence[_Append]) -> list[tuple[_Append, int | EventMonitorError]]:
    """Insert what no condition refuses; answer for each its id, or the refusal."""
    refused: dict[int, EventMonitorError] = {}
    for place, append in enumerate(appends):
        if append.condition is not None and (why := append.condition(ledger)) is not None:
            refused[place] = why
    ids = iter(ledger.insert([append.row for place, append in enumerate(appends) if place not in refused]))
    return [(append, refused.get(place) or next(ids)) for place, append in enumerate(appends)]


class _Waited:
    """A change whose author waits for its commit."""

    def __init__(self, apply: Change, committed: Callable[[Exception | None], None]) -> None:
        self.apply = apply
        self.committed = committed

    def __call__(self, ledger: Ledger) -> None:
        self.apply(ledger)


def _waited(work: Callable[[Ledger], T]) -> tuple[_Waited, asyncio.Future[T]]:
    """A change, and the future of its result."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    box: list[T] = []

    def apply(ledger: Ledger) -> None:
        box.append(work(ledger))

    def committed(error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(box[-1])
        else:
            future.set_exception(unavailable(error))

    return _Waited(apply, committed), future


async def _open_writer(
    path: Path, durability: str, kind: type[Database]
) -> tuple[Database, int, dict[str, int]]:
    """The writer's connection to an examined file, with its highest id and its counters."""
    database = await kind.open(path)

    def setup(connection: sqlite3.Connection) -> tuple[int, dict[str, int]]:
        schema.examine(connection, path)
        if not connection.execute("PRAGMA page_count").fetchone()[0]:
            # Only possible while the file is empty; an older one is converted by compacting all of it.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchone()
        connection.execute(f"PRAGMA synchronous = {durability.upper()}")
        schema.migrate_to_newest(connection)
        (newest,) = connection.execute("SELECT MAX(id) FROM events").fetchone()
        counters = dict(connection.execute("SELECT name, value FROM counters").fetchall())
        return max(newest or 0, counters.pop("highest_id", 0)), counters

    try:
        os.chmod(path, 0o600)
        newest, counters = await database.run(setup)
    except BaseException:
        await database.close()
        raise
    return database, newest, counters


def _fold_all(connection: sqlite3.Connection) -> None:
    # A foreign reader must not hold up the end for long: the next start folds what is left.
    connection.execute("PRAGMA busy_timeout = 500")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
