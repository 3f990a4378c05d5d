"""A database that is damaged while the store has it open: whichever connection meets it tells, once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from event_monitor.bus.history import EventFilter, read_events
from event_monitor.bus.store import EventStore
from event_monitor.errors import StoreUnavailable
from tests.bus.helpers import rows


class Watched:
    """An open store on ``path`` and what it told of damage."""

    def __init__(self, store: EventStore, path: Path) -> None:
        self.store = store
        self.path = path
        self.told: list[Exception] = []
        self.tell = asyncio.Event()
        store.on_damage = self._hear

    def _hear(self, error: Exception) -> None:
        self.told.append(error)
        self.tell.set()

    async def hears(self) -> None:
        async with asyncio.timeout(20):
            await self.tell.wait()

    @property
    def suspected(self) -> bool:
        """Whether the next start is to examine the whole file."""
        return Path(f"{self.path}.suspect").exists()


@asynccontextmanager
async def watched(path: Path) -> AsyncIterator[Watched]:
    """A store on a sound file whose log is empty: what it reads, it reads from the file."""
    await (await EventStore.open(path)).close()
    store = await EventStore.open(path)
    try:
        yield Watched(store, path)
    finally:
        await store.close()


def spoil(path: Path, page: int = 1) -> None:
    """Overwrite the begin of a page, past everybody who has the file open."""
    with path.open("r+b") as file:
        file.seek((page - 1) * 4_096)
        file.write(b"\xff" * 16)


def insert(connection: sqlite3.Connection, number: int = 1, size: int = 0) -> None:
    connection.execute(
        "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count) "
        "VALUES (?, '2026-11-23T00:00:00.000000Z', 'a.b', ?, 'delivered', 0)",
        (number, "{" + " " * size + "}"),
    )


async def test_the_reader_tells_of_damage(tmp_path: Path) -> None:
    async with watched(tmp_path / "events.db") as seen:
        spoil(seen.path)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await seen.store.read(
                    lambda connection: connection.execute("SELECT * FROM events").fetchall()
                )
        assert len(seen.told) == 1
        assert seen.suspected


async def test_the_writer_tells_of_damage(tmp_path: Path) -> None:
    async with watched(tmp_path / "events.db") as seen:
        # It reads the header again, as it does whenever it needs room or another process has written.
        await seen.store._writer.run(lambda connection: connection.execute("PRAGMA shrink_memory") and None)
        spoil(seen.path)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await seen.store.write(lambda ledger: insert(ledger.connection))
        assert len(seen.told) == 1
        assert seen.suspected


async def test_the_checkpointer_tells_of_damage(tmp_path: Path) -> None:
    async with watched(tmp_path / "events.db") as seen:
        spoil(seen.path)
        # The writer has the header in memory: what it writes is fine to it.
        await seen.store.write(lambda ledger: insert(ledger.connection))
        await seen.hears()
        assert seen.store.trouble is None
        assert seen.suspected


async def test_damage_that_only_the_first_reads_meet_is_set_aside_at_the_start(tmp_path: Path) -> None:
    """In a file so large that a start does not check all of it."""
    path = tmp_path / "events.db"
    async with watched(path) as seen:
        await seen.store.write(lambda ledger: [insert(ledger.connection, n, 1 << 20) for n in range(1, 18)])
    [(page,)] = rows(path, "SELECT rootpage FROM sqlite_master WHERE name = 'counters'")
    spoil(path, page)
    spoilt = path.read_bytes()
    store = await EventStore.open(path)
    assert store.set_aside is not None
    assert store.set_aside.read_bytes() == spoilt
    await store.flush()
    await store.close()


async def test_a_damaged_byte_in_a_text_keeps_nothing_from_being_read_or_delivered(tmp_path: Path) -> None:
    """SQLite does not look into texts: no check of the file finds it."""
    path = tmp_path / "events.db"
    async with watched(path) as seen:
        for number in (1, 2, 3):
            await seen.store.write(lambda ledger, number=number: insert(ledger.connection, number))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE events SET payload = CAST(x'7b2274223a2261ff62227d' AS TEXT) WHERE id = 2")
        connection.execute("UPDATE events SET source = CAST(x'ff' AS TEXT) WHERE id = 3")
        connection.commit()
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    async with watched(path) as seen:
        events, _ = await seen.store.read(lambda connection: read_events(connection, EventFilter()))
        assert [(event.id, event.payload) for event in events] == [(3, {}), (2, {"t": "a\ufffdb"}), (1, {})]
        assert await seen.store.write(lambda ledger: read_events(ledger.connection, EventFilter()))


async def test_a_schema_that_cannot_even_be_quoted_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await (await EventStore.open(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = 1")
        connection.execute(
            "UPDATE sqlite_master SET name = CAST(x'ff' AS TEXT), sql = 'create' WHERE name = 'counters'"
        )
        connection.commit()
    store = await EventStore.open(path)
    assert store.set_aside is not None
    await store.flush()
    await store.close()
