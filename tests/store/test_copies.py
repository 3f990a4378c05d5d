"""Backups, restoring and writing anew: whole or not at all, whatever stands in the way."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus import schema, store_copy
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.store_copy import back_up, restore, rewrite
from event_monitor.bus.store_files import Stopped
from event_monitor.errors import (
    Conflict,
    EventMonitorError,
    InvalidRequest,
    NotFound,
    StoreTooNew,
    StoreUnavailable,
)
from tests.bus.helpers import open_bus, rows
from tests.store.test_check import change, filled, problems


def still(done: int, total: int) -> None:
    return


async def accept(batch: Any) -> None:
    assert batch


def logged(bus: EventBus) -> None:
    bus.add_target("log", accept, batch_size=256)


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


async def test_a_backup_of_a_store_that_is_being_written_is_one_moment_of_it(tmp_path: Path) -> None:
    source, (place) = tmp_path / "events.db", tmp_path / "backups"
    place.mkdir()
    async with open_bus(source, logged) as bus:
        writing = True

        async def publish() -> None:
            while writing:
                await asyncio.gather(*(bus.publish("a.b", {"text": "x" * 2_000}) for _ in range(20)))

        publishing = asyncio.create_task(publish())
        await bus.publish("a.first")
        for number in range(5):
            target = place / f"{number}.db"
            copied = await asyncio.to_thread(back_up, source, target, still)
            assert problems(target) == []
            data = target.read_bytes()
            assert (copied.size, copied.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            assert stat.S_IMODE(target.stat().st_mode) == 0o600
        writing = False
        await publishing
    assert names(place) == [f"{number}.db" for number in range(5)]


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        ("taken.db", Conflict, "exists already"),
        ("", InvalidRequest, "is a directory"),
        ("missing/new.db", StoreUnavailable, "cannot be written: No such file"),
        ("events.db", Conflict, "exists already"),
    ],
)
async def test_a_backup_replaces_nothing(
    tmp_path: Path, target: str, error: type[EventMonitorError], text: str
) -> None:
    await filled(tmp_path / "events.db")
    (tmp_path / "taken.db").write_text("mine")
    before = names(tmp_path)
    with pytest.raises(error, match=text):
        back_up(tmp_path / "events.db", tmp_path / target, still)
    assert (names(tmp_path), (tmp_path / "taken.db").read_text()) == (before, "mine")


async def test_a_cancelled_backup_leaves_nothing(tmp_path: Path) -> None:
    await filled(tmp_path / "events.db")

    def stop(done: int, total: int) -> None:
        raise Stopped

    before = names(tmp_path)
    with pytest.raises(Stopped):
        back_up(tmp_path / "events.db", tmp_path / "copy.db", stop)
    assert names(tmp_path) == before


async def test_what_a_killed_backup_left_goes_with_the_next_one(tmp_path: Path) -> None:
    await filled(tmp_path / "events.db")
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    left, living = (tmp_path / f".copy.db.{number}-1f.part" for number in (process.pid, os.getppid()))
    left.touch()
    living.touch()
    back_up(tmp_path / "events.db", tmp_path / "copy.db", still)
    assert (left.exists(), living.exists()) == (False, True)


async def test_a_damaged_store_is_not_backed_up_as_if_it_were_sound(tmp_path: Path) -> None:
    await filled(tmp_path / "events.db")
    sql = "CREATE INDEX events_timestamp ON events(source)"
    change(
        tmp_path / "events.db",
        "PRAGMA writable_schema = 1",
        f"UPDATE sqlite_master SET sql = '{sql}' WHERE name = 'events_timestamp'",
    )
    with pytest.raises(StoreUnavailable, match="damaged"):
        back_up(tmp_path / "events.db", tmp_path / "copy.db", still)
    assert not (tmp_path / "copy.db").exists()


async def test_restored_history_goes_on_with_new_numbers_and_the_other_is_kept(tmp_path: Path) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"
    await filled(path)
    back_up(path, copy, still)
    async with open_bus(path, logged) as bus:
        last = await bus.publish("a.later")
        await bus.settled()
    restored = restore(copy, path, still)
    assert (restored.events, restored.pending) == (3, 0)
    assert restored.aside is not None
    assert rows(restored.aside, "SELECT MAX(id) FROM events") == [(last.id,)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with open_bus(path, logged) as bus:
        assert (await bus.publish("a.new")).id > last.id
        await bus.settled()
    assert rows(path, "SELECT COUNT(*) FROM events WHERE event_type = 'a.later'") == [(0,)]
    assert problems(path) == []
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


async def test_what_was_pending_in_a_backup_is_delivered_after_it_was_restored(tmp_path: Path) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"
    gate, seen = asyncio.Event(), []

    async def hold(event: Any) -> None:
        await gate.wait()
        seen.append(event.id)

    def prepare(bus: EventBus) -> None:
        logged(bus)
        bus.subscribe("a.#", hold, name="hold")

    async with open_bus(path, prepare) as bus:
        first = await bus.publish("a.b")
        assert (await asyncio.to_thread(back_up, path, copy, still)).pending == 1
        gate.set()
        await bus.settled()
    assert restore(copy, path, still).pending == 1
    async with open_bus(path, prepare) as bus:
        await bus.settled()
    assert seen == [first.id, first.id]


async def test_a_store_that_was_killed_is_set_aside_with_what_its_log_holds(tmp_path: Path) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"
    await filled(path)
    back_up(path, copy, still)
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('UPDATE events SET source = \"late\"'); os.kill(os.getpid(), 9)"
    )
    import sys

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(path))
    await process.wait()
    assert Path(f"{path}-wal").exists()
    aside = restore(copy, path, still).aside
    assert aside is not None
    assert rows(aside, "SELECT DISTINCT source FROM events") == [("late",)]
    assert rows(path, "SELECT DISTINCT source FROM events") == [(None,)]


async def test_a_log_without_its_database_is_not_taken_for_the_restored_ones(tmp_path: Path) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"
    await filled(path)
    back_up(path, copy, still)
    path.rename(tmp_path / "elsewhere.db")
    Path(f"{path}-wal").write_bytes(b"an old log")
    restore(copy, path, still)
    assert not Path(f"{path}-wal").exists()
    assert problems(path) == []


def _text(path: Path) -> None:
    path.write_text("no database")


def _foreign(path: Path) -> None:
    change(path, "CREATE TABLE bookmarks (url TEXT)")


def _newer(path: Path) -> None:
    change(path, "CREATE TABLE events (x)", "PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("make", "error"),
    [(_text, StoreUnavailable), (_foreign, InvalidRequest), (_newer, StoreTooNew), (Path.mkdir, NotFound)],
)
async def test_what_is_no_backup_is_refused_and_the_store_stays(
    tmp_path: Path, make: Any, error: type[EventMonitorError]
) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    before = path.read_bytes()
    make(tmp_path / "other")
    with pytest.raises(error):
        restore(tmp_path / "other", path, still)
    assert path.read_bytes() == before
    with pytest.raises(InvalidRequest, match="the store itself"):
        restore(path, path, still)


async def test_an_older_backup_is_brought_up_to_date(tmp_path: Path) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"
    await filled(path)
    back_up(path, copy, still)
    change(copy, "DROP TABLE imports", "PRAGMA user_version = 5")
    assert restore(copy, path, still).events == 3
    assert problems(path) == []


async def test_written_anew_a_store_is_small_and_can_give_room_back(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    async with open_bus(path, logged) as bus:
        await asyncio.gather(*(bus.publish("a.b", {"text": "x" * 2_000}) for _ in range(300)))
        await bus.settled()
        await bus.store.write(lambda ledger: ledger.connection.execute("DELETE FROM events WHERE id > 2"))
    assert rows(path, "PRAGMA auto_vacuum") == [(0,)]
    before, after = rewrite(path, still)
    assert after * 3 < before
    assert rows(path, "PRAGMA auto_vacuum") == [(2,)]
    assert rows(path, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with open_bus(path, logged) as bus:
        assert (await bus.publish("a.b")).status == "accepted"


@pytest.mark.parametrize("broken", ["_finish", "_check_copy"])
async def test_whatever_fails_the_store_stays_as_it_was(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"
    await filled(path)
    back_up(path, copy, still)
    before = names(tmp_path)

    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_copy, broken, fail)
    for work in (lambda: restore(copy, path, still), lambda: rewrite(path, still)):
        with pytest.raises(OSError, match="No space"):
            work()
        assert (names(tmp_path), problems(path)) == (before, [])
