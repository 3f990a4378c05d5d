"""Retention of what is not an event, room that is given back, and that no step reads a whole table."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.bus.upkeep import Upkeep, give_back
from event_monitor.clock import to_iso
from event_monitor.config import StoreSettings
from event_monitor.errors import StoreUnavailable
from event_monitor.messages import StartReplay
from event_monitor.model import Severity
from event_monitor.system.alerts import AlertBook
from event_monitor.targets.evaluation import SCHEMA as EVALUATIONS
from event_monitor.targets.retention import Forgotten
from tests.bus.helpers import open_bus, rows, settings
from tests.targets.test_retention import Ticking, ids, logged, retention


def fill(bus: EventBus, statement: str, *values: Any) -> None:
    bus.store.change(lambda ledger: ledger.connection.execute(statement, values))


async def test_dead_letters_have_a_retention_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "events.db"

    async def refuse(event: Any) -> None:
        raise ValueError("no")

    def prepare(bus: EventBus) -> None:
        logged(bus)
        bus.subscribe("a.dead", refuse, name="w")

    async with open_bus(path, prepare) as bus:
        dead = asyncio.Event()
        bus.dispatcher.on_dead = lambda record, target, error: dead.set()
        await bus.publish("a.dead")
        await dead.wait()
        await bus.publish("a.b")
        await bus.settled()
        assert await retention(bus, 31, limits={"dead_letter_days": 60}).run() == Forgotten(events=1)
        assert ids(path) == [1]
        assert await retention(bus, 31, limits={"retention_days": 60}).run() == Forgotten(1, 1)
        assert rows(path, "SELECT COUNT(*) FROM deliveries") == [(0,)]


async def test_analytics_patterns_and_their_scores_go_at_their_age(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    now = time.time()
    async with open_bus(path, logged) as bus:
        fill(bus, EVALUATIONS)
        for age in (0, 20, 50):
            at = to_iso(now - age * 86_400)
            for name in ("x", "y"):
                minute = f"{at[:16]}"
                fill(bus, "INSERT INTO analytics VALUES (?,'type',?,1,0,0,0,NULL,?)", minute, name, at)
            fill(bus, "INSERT INTO patterns VALUES (?, '{}', 1, 1, 1, ?)", f"p{age}", at)
            fill(bus, "INSERT INTO evaluations VALUES (?, 1, 1, 1, NULL, 1, ?)", f"p{age}", at)
        await bus.store.flush()
        limits = {"analytics_days": 10, "pattern_days": 40}
        assert await retention(bus, 0, limits=limits).run() == Forgotten(analytics=4, patterns=1)
    assert rows(path, "SELECT COUNT(*) FROM analytics") == [(2,)]
    assert rows(path, "SELECT name FROM patterns ORDER BY name") == [("p0",), ("p20",)]
    assert rows(path, "SELECT name FROM evaluations ORDER BY name") == [("p0",), ("p20",)]


async def test_seen_alerts_and_ended_replays_go_and_no_number_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, logged) as bus:
        await bus.publish("a.b")
        await bus.settled()
        desk, book = ReplayDesk(bus), AlertBook(bus.store, bus.clock)
        await desk.start()
        for _ in range(2):
            report = await desk.begin(StartReplay(since="-1h", speed="max", targets=("log",)))
            while desk.report(report.id).state != "done":
                await bus.settled()
        for title in ("seen", "open", "newest"):
            alert = book.raise_alert(Severity.INFO, title)
            if title != "open":
                book.acknowledge(alert.id)
        limits = {"retention_days": 90}
        clean = retention(bus, 31, limits=limits, replays=desk.forget, alerts=book.forget)
        assert await clean.run() == Forgotten(replays=1, alerts=1)
        assert [one.id for one in desk.reports()] == [2]
        assert [one.title for one in book.newest(9)] == ["newest", "open"]
        await desk.stop()
    assert rows(path, "SELECT id FROM replays") == [(2,)]
    assert rows(path, "SELECT title FROM alerts ORDER BY id") == [("open",), ("newest",)]


async def test_alerts_are_bounded_by_their_number_too_also_after_the_limit_was_lowered(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path) as bus:
        book = AlertBook(bus.store, bus.clock, keep=20)
        for number in range(25):
            book.raise_alert(Severity.INFO, f"{number}")
        await bus.store.flush()
        assert rows(path, "SELECT COUNT(*) FROM alerts") == [(20,)]
        fewer = AlertBook(bus.store, bus.clock, keep=10)
        await fewer.load()
        await bus.store.flush()
    assert rows(path, "SELECT MIN(id), COUNT(*) FROM alerts") == [(16, 10)]


async def test_room_is_given_back_after_a_large_part_was_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, logged) as bus:
        await asyncio.gather(*(bus.publish("a.b", {"text": "x" * 2_000}) for _ in range(1_000)))
        await bus.settled()
        found = await retention(bus, 31).run()
        assert (found.events, found.pages > 400) == (1_000, True)
        free, pages = (rows(path, f"PRAGMA {name}")[0][0] for name in ("freelist_count", "page_count"))
        assert free <= pages * 0.1 + 1


async def test_one_step_gives_back_as_much_as_it_has_time_for(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db", logged) as bus:
        await asyncio.gather(*(bus.publish("a.b", {"text": "x" * 2_000}) for _ in range(500)))
        await bus.settled()
        await bus.store.write(lambda ledger: ledger.connection.execute("DELETE FROM events"))
        told: list[int] = []
        upkeep = Upkeep(bus.store, Ticking(0), seconds=1e9, pause=0)
        pages = await give_back(bus.store, upkeep, moved=lambda done, total: told.append(done))
        assert told == [0, 32, 96, *told[3:]], "more with each step"
        assert told[-1] == pages > 200
        assert rows(tmp_path / "events.db", "PRAGMA freelist_count") == [(0,)]


async def test_a_file_that_cannot_give_room_back_is_left_as_large_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA user_version = 0")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("DROP TABLE t")
    connection.close()
    async with open_bus(path, logged) as bus:
        await asyncio.gather(*(bus.publish("a.b", {"text": "x" * 2_000}) for _ in range(200)))
        await bus.settled()
        assert await retention(bus, 31).run() == Forgotten(200, 0)


async def test_no_statement_of_retention_reads_a_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million events make a scan take longer than a publisher may wait."""
    path = tmp_path / "events.db"
    statements: list[str] = []
    async with open_bus(path, logged) as bus:
        await bus.publish("a.b")
        await bus.settled()
        await bus.store._writer.run(lambda c: c.set_trace_callback(statements.append))
        await bus.store._reader.run(lambda c: c.set_trace_callback(statements.append))
        await retention(bus, 31).run()
        plans = [
            (statement, row[3])
            for statement in statements
            if statement.lstrip().startswith(("SELECT", "DELETE", "INSERT"))
            for row in await bus.store.read(
                lambda c, s=statement: c.execute(f"EXPLAIN QUERY PLAN {s}").fetchall()  # type: ignore[misc]
            )
        ]
    events = [(statement, step) for statement, step in plans if step.startswith("SCAN events")]
    assert any("DELETE FROM events" in statement for statement, _ in plans)
    assert [pair for pair in events if "LIMIT" not in pair[0]] == []
    assert [pair for pair in events if "INDEX" in pair[1]] == []


async def test_work_that_can_wait_lets_publishers_go_first_and_comes_in_time(tmp_path: Path) -> None:
    order: list[str] = []

    def note(text: str) -> Any:
        return lambda ledger: order.append(text)

    async with open_bus(tmp_path / "events.db") as bus:
        store = bus.store
        write, aside = store.write, store.write_aside
        await asyncio.gather(write(note("write")), aside(note("aside")), write(note("write")))
        assert order == ["write", "write", "aside"]
        pressed = 0

        async def press() -> None:
            nonlocal pressed
            while "late" not in order:
                await asyncio.gather(write(note("write")), write(note("write")))
                pressed += 1

        pressing = asyncio.gather(press(), press())
        await aside(note("late"))
        await pressing
        assert pressed


async def test_work_aside_is_not_synced_and_its_failure_is_its_authors(tmp_path: Path) -> None:
    levels: list[int] = []

    def level(ledger: Ledger) -> None:
        levels.append(ledger.connection.execute("PRAGMA synchronous").fetchone()[0])

    full = settings(store=StoreSettings(durability="full"))
    async with open_bus(tmp_path / "events.db", settings=full) as bus:
        await bus.store.write_aside(level)
        with pytest.raises(StoreUnavailable, match="division"):
            await bus.store.write_aside(lambda ledger: 1 / 0)
        await bus.store.write(level)
        assert levels == [1, 2]
        assert bus.store.trouble is None


async def test_a_reader_of_an_older_state_pins_the_log_and_the_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, logged) as bus:
        await bus.publish("a.b")
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM events").fetchone()
        while not bus.store.pinned:
            await bus.publish("a.b")
        reader.execute("COMMIT")
        while bus.store.pinned:
            await bus.publish("a.b")
        reader.close()
