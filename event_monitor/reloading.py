"""Puts the rules and settings files in force again: when they change, and when a person asks."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from msgspec.structs import replace

from event_monitor.breakers import BreakerDesk
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.rules import read_rules
from event_monitor.config import Settings
from event_monitor.configured import Configured, Problem, backup_policy, read_configuration
from event_monitor.errors import BusClosed, EventMonitorError, InvalidConfig, InvalidRequest
from event_monitor.model import Severity
from event_monitor.paths import HomePaths
from event_monitor.resilience.locks import TrackedLock
from event_monitor.services.registry import Exchange, ServiceRegistry
from event_monitor.system.alerts import AlertBook
from event_monitor.system.driver import StateDriver
from event_monitor.targets import NAMES
from event_monitor.targets.cleanup import CleanupTarget

logger = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None

# Services that are exchanged are stopped in order first.
_LONGEST = 120.0

LIVE = ("services", "fallback", "backups")
"""The sections that are put in force while the program runs; ``timeouts`` are for services only."""


class Reloader:
    """Watches both files and puts in force what they say; what is broken changes nothing.

    With ``from_file`` false the settings came from elsewhere, and only the rules are read again.
    Reloads never overlap, and one that has begun is carried out whoever is cancelled while waiting.
    """

    def __init__(
        self,
        paths: HomePaths,
        configured: Configured,
        *,
        from_file: bool,
        bus: EventBus,
        alerts: AlertBook,
        services: ServiceRegistry,
        breakers: BreakerDesk,
        driver: StateDriver,
        cleaning: CleanupTarget,
        stamps: Stamps,
    ) -> None:
        self.settings = configured.settings
        self._paths = paths
        self._from_file = from_file
        self._bus = bus
        self._alerts = alerts
        self._services = services
        self._breakers = breakers
        self._driver = driver
        self._cleaning = cleaning
        self._stamps = stamps
        self._problems: tuple[Problem, ...] = ()
        self._waiting_for_restart: tuple[str, ...] = ()
        self._lock = TrackedLock("configuration", limit=_LONGEST)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._report(configured.problems)

    @property
    def path(self) -> str:
        """The settings file."""
        return self._paths.settings

    # --- asked for --------------------------------------------------------------------------

    async def reload(self) -> str:
        """Read both files again. Raises ``InvalidConfig`` for what is broken, after the other one was
        put in force."""
        told: list[str] = []
        refused: list[InvalidConfig] = []
        for part in (self.reload_rules, self.reload_settings) if self._from_file else (self.reload_rules,):
            try:
                told.append(await part())
            except InvalidConfig as error:
                refused.append(error)
        if refused:
            text = "\n".join(error.message for error in refused)
            raise InvalidConfig(text, "what was in force stays: correct the file, then reload")
        return "; ".join(told)

    async def reload_rules(self) -> str:
        """Read the rules again. Raises ``InvalidConfig``; then the old ones stay in force."""
        return await self._alone(self._rules())

    async def reload_settings(self) -> str:
        """Read the settings again; returns when services were started and stopped accordingly. Raises
        ``InvalidConfig``; then the old ones stay in force."""
        return await self._alone(self._settings())

    async def edit(self, change: Callable[[str], None]) -> str:
        """Have ``change`` edit the settings file, whose path it gets, on a thread; then read it again.
        Raises what ``change`` raises, and ``InvalidRequest`` if the settings came from no file."""
        if not self._from_file:
            raise InvalidRequest("this bus was not started with a settings file", "start it on a home")
        return await self._alone(self._edit(change))

    async def close(self) -> None:
        """Let what has begun be carried out, begin nothing more."""
        self._closed = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _alone(self, work: Coroutine[Any, Any, str]) -> str:
        if self._closed:
            work.close()
            raise BusClosed("the bus is stopping", "reload after the next start")

        async def run() -> str:
            async with self._lock:
                return await work

        task = asyncio.create_task(run(), name="runtime-reload")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[str]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EventMonitorError):
            logger.error("a reload failed", exc_info=error)

    # --- once a second ----------------------------------------------------------------------

    async def watch(self) -> None:
        """Read a file again if it has changed and is no longer being written."""
        if self._stamps.changed(self._paths.rules):
            await self._noted("Routing rules were not reloaded", self.reload_rules)
        if self._from_file and self._stamps.changed(self._paths.settings):
            await self._noted("Settings were not reloaded", self.reload_settings)

    async def _noted(self, title: str, reload: Callable[[], Awaitable[str]]) -> None:
        try:
            text = await reload()
        except InvalidConfig as error:
            logger.warning("%s: %s", title, error)
            self._alerts.raise_alert(Severity.WARNING, title, f"{error.message}; what was in force stays")
        else:
            logger.info("%s", text)

    # --- carried out ------------------------------------------------------------------------

    async def _rules(self) -> str:
        self._stamps.take(self._paths.rules)
        rules = await asyncio.to_thread(read_rules, self._paths.rules, NAMES)
        self._bus.rules = rules
        return f"{len(rules)} routing rules are in force"

    async def _edit(self, change: Callable[[str], None]) -> str:
        await asyncio.to_thread(change, self._paths.settings)
        return await self._settings()

    async def _settings(self) -> str:
        self._stamps.take(self._paths.settings)
        configured = await asyncio.to_thread(read_configuration, self._paths.settings)
        wanted = configured.settings
        self._cleaning.backups = backup_policy(wanted.backups)
        exchange, carry_out = self._services.exchange(wanted)
        self._follow(exchange)
        self._report(configured.problems)
        waiting = _need_restart(self.settings, wanted)
        self.settings = replace(self.settings, **{name: getattr(wanted, name) for name in LIVE})
        if waiting and waiting != self._waiting_for_restart:
            detail = (
                f"{self._paths.settings}: {', '.join(waiting)}: what changed there counts from the next start"
            )
            self._alerts.raise_alert(Severity.INFO, "Settings wait for a restart", detail)
        self._waiting_for_restart = waiting
        await carry_out()
        return _told(exchange, configured.problems, waiting)

    def _follow(self, exchange: Exchange) -> None:
        """Breakers and system state know the services that there are now."""
        for name in exchange.removed:
            self._breakers.forget(name)
            for what in (f"service {name} health", f"service {name} fallback", f"breaker {name}"):
                self._driver.clear(what, f"{name} is no longer configured")
        for name in exchange.added:
            self._breakers.adopt(name, self._services[name].breaker)
        for name in exchange.replaced:
            self._breakers.replace(name, self._services[name].breaker)
            if self._services[name].breaker.forced is None:
                self._driver.clear(f"breaker {name}", f"{name}: its settings were changed")

    def _report(self, problems: tuple[Problem, ...]) -> None:
        """Say what is wrong with services, once while it stays as it is."""
        for problem in problems:
            if problem in self._problems:
                continue
            said = "is left out" if problem.fatal else "cannot be started"
            logger.warning("service %s %s: %s", problem.service, said, problem.text)
            self._alerts.raise_alert(
                Severity.WARNING, f"Service {problem.service} {said}", problem.text, about=problem.service
            )
        self._problems = problems


class Stamps:
    """Tells when files have changed. One that is just being written has changed when it rests."""

    def __init__(self, *paths: str) -> None:
        self._read = {path: _stamp(path) for path in paths}
        self._seen = dict(self._read)

    def take(self, path: str) -> None:
        """The file is about to be read: what it is now is known."""
        self._read[path] = self._seen[path] = _stamp(path)

    def changed(self, path: str) -> bool:
        """Whether a file is another one than the one that was read, and the same as last time asked."""
        stamp = _stamp(path)
        rests, self._seen[path] = stamp == self._seen[path], stamp
        return rests and stamp != self._read[path]


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _need_restart(in_force: Settings, wanted: Settings) -> tuple[str, ...]:
    return tuple(
        name
        for name in Settings.__struct_fields__
        if name not in LIVE and getattr(in_force, name) != getattr(wanted, name)
    )


def _told(exchange: Exchange, problems: Sequence[Problem], waiting: Sequence[str]) -> str:
    parts = [
        f"{what}: {', '.join(names)}"
        for what, names in (
            ("added", exchange.added),
            ("removed", exchange.removed),
            ("replaced", exchange.replaced),
            ("left out, see alerts", [problem.service for problem in problems if problem.fatal]),
            ("cannot be started, see alerts", [problem.service for problem in problems if not problem.fatal]),
            ("need a restart", waiting),
        )
        if names
    ]
    return "settings are in force" + (f" ({'; '.join(parts)})" if parts else "")
