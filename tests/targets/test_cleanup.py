"""The cleanup target: store, logs and backups together, and nothing because an event says so."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus.event_bus import EventBus
from event_monitor.config import StoreSettings
from event_monitor.errors import StoreUnavailable
from event_monitor.resilience.retry import PermanentError
from event_monitor.targets import cleanup
from event_monitor.targets.cleanup import CleanupTarget, LogPolicy
from event_monitor.targets.old_files import BackupPolicy, Removed
from event_monitor.targets.retention import Forgotten, StoreRetention
from tests.bus.helpers import open_bus, rows, rules
from tests.targets.helpers import batch, event

DAYS_AHEAD = 40


class Ahead:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return time.time() + DAYS_AHEAD * 86_400

    steady = wall


class Unwritable:
    async def run(self) -> Forgotten:
        raise StoreUnavailable("the disk is full")


async def accept(batch: Any) -> None:
    assert batch


def logged(bus: EventBus) -> None:
    bus.add_target("log", accept, batch_size=64)


def target(bus: EventBus, tmp_path: Path, backups: BackupPolicy | None = None) -> CleanupTarget:
    clock = Ahead()
    return CleanupTarget(
        StoreRetention(bus.store, clock, StoreSettings(), pause=0.0),
        clock,
        logs=LogPolicy(tmp_path / "logs" / "events.jsonl", 30, keep=5),
        backups=backups,
    )


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A log with an old file, and three backups; all arrived just now."""
    for name in ("logs", "backups"):
        (tmp_path / name).mkdir()
    for name in ("events.jsonl", "events.jsonl.1"):
        (tmp_path / "logs" / name).write_text("{}\n")
    for number in range(3):
        path = tmp_path / "backups" / f"{number}.tar"
        path.write_text("x")
        os.utime(path, (number, number))
    return tmp_path


async def test_one_run_removes_old_events_old_logs_and_old_backups(files: Path) -> None:
    async with open_bus(files / "events.db", logged) as bus:
        await bus.publish("a.b")
        await bus.settled()
        policy = BackupPolicy((files / "backups",), min_age_days=30, keep_newest=2)
        report = await target(bus, files, policy).run()
        assert (report.store, report.problems) == (Forgotten(1, 0), ())
        assert report.logs.files == (files / "logs" / "events.jsonl.1",)
        assert report.backups.files == (files / "backups" / "0.tar",)
        again = await target(bus, files, policy).run()
        assert (again.store, again.logs, again.backups) == (Forgotten(), Removed(), Removed())
    assert os.listdir(files / "logs") == ["events.jsonl"]


async def test_no_backup_goes_unless_the_configuration_says_so_whatever_an_event_names(files: Path) -> None:
    named = {"path": str(files / "backups" / "0.tar"), "directories": [str(files / "backups")]}
    async with open_bus(files / "events.db", logged) as bus:
        await target(bus, files).handle(batch(event(1, "backup.completed", named)))
    assert sorted(os.listdir(files / "backups")) == ["0.tar", "1.tar", "2.tar"]


async def test_what_cannot_be_cleaned_is_said_after_the_rest_is_done(files: Path) -> None:
    path = files / "events.db"
    async with open_bus(path, logged) as bus:
        await bus.publish("a.b")
        await bus.settled()
        policy = BackupPolicy((files / "gone", files / "backups"), keep_newest=1)
        with pytest.raises(PermanentError, match=r"/gone was not cleaned: No such file or directory$"):
            await target(bus, files, policy).handle(batch(event(1), event(2)))
    assert os.listdir(files / "backups") == ["2.tar"]
    assert rows(path, "SELECT COUNT(*) FROM events") == [(0,)]


async def test_on_a_full_disk_files_go_though_the_store_cannot_be_written(files: Path) -> None:
    clock = Ahead()
    unwritable: Any = Unwritable()
    policy = LogPolicy(files / "logs" / "events.jsonl", 30, keep=5)
    with pytest.raises(StoreUnavailable):
        await CleanupTarget(unwritable, clock, logs=policy).handle(batch(event(1)))
    assert os.listdir(files / "logs") == ["events.jsonl"]


async def test_a_cancelled_run_stops_its_thread(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, entered = asyncio.get_running_loop(), asyncio.Event()
    cancelled, stopped = threading.Event(), []

    def wait_for_the_word(policy: BackupPolicy, now: float, stop: Any) -> Removed:
        loop.call_soon_threadsafe(entered.set)
        cancelled.wait(30)
        stopped.append(stop())
        return Removed()

    async with open_bus(files / "events.db", logged) as bus:
        cleaner = target(bus, files, BackupPolicy((files / "backups",), keep_newest=1))
        with monkeypatch.context() as patch:
            patch.setattr(cleanup, "remove_backups", wait_for_the_word)
            run = asyncio.create_task(cleaner.run())
            await entered.wait()
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
            cancelled.set()
            await loop.shutdown_default_executor()
        assert stopped == [True]
    assert len(os.listdir(files / "backups")) == 3


async def test_on_a_bus_the_event_that_asks_for_it_survives_its_own_cleanup(files: Path) -> None:
    path = files / "events.db"

    def prepare(bus: EventBus) -> None:
        logged(bus)
        bus.add_target("cleanup", target(bus, files).handle, batch_size=cleanup.BATCH)

    table = rules({"backup.completed": ["cleanup"]}, "cleanup")
    async with open_bus(path, prepare, rules=table) as bus:
        await bus.publish("a.b")
        await bus.settled()
        asked = await bus.publish("backup.completed", {"path": "/x"})
        await bus.settled()
    assert rows(path, "SELECT id, status FROM events") == [(asked.id, "delivered")]
