"""The ``cleanup`` target: retention of the store, of rotated logs and, where told, of backups."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from event_monitor.bus.inflight import Pending
from event_monitor.clock import Clock
from event_monitor.resilience.locks import TrackedLock
from event_monitor.resilience.retry import PermanentError
from event_monitor.targets.old_files import BackupPolicy, Removed, remove_backups, remove_rotated_logs
from event_monitor.targets.retention import Forgotten, StoreRetention

logger = logging.getLogger(__name__)

BATCH = 64
# A first run over years of history takes minutes.
_LONGEST = 1_800.0


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """Of the log at ``path``: old files older than ``max_age_days`` or numbered above ``keep`` go."""

    path: Path
    max_age_days: float
    keep: int


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What one run removed."""

    store: Forgotten
    logs: Removed
    backups: Removed

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be cleaned, in words."""
        return self.logs.problems + self.backups.problems


class CleanupTarget:
    """Cleans up once for a whole batch, whatever its events say: nothing that an event names is ever
    removed. While ``backups`` is ``None`` no backup is touched.

    A run that is cut short is taken up by the next one. Serve it with a long timeout: a first run
    over years of history takes minutes.
    """

    def __init__(
        self,
        retention: StoreRetention,
        clock: Clock,
        *,
        logs: LogPolicy,
        backups: BackupPolicy | None = None,
    ) -> None:
        self._retention = retention
        self._clock = clock
        self._logs = logs
        self.backups = backups
        self._running = TrackedLock("cleanup", limit=_LONGEST)

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Clean up. Raises ``PermanentError`` naming what could not be cleaned, ``StoreUnavailable``
        if the store cannot be written."""
        report = await self.run()
        if report.problems:
            raise PermanentError("; ".join(report.problems))

    async def run(self) -> CleanupReport:
        """Clean up now and say what was removed. Runs never overlap. Raises ``StoreUnavailable``."""
        async with self._running:
            # Files first: on a full disk the store needs their room.
            logs, backups = await self._remove_files()
            store = await self._retention.run()
        report = CleanupReport(store, logs, backups)
        logger.info(
            "cleanup removed: %s; %d log files and %d backups (%d bytes)",
            store,
            len(logs.files),
            len(backups.files),
            logs.size + backups.size,
        )
        return report

    async def _remove_files(self) -> tuple[Removed, Removed]:
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._remove, self._clock.wall(), stop.is_set)
        finally:
            stop.set()

    def _remove(self, now: float, stop: Callable[[], bool]) -> tuple[Removed, Removed]:
        logs = remove_rotated_logs(
            self._logs.path, now, stop, max_age_days=self._logs.max_age_days, keep=self._logs.keep
        )
        backups = self.backups
        return logs, Removed() if backups is None else remove_backups(backups, now, stop)
