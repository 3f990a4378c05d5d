"""The store: schema, group commit, durability, damage, trouble."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus import schema
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.ledger import runs
from event_monitor.bus.store import EventStore
from event_monitor.errors import StoreTooNew, StoreUnavailable
from tests.bus.helpers import Recorder, open_bus, rows, settings

SEED_COLUMNS = [
    ("id", "INTEGER"),
    ("timestamp", "DATETIME"),
    ("event_type", "VARCHAR(255)"),
    ("payload", "JSON"),
    ("status", "VARCHAR(50)"),
    ("retry_count", "INTEGER"),
]


async def test_table_begins_with_the_seeds_columns_and_is_indexed(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = await EventStore.open(path)
    await store.close()
    columns = [(row[1], row[2]) for row in rows(path, "PRAGMA table_info(events)")]
    assert columns[:6] == SEED_COLUMNS
    indexed = {
        rows(path, f"PRAGMA index_info({name})")[0][2]
        for (_, name, *_) in rows(path, "PRAGMA index_list(events)")
    }
    assert {"event_type", "timestamp"} <= indexed
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
async def test_durability_sets_the_sync_level(tmp_path: Path, durability: str, level: int) -> None:
    store = await EventStore.open(tmp_path / "events.db", durability)
    found = await store.write(lambda ledger: ledger.connection.execute("PRAGMA synchronous").fetchone())
    await store.close()
    assert found == (level,)


async def test_publishers_of_the_same_moment_share_a_commit(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        transactions = 0
        original = bus.store._writer.transaction

        async def counting(work: Any) -> Any:
            nonlocal transactions
            transactions += 1
            return await original(work)

        bus.store._writer.transaction = counting  # type: ignore[method-assign]
        receipts = await asyncio.gather(*(bus.publish("a.b", {"n": n}) for n in range(200)))
        assert transactions <= 3
    assert [receipt.id for receipt in receipts] == sorted(receipt.id for receipt in receipts)
    assert rows(tmp_path / "events.db", "SELECT COUNT(*) FROM events") == [(200,)]


async def test_a_cancelled_publisher_harms_no_other(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        tasks = [asyncio.create_task(bus.publish("a.b", {"n": n})) for n in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[3], asyncio.CancelledError)
    assert sum(not isinstance(result, BaseException) for result in results) == 9


async def test_the_seeds_bare_table_is_migrated_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE events (id INTEGER PRIMARY KEY, timestamp DATETIME, event_type VARCHAR(255), "
        "payload JSON, status VARCHAR(50), retry_count INTEGER)"
    )
    connection.execute(
        "INSERT INTO events VALUES "
        """(7, '2026-01-01T00:00:00.000000Z', 'old.event', '{"a":1}', 'pending', 0)"""
    )
    connection.execute(
        """INSERT INTO events VALUES (8, '2026-01-01T00:00:01.000000Z', 'old.done', '{}', 'delivered', 1)"""
    )
    connection.commit()
    connection.close()
    async with open_bus(path) as bus:
        receipt = await bus.publish("new.event", {})
        await bus.settled()
        assert receipt.id == 9
        assert bus.store.counters["accepted"] == 3
        assert bus.pending == 0
    assert rows(path, "SELECT id, status FROM events ORDER BY id") == [
        (7, "delivered"),
        (8, "delivered"),
        (9, "delivered"),
    ]


async def test_a_file_of_the_version_before_is_migrated_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for migrate in schema.MIGRATIONS[:2]:
        migrate(connection)
    connection.execute("PRAGMA user_version = 2")
    connection.execute("INSERT INTO breakers VALUES ('kept', '{}')")
    connection.execute("INSERT INTO alerts VALUES (1, 'then', 'warning', 'disk', 'full', 7, 2, 'now', 0)")
    connection.close()
    async with open_bus(path) as bus:
        await bus.publish("a.b", {})
        await bus.settled()
    assert rows(path, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]
    assert rows(path, "SELECT name FROM breakers") == [("kept",)]
    assert rows(path, "SELECT COUNT(*) FROM replays") == [(0,)]
    assert rows(path, "SELECT title, count, about FROM alerts") == [("disk", 2, "")]


async def test_a_newer_file_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE future (x)")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="version 99"):
        await EventStore.open(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["events.db"]


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 400)


def _truncated(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, payload TEXT)")
    connection.executemany("INSERT INTO events (payload) VALUES (?)", [("x" * 500,)] * 200)
    connection.commit()
    connection.close()
    path.write_bytes(path.read_bytes()[:20_000])


def _foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()


@pytest.mark.parametrize("spoil", [_garbage, _truncated, _foreign])
async def test_a_damaged_or_foreign_file_is_set_aside(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "events.db"
    spoil(path)
    before = path.read_bytes()
    async with open_bus(path) as bus:
        assert bus.store.set_aside is not None
        assert bus.store.set_aside.read_bytes() == before
        assert (await bus.publish("a.b", {})).status == "accepted"


async def test_an_empty_file_is_a_fresh_store(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.touch()
    async with open_bus(path) as bus:
        assert bus.store.set_aside is None


async def test_a_full_disk_refuses_publishers_and_recovers_by_itself(tmp_path: Path) -> None:
    recorder = Recorder()
    async with open_bus(tmp_path / "events.db", lambda bus: bus.subscribe("a.#", recorder, name="r")) as bus:
        troubles: list[bool] = []
        bus.store.on_trouble = lambda error: troubles.append(error is not None)
        first = await bus.publish("a.b", {})
        await bus.settled()
        pages = await bus.store.write(
            lambda ledger: ledger.connection.execute("PRAGMA page_count").fetchone()[0]
        )
        await bus.store._writer.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        with pytest.raises(StoreUnavailable, match="full"):
            for _ in range(100):
                await bus.publish("a.b", {"text": "x" * 100_000})
        assert troubles == [True]
        await bus.store._writer.run(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
        last = await bus.publish("a.b", {"text": "x" * 100_000})
        await bus.settled()
        assert troubles == [True, False]
        assert bus.pending == 0
    assert recorder.ids[0] == first.id
    assert recorder.ids[-1] == last.id


async def test_a_change_that_can_never_succeed_stops_nothing_else(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        bus.store.change(lambda ledger: ledger.connection.execute("INSERT INTO no_such_table VALUES (1)"))
        bus.store.change(lambda ledger: 1 / 0)
        receipts = await asyncio.gather(*(bus.publish("a.b", {}) for _ in range(3)))
        assert [receipt.status for receipt in receipts] == ["accepted"] * 3


async def test_ids_rise_over_restarts_and_are_never_used_twice(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    seen: list[int] = []
    for _ in range(3):
        async with open_bus(path) as bus:
            seen += [(await bus.publish("a.b", {})).id for _ in range(5)]
    assert seen == sorted(set(seen))


async def test_closing_leaves_no_thread_and_no_log_behind(tmp_path: Path) -> None:
    import threading

    before = set(threading.enumerate())
    async with open_bus(tmp_path / "events.db") as bus:
        await bus.publish("a.b", {})
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=1)
    assert set(threading.enumerate()) - before == set()
    assert not (tmp_path / "events.db-wal").exists() or (tmp_path / "events.db-wal").stat().st_size == 0


async def test_the_write_ahead_log_stays_small_under_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("event_monitor.bus.checkpoints.TRUNCATE_ABOVE", 2_000_000)
    async with open_bus(tmp_path / "events.db", settings=settings()) as bus:
        largest = 0
        for _ in range(40):
            await asyncio.gather(*(bus.publish("a.b", {"text": "x" * 1_000}) for _ in range(200)))
            largest = max(largest, bus.store.sizes()[1])
            await asyncio.sleep(0.02)
    assert largest < 8_000_000


def test_runs_of_numbers() -> None:
    assert list(runs([])) == []
    assert list(runs([5])) == [(5, 5)]
    assert list(runs([3, 1, 2, 7, 9, 8])) == [(1, 3), (7, 9)]


async def test_open_in_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot open"):
        await EventBus.open(tmp_path / "missing" / "events.db")
