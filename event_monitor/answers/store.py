"""What the commands and queries about the store's upkeep do, beside a running bus or without one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from event_monitor import messages as m
from event_monitor.answers.store_work import Work, WorkBench, on_a_thread
from event_monitor.bus import schema
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.importing import Importer
from event_monitor.bus.store_check import MOST, find_problems
from event_monitor.bus.store_copy import back_up, restore, rewrite
from event_monitor.bus.store_files import Moved, looking_at
from event_monitor.bus.store_stats import read_stats
from event_monitor.bus.upkeep import Upkeep, give_back, gives_back
from event_monitor.config import StoreSettings
from event_monitor.control.lock import HomeLock
from event_monitor.errors import Conflict, EventMonitorError, InvalidRequest, NoBus
from event_monitor.event_types import SOURCE, BackupCompleted
from event_monitor.messages import Message
from event_monitor.model import Severity
from event_monitor.paths import HomePaths
from event_monitor.replies.store import ImportedLines, StoreStats, StoreWork
from event_monitor.system.alerts import AlertBook

logger = logging.getLogger(__name__)

DAMAGED = "The store is damaged"
# A check reads old states: past this size of the write-ahead log it gives way.
WAL_LIMIT = 48 * 1024 * 1024
_LOOK_SECONDS = 0.2
_PAUSE = 0.01


class StoreDesk:
    """Answers for one home. Without a ``bus`` the home's lock is taken for what changes its store."""

    def __init__(
        self,
        paths: HomePaths,
        settings: StoreSettings,
        *,
        bus: EventBus | None = None,
        alerts: AlertBook | None = None,
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._bus = bus
        self._alerts = alerts
        self._path = Path(paths.database)
        self._bench = WorkBench()
        self._importer = Importer(bus) if bus is not None else None
        self.handlers: dict[type[Message], Callable[[Any], Awaitable[Any]]] = {
            m.GetStoreStats: self._stats,
            m.StartStoreWork: self._start,
            m.QueryStoreWork: self._query,
            m.CancelStoreWork: self._cancel,
            m.ImportLines: self._import,
        }

    async def close(self) -> None:
        """End what is under way."""
        await self._bench.close()

    # --- messages ---------------------------------------------------------------------------

    async def _stats(self, message: m.GetStoreStats) -> StoreStats:
        pinned = False
        if self._bus is not None:
            await self._bus.store.catch_up()
            pinned = self._bus.store.pinned
        return await asyncio.to_thread(
            read_stats,
            self._path,
            time.time(),
            self._settings.retention_days,
            logs=Path(self._paths.logs),
            spool=Path(self._paths.spool),
            pinned=pinned,
        )

    async def _start(self, message: m.StartStoreWork) -> StoreWork:
        path = None if message.path is None else Path(message.path)
        if path is not None and not path.is_absolute():
            raise InvalidRequest(f"{path} is no full path", "name the file by its full path")
        if message.kind in ("backup", "restore") and path is None:
            raise InvalidRequest(f"{message.kind} needs a file", "name it by its full path")
        if self._bus is not None and (message.kind == "restore" or message.full):
            raise Conflict(
                f"the bus has {self._path} open",
                "stop event-monitor, then do this again: it needs the store for itself",
            )
        named = str(path or self._path)
        if message.kind == "check":
            return self._bench.begin(
                "check", named, "parts", lambda work: self._check(work, path or self._path)
            )
        if message.kind == "backup":
            return self._bench.begin("backup", named, "pages", lambda work: self._back_up(work, Path(named)))
        if message.kind == "restore":
            return self._bench.begin("restore", named, "pages", lambda work: self._restore(work, Path(named)))
        compact = self._compact_live if self._bus is not None else self._compact_alone
        return self._bench.begin("compact", str(self._path), "pages", compact)

    async def _query(self, message: m.QueryStoreWork) -> StoreWork:
        return self._bench.find(message.work_id).report()

    async def _cancel(self, message: m.CancelStoreWork) -> StoreWork:
        return await self._bench.cancel(message.work_id)

    async def _import(self, message: m.ImportLines) -> ImportedLines:
        if self._importer is None:
            raise NoBus(f"no bus is running for {self._paths.home}", "start event-monitor, then import")
        return await self._importer.take(message.lines, message.run, deliver=message.deliver)

    # --- work -------------------------------------------------------------------------------

    async def _check(self, work: Work, path: Path) -> str:
        live = self._bus is not None and path == self._path

        def check(moved: Moved) -> bool:
            with looking_at(path) as connection:
                work.connection = connection
                try:
                    for problem in find_problems(connection, moved):
                        work.problems.append(problem)
                        if len(work.problems) >= MOST:
                            return False
                finally:
                    work.connection = None
            return True

        checking = asyncio.create_task(on_a_thread(work, check))
        try:
            while not (await asyncio.wait({checking}, timeout=_LOOK_SECONDS))[0]:
                if live and self._bus is not None and self._bus.store.sizes()[1] > WAL_LIMIT:
                    await self._give_way(work, checking)
        finally:
            checking.cancel()
        whole = checking.result()
        if not work.problems:
            return "sound"
        self._tell_damage(work, path, live)
        return f"{len(work.problems)} problems" + ("" if whole else ", the rest was not looked at")

    async def _give_way(self, work: Work, checking: asyncio.Task[bool]) -> None:
        connection = work.connection
        if connection is not None:
            connection.interrupt()
        await asyncio.wait({checking})
        if checking.exception() is not None:
            raise Conflict(
                "too much is being written to check the store meanwhile",
                "check a backup instead: event-cli store backup FILE, event-cli store check FILE",
            )

    def _tell_damage(self, work: Work, path: Path, live: bool) -> None:
        logger.error("%s: %s", path, "; ".join(work.problems[:10]))
        damaged = any(problem.startswith("table ") for problem in work.problems)
        if live and damaged:
            schema.suspect(path)
        if live and self._alerts is not None:
            title = DAMAGED if damaged else "The store's account does not balance"
            self._alerts.raise_alert(
                Severity.CRITICAL,
                title,
                f"{work.problems[0]}; {len(work.problems)} problems in all, see event-cli store check. "
                "Save what can be read (event-cli store export > FILE), then restart: a damaged file is set "
                "aside, never deleted",
            )

    async def _back_up(self, work: Work, target: Path) -> str:
        copied = await on_a_thread(work, lambda moved: back_up(self._path, target, moved))
        work.size, work.sha256 = copied.size, copied.sha256
        if self._bus is not None:
            made = BackupCompleted(path=str(target), size=copied.size, sha256=copied.sha256, store=True)
            # Told as any backup is: what the rules name verifies it.
            with contextlib.suppress(EventMonitorError):
                told, _ = self._bus.submit(made.TYPE, made.payload(), source=SOURCE, reserved=True)
                await told
        waiting = f", {copied.pending:,} of its events wait for delivery" if copied.pending else ""
        return f"checked{waiting}"

    async def _restore(self, work: Work, backup: Path) -> str:
        with self._alone():
            restored = await on_a_thread(work, lambda moved: restore(backup, self._path, moved))
        parts = [f"{restored.events:,} events"]
        if restored.pending:
            parts.append(f"{restored.pending:,} of them will be delivered, some perhaps again")
        if restored.aside is not None:
            parts.append(f"what was there is kept as {restored.aside.name}")
        return "; ".join(parts)

    async def _compact_live(self, work: Work) -> str:
        assert self._bus is not None
        store = self._bus.store
        if not await store.read(gives_back):
            raise Conflict(
                "this store was made by an older version and cannot give room back bit by bit",
                "stop event-monitor and run event-cli store compact --full once",
            )
        before = store.sizes()[0]
        # Somebody waits for it.
        upkeep = Upkeep(store, self._bus.clock, pause=_PAUSE, rest=1.0)
        await give_back(store, upkeep, moved=work.moved)
        await store.fold()
        return _smaller(before, store.sizes()[0])

    async def _compact_alone(self, work: Work) -> str:
        with self._alone():
            return _smaller(*await on_a_thread(work, lambda moved: rewrite(self._path, moved)))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No bus may start meanwhile. Raises ``AlreadyRunning``."""
        lock = HomeLock(Path(self._paths.lock))
        try:
            yield
        finally:
            lock.release()


def _smaller(before: int, after: int) -> str:
    return f"{before:,} bytes before, {after:,} now"
