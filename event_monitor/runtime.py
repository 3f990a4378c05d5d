"""Builds the parts, starts and stops them in order, and is the only entrance for commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Any, Self

from msgspec.structs import replace

from event_monitor.answers import Answers
from event_monitor.breakers import BreakerDesk
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.feed import Feed
from event_monitor.bus.history import read_recent
from event_monitor.bus.inflight import InFlight
from event_monitor.bus.rules import RuleSet, read_rules
from event_monitor.clock import Clock, LoopClock
from event_monitor.config import Settings
from event_monitor.control.lock import HomeLock
from event_monitor.control.server import ControlServer
from event_monitor.control.spool import Spool, SpoolEntry
from event_monitor.errors import (
    BusClosed,
    BusFull,
    EventMonitorError,
    InvalidConfig,
    InvalidEvent,
    StoreUnavailable,
)
from event_monitor.kill_switch import KillSwitch
from event_monitor.messages import Message
from event_monitor.model import DeliveryState, Severity, SystemState, Transition
from event_monitor.overview import Overview
from event_monitor.paths import HomePaths
from event_monitor.resilience.breaker import BreakerChange, BreakerState
from event_monitor.services.recoverables import Recoverables
from event_monitor.services.registry import ServiceChange, ServiceRegistry
from event_monitor.settings_file import load_settings
from event_monitor.subscriptions import Subscriptions
from event_monitor.system.alerts import AlertBook
from event_monitor.system.driver import StateDriver
from event_monitor.system.state_machine import StateMachine, TransitionNotSaved
from event_monitor.targets import NAMES, analytics, cleanup, learning, log
from event_monitor.targets.alert import AlertTarget
from event_monitor.targets.analytics import AnalyticsTarget
from event_monitor.targets.cleanup import CleanupTarget, LogPolicy
from event_monitor.targets.evaluation import EvaluationTarget
from event_monitor.targets.kill_switch import KillSwitchTarget
from event_monitor.targets.learning import LearningTarget
from event_monitor.targets.log import LogTarget
from event_monitor.targets.notification import NotificationTarget
from event_monitor.targets.recovery import RecoveryTarget
from event_monitor.targets.retention import StoreRetention
from event_monitor.targets.storage import StorageTarget
from event_monitor.targets.verification import VerificationTarget

logger = logging.getLogger(__name__)

SOURCE = "event-monitor"
TICK = 1.0
STOP_GRACE = 5.0
LINGER = 0.003
STARTUP_PATIENCE = 20.0
CLEANUP_INTERVAL = 3_600.0
_TARGET = "target:"
_BREAKER_EVENTS = {
    BreakerState.OPEN: "breaker.opened",
    BreakerState.HALF_OPEN: "breaker.half_open",
    BreakerState.CLOSED: "breaker.closed",
}
_SPOOL_PAGE = 200
_WORSE = frozenset({SystemState.DEGRADED, SystemState.FAILED})


class Runtime:
    """One home's bus with all around it. ``start`` answers a running one; ``stop`` ends it."""

    def __init__(self, paths: HomePaths, settings: Settings, *, demo: bool = False) -> None:
        self.paths = paths
        self.settings = settings
        self.demo = demo
        self.bus: EventBus
        self.alerts: AlertBook
        self.machine: StateMachine
        self.subscriptions: Subscriptions
        self.feed = Feed(settings.dashboard.feed_lines, settings.mask)
        self.server: ControlServer
        self._answers: Answers
        self._clock: Clock
        self._spool = Spool(Path(paths.spool))
        self._rules_stamp: tuple[int, int] | None = None
        self.driver: StateDriver
        self.breakers: BreakerDesk
        self.services: ServiceRegistry
        self.switch: KillSwitch
        self._cleaning: CleanupTarget
        self._tasks: list[asyncio.Task[None]] = []
        self._cleanup = contextlib.AsyncExitStack()
        self._grace = STOP_GRACE

    @classmethod
    async def start(cls, paths: HomePaths, settings: Settings | None = None, *, demo: bool = False) -> Self:
        """Start all parts. Raises ``InvalidConfig`` before anything is touched, ``AlreadyRunning``
        if a live process owns the home, ``StoreTooNew`` or ``StoreUnavailable``."""
        settings = settings or load_settings(paths.settings)
        rules = read_rules(paths.rules, NAMES)
        runtime = cls(paths, settings, demo=demo)
        try:
            await runtime._start(rules)
        except BaseException:
            await runtime.stop(grace=0)
            raise
        return runtime

    async def _start(self, rules: RuleSet) -> None:
        paths = self.paths
        for directory in (paths.bus_dir, paths.logs, os.path.dirname(paths.state)):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        lock = HomeLock(Path(paths.lock))
        self._cleanup.callback(lock.release)
        self._clock = LoopClock(asyncio.get_running_loop())
        self.bus = await EventBus.open(
            paths.database, settings=self.settings, rules=rules, clock=self._clock, protect=True
        )
        self._cleanup.push_async_callback(self._stop_bus)
        self._rules_stamp = _file_stamp(paths.rules)
        self.alerts = AlertBook(self.bus.store, self._clock)
        self.machine = StateMachine(Path(paths.state), self._clock)
        self.subscriptions = Subscriptions(self.bus, paths.home)
        self.driver = StateDriver(self.machine)
        self.breakers = BreakerDesk(self.bus.store, self._clock)
        self.services = ServiceRegistry(self.settings, self._clock)
        self.switch = KillSwitch(self.bus.store, self.breakers, self.services.names)
        await self.alerts.load()
        await self.breakers.load()
        notes = [await self.machine.load(), _aside_note(self.bus)]
        lines = self.settings.dashboard.feed_lines
        self.feed.restore(await self.bus.store.read(lambda connection: read_recent(connection, lines)))
        self._connect()
        analytics_target = self._add_targets()
        notes += await self.subscriptions.load()
        for name, guard in self.services.items():
            self.breakers.adopt(name, guard.breaker)
        await self.switch.load()
        self._hold()
        await self.bus.start()
        for note in filter(None, notes):
            logger.warning("%s", note)
            self.alerts.raise_alert(Severity.WARNING, "Started with a repair", note)
        for problem in self.services.problems:
            logger.warning("%s", problem)
            self.alerts.raise_alert(Severity.WARNING, "A service cannot be watched", problem)
        overview = Overview(self)
        self._answers = Answers(
            self.bus,
            alerts=self.alerts,
            machine=self.machine,
            subscriptions=self.subscriptions,
            analytics=analytics_target,
            overview=overview,
            reload_rules=self.reload_rules,
            breakers=self.breakers,
            driver=self.driver,
            services=self.services,
            switch=self.switch,
        )
        self._tasks = [
            asyncio.create_task(self.driver.run(), name="runtime-state"),
            asyncio.create_task(self._tick_forever(), name="runtime-tick"),
            asyncio.create_task(self._clean_forever(), name="runtime-cleanup"),
        ]
        self._cleanup.push_async_callback(self._stop_tasks)
        self._cleanup.push_async_callback(self.services.stop)
        await self.services.start()
        await self._take_spool()
        for name in self.breakers.names:
            if self.breakers.report(name).state == BreakerState.OPEN.value:
                self.driver.fail(f"breaker {name}", f"{name}: breaker open since before the restart")
        self._tasks.append(asyncio.create_task(self._begin(), name="runtime-startup"))
        self.server = ControlServer(paths.socket, self.handle, self.settings.socket)
        await self.server.start()
        self._cleanup.push_async_callback(self.server.stop)
        if self.demo:
            from event_monitor.demo import Demo

            self._tasks.append(asyncio.create_task(Demo(self).run(), name="runtime-demo"))

    def _add_targets(self) -> AnalyticsTarget:
        store, mask = self.bus.store, self.settings.mask
        analytics_target = AnalyticsTarget(store)
        log_target = LogTarget(
            Path(self.paths.logs), self.settings.log, mask=mask, sync=self.settings.store.durability == "full"
        )
        self.bus.add_target("log", log_target.handle, batch_size=log.BATCH, linger=LINGER)
        self.bus.add_target("analytics", analytics_target.handle, batch_size=analytics.BATCH, linger=LINGER)
        self.bus.add_target("storage", StorageTarget(store, self._clock).handle, batch_size=64)
        self.bus.add_target("alert", AlertTarget(self.alerts, mask).handle, batch_size=64)
        notification = NotificationTarget(self.settings.notification.via, self.alerts, mask=mask)
        self.bus.add_target("notification", notification.handle)
        self.bus.add_target("recovery", RecoveryTarget(Recoverables(self.services), mask).handle)
        self.bus.add_target("kill-switch", KillSwitchTarget(self.switch, mask).handle)
        learner = LearningTarget(store, self.bus.publish)
        self.bus.add_target("learning", learner.handle, batch_size=learning.BATCH)
        self.bus.add_target("evaluation", EvaluationTarget(store, self._clock).handle, batch_size=64)
        long = replace(self.settings.target("verification"), timeout="batch_processing")
        self.bus.add_target("verification", VerificationTarget(self.bus.publish).handle, settings=long)
        log_policy = LogPolicy(log_target.path, self.settings.store.retention_days, self.settings.log.keep)
        counts = self.bus.dispatcher.counts
        retention = StoreRetention(
            store,
            self._clock,
            days=self.settings.store.retention_days,
            on_forgotten=lambda gone: counts.subtract({DeliveryState.DEAD: gone.dead_letters}),
        )
        self._cleaning = CleanupTarget(retention, self._clock, logs=log_policy)
        self.bus.add_target(
            "cleanup",
            self._cleaning.handle,
            batch_size=cleanup.BATCH,
            settings=replace(self.settings.target("cleanup"), timeout="research_tasks"),
        )
        return analytics_target

    def _connect(self) -> None:
        """Let the parts tell each other what happens."""
        self.bus.on_accepted = self.feed.add
        self.bus.dispatcher.on_settled = self.feed.changed
        self.bus.dispatcher.on_dead = self._on_dead
        self.bus.store.on_trouble = self._on_trouble
        self.machine.on_transition = self._on_transition
        self.driver.on_unsaved = self._on_unsaved
        self.breakers.on_change = self._on_breaker
        self.services.on_change = self._on_service
        self.switch.on_change = self._on_switch
        self.breakers.parked = self._parked
        self.bus.on_breaker = lambda name, breaker: self.breakers.adopt(_TARGET + name, breaker)
        self.bus.on_breaker_gone = lambda name: self.breakers.forget(_TARGET + name)

    # --- the entrance -----------------------------------------------------------------------

    async def handle(self, message: Message) -> Any:
        """Carry out a command or answer a query, whoever asks. Raises ``EventMonitorError``."""
        return await self._answers.answer(message)

    @property
    def views(self) -> int:
        """How many clients are connected."""
        return len(self.server.connections)

    def _parked(self, name: str) -> int:
        lane = self.bus.dispatcher.lanes.get(name.removeprefix(_TARGET))
        return lane.parked if lane is not None else 0

    # --- what happens -----------------------------------------------------------------------

    def _on_dead(self, record: InFlight, target: str, error: str) -> None:
        if record.event.source == SOURCE:
            return
        self.alerts.raise_alert(
            Severity.WARNING,
            f"Dead letter from {target}",
            f"{record.event.event_type}: {error}",
            record.event.id,
        )

    def _on_trouble(self, error: Exception | None) -> None:
        if error is None:
            self.driver.clear("store", "the event store can be written again")
        else:
            self.driver.fail("store", f"the event store cannot be written: {error}")

    def _on_unsaved(self, error: TransitionNotSaved) -> None:
        logger.error("%s", error)
        self.alerts.raise_alert(Severity.CRITICAL, "The system state could not be saved", str(error))

    def _on_breaker(self, name: str, change: BreakerChange) -> None:
        """A breaker has changed: an event, an alert if it opened by itself, and the state follows."""
        who = f" by {change.by}" if change.by else ""
        reason = f"{name}: breaker {change.to_state.value.lower().replace('_', '-')}{who}: {change.reason}"
        if change.to_state is BreakerState.OPEN:
            self.driver.fail(f"breaker {name}", reason)
            if change.by is None and self.machine.state is not SystemState.HEALTHY:
                self.alerts.raise_alert(Severity.WARNING, f"{name}: breaker opened", change.reason)
        elif change.to_state is BreakerState.HALF_OPEN:
            self.driver.recovering(f"breaker {name}")
        else:
            self.driver.clear(f"breaker {name}", reason)
        if change.to_state is change.from_state:
            return
        self._publish_own(
            _BREAKER_EVENTS[change.to_state],
            {"service": name, "from": change.from_state.value, "to": change.to_state.value}
            | {"reason": change.reason, "by": change.by},
        )

    def _on_service(self, change: ServiceChange) -> None:
        """A service is down, up, or answered for by a fallback: an event, and the state follows."""
        what = f"service {change.service} {change.what}"
        if change.well:
            self.driver.clear(what, change.reason)
        else:
            self.driver.fail(what, change.reason, critical=change.critical)
        if change.what == "health":
            event_type = (
                f"{'mcp.server' if change.kind == 'mcp' else 'service'}.{'up' if change.well else 'down'}"
            )
        else:
            event_type = f"fallback.{'ended' if change.well else 'began'}"
        key = "reason" if change.well else "error"
        told = change.reason.removeprefix(f"{change.service}: ")
        self._publish_own(event_type, {"service": change.service, "kind": change.kind, key: told})

    def _on_switch(self, engaged: bool, reason: str) -> None:
        if engaged:
            self.driver.fail("kill switch", f"kill switch: {reason}", critical=True)
        else:
            self.driver.clear("kill switch", reason)
        self._hold()

    def _hold(self) -> None:
        """Pause dispatch of all but CRITICAL events in maintenance and while the kill switch is on."""
        self.bus.dispatcher.hold(self.machine.state is SystemState.MAINTENANCE or self.switch.engaged)

    def _on_transition(self, transition: Transition) -> None:
        logger.info("%s → %s: %s", transition.from_state, transition.to_state, transition.reason)
        self._hold()
        if transition.to_state in _WORSE:
            self.alerts.raise_alert(
                Severity.CRITICAL, f"{transition.from_state} → {transition.to_state}", transition.reason
            )
        self._publish_own(
            "system.state.changed",
            {
                "from": transition.from_state.value,
                "to": transition.to_state.value,
                "reason": transition.reason,
                "at": transition.at,
            },
        )

    def _publish_own(self, event_type: str, payload: dict[str, Any]) -> None:
        """Publish an event of the bus's own without waiting for the disk."""
        try:
            future, _ = self.bus.submit(event_type, payload, source=SOURCE, reserved=True)
        except EventMonitorError as error:
            logger.warning("%s was not published: %s", event_type, error)
            return
        future.add_done_callback(_report_lost)

    # --- once a second ----------------------------------------------------------------------

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                await self._watch_rules()
                await self._take_spool()
            except StoreUnavailable as error:
                logger.warning("%s", error)
            except OSError as error:
                logger.warning("the home cannot be read: %s", error)

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

    async def _watch_rules(self) -> None:
        stamp = _file_stamp(self.paths.rules)
        if stamp == self._rules_stamp:
            return
        self._rules_stamp = stamp
        try:
            text = await self.reload_rules()
        except InvalidConfig as error:
            self.alerts.raise_alert(
                Severity.WARNING, "Routing rules were not reloaded", f"{error}; the old rules stay in force"
            )
        else:
            logger.info("%s", text)

    async def reload_rules(self) -> str:
        """Read the rules again. Raises ``InvalidConfig``; then the old ones stay in force."""
        rules = await asyncio.to_thread(read_rules, self.paths.rules, NAMES)
        self.bus.rules = rules
        self._rules_stamp = _file_stamp(self.paths.rules)
        return f"{len(rules)} routing rules are in force"

    async def _take_spool(self) -> None:
        """Publish what was spooled while no bus ran, the oldest first."""
        while True:
            entries = await asyncio.to_thread(self._spool.entries, _SPOOL_PAGE)
            for entry in entries:
                if not await self._take_entry(entry):
                    return
            if len(entries) < _SPOOL_PAGE:
                return

    async def _take_entry(self, entry: SpoolEntry) -> bool:
        """Publish a spooled file and remove it. False if it must wait: the disk or the queue is full.

        Its idempotency keys make it safe to take the same file twice."""
        try:
            publishes = await asyncio.to_thread(self._spool.read, entry, self.settings.bus.max_payload_bytes)
            outcomes = await self._answers.publish_all(publishes)
        except FileNotFoundError:
            return True
        except InvalidEvent as error:
            outcomes = [error]
        refused = [outcome for outcome in outcomes if isinstance(outcome, EventMonitorError)]
        if any(isinstance(error, StoreUnavailable | BusFull | BusClosed) for error in refused):
            return False
        if not refused:
            await asyncio.to_thread(self._spool.done, entry)
            return True
        reasons = "; ".join(str(error) for error in refused[:3])
        await asyncio.to_thread(self._spool.reject, entry, reasons)
        self.alerts.raise_alert(
            Severity.WARNING,
            "A spooled event was refused",
            f"{reasons}; it is kept in {self.paths.spool}/bad",
        )
        return True

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


def _report_lost(future: asyncio.Future[int]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        logger.warning("an event of the bus's own was not stored: %s", error)


def _aside_note(bus: EventBus) -> str | None:
    if bus.store.set_aside is None:
        return None
    return f"the event store was damaged: it is kept as {bus.store.set_aside.name}, a fresh one was begun"


def _file_stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
