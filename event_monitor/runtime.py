"""Builds the parts, starts and stops them in order, and is the only entrance for commands."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from event_monitor.answers.dead_letters import DeadLetterAnswers
from event_monitor.answers.explorer import ExplorerAnswers
from event_monitor.answers.overview import Overview
from event_monitor.answers.replays import ReplayAnswers, unwanted_targets
from event_monitor.answers.service_detail import ServiceDetails
from event_monitor.answers.services import ServiceDesk
from event_monitor.answers.store import StoreDesk
from event_monitor.answers.table import Answers
from event_monitor.breakers import TARGET, BreakerDesk, Load
from event_monitor.builtin_targets import add_targets
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.feed import Feed
from event_monitor.bus.history import read_recent
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.bus.retry_runs import RetryDesk
from event_monitor.bus.rules import RuleSet, read_rules
from event_monitor.clock import Clock
from event_monitor.config import Settings
from event_monitor.configured import Configured, configured, read_configuration
from event_monitor.control.client import refuse_command
from event_monitor.control.lock import HomeLock
from event_monitor.control.server import ControlServer
from event_monitor.control.spool import Spool
from event_monitor.errors import HomeUnusable, StoreUnavailable
from event_monitor.kill_switch import KillSwitch
from event_monitor.messages import GetService, Message
from event_monitor.model import Severity
from event_monitor.paths import HomePaths
from event_monitor.reactions import Reactions
from event_monitor.reloading import Reloader, Stamps
from event_monitor.resilience.breaker import BreakerState
from event_monitor.resilience.waits import current_waits
from event_monitor.services.registry import ServiceRegistry
from event_monitor.spool_intake import SpoolIntake
from event_monitor.subscriptions import Subscriptions
from event_monitor.surroundings import REAL, Surroundings
from event_monitor.system.alerts import AlertBook
from event_monitor.system.driver import StateDriver
from event_monitor.system.state_machine import StateMachine
from event_monitor.system.watchdog import Watchdog
from event_monitor.targets import NAMES
from event_monitor.targets.cleanup import CleanupTarget
from event_monitor.targets.handlers import load_upcasters

if TYPE_CHECKING:
    from event_monitor.demo_services import InventedServices

logger = logging.getLogger(__name__)

TICK = 1.0
STOP_GRACE = 5.0
STARTUP_PATIENCE = 20.0
CLEANUP_INTERVAL = 3_600.0
DESCRIPTOR_ALERTS = 60.0


class Runtime:
    """One home's bus with all around it. ``start`` answers a running one; ``stop`` ends it."""

    def __init__(
        self,
        paths: HomePaths,
        settings: Settings,
        *,
        invented: InventedServices | None = None,
        own_process: bool = False,
        surroundings: Surroundings = REAL,
    ) -> None:
        self.paths = paths
        self.settings = settings
        self._invented = invented
        self._own_process = own_process
        self._surroundings = surroundings
        self.watchdog: Watchdog
        self.bus: EventBus
        self.alerts: AlertBook
        self.machine: StateMachine
        self.subscriptions: Subscriptions
        self.feed = Feed(settings.dashboard.feed_lines, settings.mask)
        self.server: ControlServer
        self._answers: Answers
        self._clock: Clock
        self._intake: SpoolIntake
        self._reloader: Reloader
        self.desk: ServiceDesk
        self.driver: StateDriver
        self.breakers: BreakerDesk
        self.services: ServiceRegistry
        self.switch: KillSwitch
        self.replays: ReplayDesk
        self.retries: RetryDesk
        self._cleaning: CleanupTarget
        self._tasks: list[asyncio.Task[None]] = []
        self._cleanup = contextlib.AsyncExitStack()
        self._grace = STOP_GRACE
        self.damaged = asyncio.Event()
        if invented is not None:
            self._cleanup.push_async_callback(invented.stop)

    @classmethod
    async def start(
        cls,
        paths: HomePaths,
        settings: Settings | None = None,
        *,
        demo: bool = False,
        own_process: bool = False,
        surroundings: Surroundings = REAL,
    ) -> Self:
        """Start all parts; with ``own_process`` they may use what a process has but one of. Raises
        ``InvalidConfig`` before anything is touched, ``AlreadyRunning`` if a live process owns the
        home, ``StoreTooNew``, ``StoreUnavailable`` or ``HomeUnusable``."""
        invented: InventedServices | None = None
        if demo:
            from event_monitor import demo_services

            invented = demo_services.InventedServices()
            await invented.start(paths.settings)
        stamps = Stamps(paths.settings, paths.rules)
        if settings is None:
            found = await asyncio.to_thread(read_configuration, paths.settings)
        else:
            found = await asyncio.to_thread(configured, settings)
        rules = read_rules(paths.rules, NAMES)
        runtime = cls(
            paths, found.settings, invented=invented, own_process=own_process, surroundings=surroundings
        )
        try:
            await runtime._start(rules, found, stamps, from_file=settings is None)
        except OSError as error:
            await runtime.stop(grace=0)
            raise HomeUnusable(
                f"{paths.home} cannot be used: {error}",
                "check that it is a directory of yours, writable, on a disk with room, then start again",
            ) from error
        except BaseException:
            await runtime.stop(grace=0)
            raise
        return runtime

    async def _start(self, rules: RuleSet, found: Configured, stamps: Stamps, *, from_file: bool) -> None:
        paths = self.paths
        for directory in (paths.bus_dir, paths.logs, os.path.dirname(paths.state)):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        lock = HomeLock(Path(paths.lock))
        self._cleanup.callback(lock.release)
        around = self._surroundings
        self._clock = around.clock_of(asyncio.get_running_loop())
        self.bus = await EventBus.open(
            paths.database,
            settings=self.settings,
            rules=rules,
            clock=self._clock,
            protect=True,
            rng=around.rng,
            database=around.database,
        )
        self._cleanup.push_async_callback(self._stop_bus)
        current_waits.set(self.bus.waits)
        self.alerts = AlertBook(self.bus.store, self._clock, self.settings.store.max_alerts)
        self.machine = StateMachine(Path(paths.state), self._clock)
        self.subscriptions = Subscriptions(self.bus, paths.home)
        self.replays = ReplayDesk(self.bus, lambda: unwanted_targets(self.subscriptions))
        self.retries = RetryDesk(self.bus)
        self.driver = StateDriver(self.machine)
        self.breakers = BreakerDesk(self.bus.store, self._clock)
        self.services = ServiceRegistry(self.settings, self._clock, around.make_service, around.rng)
        self.switch = KillSwitch(self.bus.store, self.breakers, self.services.names)
        await self.alerts.load()
        await self.breakers.load()
        self._watch_descriptors()
        notes = [await self.machine.load(), _aside_note(self.bus)]
        lines = self.settings.dashboard.feed_lines
        self.feed.restore(await self.bus.store.read(lambda connection: read_recent(connection, lines)))
        told = self._connect()
        targets = add_targets(
            self.bus,
            paths,
            self.settings,
            alerts=self.alerts,
            replays=self.replays,
            services=self.services,
            switch=self.switch,
        )
        self._cleaning = targets.cleaning
        notes += await self.subscriptions.load()
        notes += load_upcasters(self.bus.upcasters, self.settings.upcasters)
        for name, guard in self.services.items():
            self.breakers.adopt(name, guard.breaker)
        await self.switch.load()
        told.hold()
        self.watchdog = Watchdog(
            self.bus,
            self.alerts,
            self.driver,
            self.settings.watch,
            home=Path(paths.bus_dir),
            dump=Path(paths.logs) / "stall.txt" if self._own_process else None,
            watch_stalls=around.watch_stalls,
        )
        self._cleanup.push_async_callback(self.watchdog.stop)
        self.watchdog.start()
        await self.bus.start()
        for note in filter(None, notes):
            logger.warning("%s", note)
            self.alerts.raise_alert(Severity.WARNING, "Started with a repair", note)
        self._reloader = Reloader(
            paths,
            found,
            from_file=from_file,
            bus=self.bus,
            alerts=self.alerts,
            services=self.services,
            breakers=self.breakers,
            driver=self.driver,
            cleaning=self._cleaning,
            stamps=stamps,
        )
        self.desk = ServiceDesk(self.services, self.bus.store, self._reloader)
        upkeep = StoreDesk(paths, self.settings.store, bus=self.bus, alerts=self.alerts)
        overview = Overview(self)
        details = ServiceDetails(self.services, self.breakers, self.bus.dispatcher.lanes, self._clock)
        self._answers = Answers(
            self.bus,
            alerts=self.alerts,
            machine=self.machine,
            subscriptions=self.subscriptions,
            analytics=targets.analytics,
            overview=overview,
            reload_rules=self._reloader.reload_rules,
            breakers=self.breakers,
            driver=self.driver,
            services=self.services,
            switch=self.switch,
            others={
                **self.desk.handlers,
                **upkeep.handlers,
                **ReplayAnswers(self.replays, self.bus, self.subscriptions).handlers,
                **DeadLetterAnswers(self.bus, self.retries).handlers,
                **ExplorerAnswers(self.bus, self.settings.mask).handlers,
                **self.watchdog.tasks.handlers,
                GetService: details.answer,
            },
        )
        self._intake = SpoolIntake(
            Spool(Path(paths.spool)),
            partial(self._answers.publish_all, promised=True),
            self.alerts,
            max_payload_bytes=self.settings.bus.max_payload_bytes,
        )
        self._tasks = [
            asyncio.create_task(self.driver.run(), name="runtime-state"),
            asyncio.create_task(self._tick_forever(), name="runtime-tick"),
            asyncio.create_task(self._clean_forever(), name="runtime-cleanup"),
        ]
        self._cleanup.push_async_callback(self._stop_tasks)
        self._cleanup.push_async_callback(self.services.stop)
        self._cleanup.push_async_callback(self._reloader.close)
        self._cleanup.push_async_callback(self.replays.stop)
        self._cleanup.push_async_callback(self.retries.stop)
        self._cleanup.push_async_callback(upkeep.close)
        await self.services.start()
        with contextlib.suppress(OSError, StoreUnavailable):
            # What cannot be taken now is tried again once a second.
            await self._intake.take()
        await self.replays.start()
        await self.retries.start()
        for name in self.breakers.names:
            if self.breakers.report(name).state == BreakerState.OPEN.value:
                self.driver.fail(f"breaker {name}", f"{name}: breaker open since before the restart")
        self._tasks.append(asyncio.create_task(self._begin(), name="runtime-startup"))
        self.server = ControlServer(paths.socket, self.handle, self.settings.socket)
        await self.server.start()
        self._cleanup.push_async_callback(self.server.stop)
        if self._invented is not None:
            from event_monitor.demo import Demo

            self._tasks.append(asyncio.create_task(Demo(self, self._invented).run(), name="runtime-demo"))
        else:
            self._tasks.append(asyncio.create_task(self.desk.look(), name="runtime-discovery"))

    def _connect(self) -> Reactions:
        """Let the parts tell each other what happens."""
        told = Reactions(
            self.bus, alerts=self.alerts, machine=self.machine, driver=self.driver, switch=self.switch
        )
        self.bus.on_accepted = self.feed.add
        self.bus.dispatcher.on_settled = self.feed.changed
        self.bus.dispatcher.on_dead = told.on_dead
        self.bus.store.on_trouble = told.on_trouble
        self.bus.store.on_damage = lambda error: self._on_damage(told, error)
        self.replays.on_note = told.on_replay
        self.retries.on_note = told.on_replay
        self.bus.admission.storms.on_change = told.on_storm
        self.machine.on_transition = told.on_transition
        self.driver.on_unsaved = told.on_unsaved
        self.breakers.on_change = told.on_breaker
        self.services.on_change = told.on_service
        self.switch.on_change = told.on_switch
        self.breakers.load_of = self._load
        self.bus.on_breaker = lambda name, breaker: self.breakers.adopt(TARGET + name, breaker)
        self.bus.on_breaker_gone = lambda name: self.breakers.forget(TARGET + name)
        return told

    def _watch_descriptors(self) -> None:
        """Tell when the loop cannot accept a connection for want of descriptors; it tries again."""
        loop = asyncio.get_running_loop()
        told_at = -math.inf

        def on_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            nonlocal told_at
            error, now = context.get("exception"), self._clock.monotonic()
            exhausted = isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)
            if exhausted and now - told_at > DESCRIPTOR_ALERTS:
                told_at = now
                self.alerts.raise_alert(
                    Severity.WARNING,
                    "File descriptors have run out",
                    "new connections wait until some are free: close clients, or raise the limit (ulimit -n)",
                )
            loop.default_exception_handler(context)

        before = loop.get_exception_handler()
        loop.set_exception_handler(on_error)
        self._cleanup.callback(loop.set_exception_handler, before)

    def _on_damage(self, told: Reactions, error: Exception) -> None:
        told.on_damage(error)
        self.damaged.set()

    # --- the entrance -----------------------------------------------------------------------

    @property
    def demo(self) -> bool:
        """Whether all of this is invented."""
        return self._invented is not None

    async def handle(self, message: Message, *, read_only: bool = False) -> Any:
        """Carry out a command or answer a query, whoever asks. Raises ``EventMonitorError``: ``ReadOnly``
        for a command from a view that may change nothing."""
        refuse_command(message, read_only)
        return await self._answers.answer(message)

    @property
    def views(self) -> int:
        """How many of the connected clients look at the picture."""
        return sum(connection.viewing for connection in self.server.connections)

    def _load(self, name: str) -> Load:
        guard = self.services.get(name)
        if guard is not None:
            bulkhead = guard.bulkhead
            return Load(bulkhead.busy, bulkhead.max_concurrent, bulkhead.waiting)
        lane = self.bus.dispatcher.lanes.get(name.removeprefix(TARGET))
        if lane is None:
            return Load()
        on_disk = sum(map(lane.on_disk, range(len(lane.stored))))
        return Load(lane.busy, lane.concurrency, lane.waiting + on_disk, lane.parked)

    # --- once a second ----------------------------------------------------------------------

    async def _tick_forever(self) -> None:
        unreadable: str | None = None
        while True:
            await asyncio.sleep(TICK)
            try:
                await self._reloader.watch()
                await self._intake.take()
                unreadable = None
            except StoreUnavailable as error:
                logger.warning("%s", error)
            except OSError as error:
                if str(error) != unreadable:
                    unreadable = str(error)
                    self._tell_unreadable(error)

    def _tell_unreadable(self, error: OSError) -> None:
        logger.warning("the home cannot be read: %s", error)
        self.alerts.raise_alert(
            Severity.WARNING,
            "Part of the home cannot be read",
            f"{error}: mend its rights or what stands in its place; it is tried again every second",
        )

    async def _begin(self) -> None:
        """Leave INITIALIZING once every service has a verdict on its startup, or none came in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STARTUP_PATIENCE):
                await self.services.judged()
        self.driver.begin()

    async def _clean_forever(self) -> None:
        """Keep the retention, whether or not an event asks for it."""
        while True:
            await asyncio.sleep(CLEANUP_INTERVAL)
            try:
                report = await self._cleaning.run()
            except StoreUnavailable as error:
                logger.warning("cleanup was put off: %s", error)
                continue
            for problem in report.problems:
                logger.warning("cleanup: %s", problem)

    # --- the end ----------------------------------------------------------------------------

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Stop listening, drain running handlers for at most ``grace`` seconds, close the store.

        Safe to call twice, and after a failed start.
        """
        self._grace = grace
        await self._cleanup.aclose()

    async def _stop_bus(self) -> None:
        await self.bus.stop(self._grace)

    async def _stop_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _aside_note(bus: EventBus) -> str | None:
    if bus.store.set_aside is None:
        return None
    return f"the event store was damaged: it is kept as {bus.store.set_aside.name}, a fresh one was begun"
