"""Finds what stands still, waits in a circle, or uses too much, and tells of it in an alert."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

from event_monitor.breakers import TARGET
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.inflight import Pending
from event_monitor.bus.lane import Lane
from event_monitor.config import WatchSettings
from event_monitor.model import Severity
from event_monitor.resilience.locks import TrackedLock
from event_monitor.resilience.waits import Deadlock
from event_monitor.stacks import on_one_line, stack_of_task
from event_monitor.system.alerts import AlertBook
from event_monitor.system.driver import StateDriver
from event_monitor.system.figures import FigureWatch
from event_monitor.system.interpreter import InterpreterDump
from event_monitor.system.progress import ProgressWatch, Standstill
from event_monitor.system.stalls import Stall, StallWatch
from event_monitor.system.tasks import TaskTable

logger = logging.getLogger(__name__)

LOOK_INTERVAL = 0.4
# A stall is over for the system's state once there was none for so long, in seconds.
STALL_HOLD = 5.0
_STALL = "loop stall"


class Watchdog:
    """Watches one bus from ``start`` to ``stop``, both on the bus's loop.

    Deadlocks are found when their last wait begins and stalls by a thread; the rest is looked at
    every ``LOOK_INTERVAL`` seconds, off the events' way. ``dump`` names a file for stacks of calls
    that keep the interpreter to themselves; one watchdog of a process may have it. Without
    ``watch_stalls`` there is no such thread.
    """

    def __init__(
        self,
        bus: EventBus,
        alerts: AlertBook,
        driver: StateDriver,
        limits: WatchSettings,
        *,
        home: Path,
        dump: Path | None = None,
        figures: FigureWatch | None = None,
        watch_stalls: bool = True,
    ) -> None:
        loop = asyncio.get_running_loop()
        clock = bus.clock.monotonic
        self.tasks = TaskTable(bus, loop, threading.get_ident())
        self.stalls = StallWatch(
            loop, clock, limit=limits.stall, dump=None if dump is None else InterpreterDump(dump)
        )
        self._bus = bus
        self._alerts = alerts
        self._driver = driver
        self._watch_stalls = watch_stalls
        self._interval = limits.interval
        self._figures = figures or FigureWatch(bus, alerts, driver, limits, home=home)
        self._progress = ProgressWatch()
        self._stuck: dict[str, Standstill] = {}
        self._told_zombies: set[asyncio.Task[Any]] = set()
        self._told_locks: set[tuple[str, float]] = set()
        self._watching: list[asyncio.Task[None]] = []
        self.stalls.on_begin = self._stall_began
        self.stalls.on_end = self._stall_ended
        bus.waits.on_deadlock = self._deadlock
        bus.dispatcher.on_overdue = self._overdue
        bus.dispatcher.on_lost = self._lost

    def start(self) -> None:
        """Begin to watch."""
        if self._watch_stalls:
            self.stalls.start()
        self._watching = [
            asyncio.create_task(self._look_forever(), name="watchdog"),
            asyncio.create_task(self._measure_forever(), name="watchdog-figures"),
        ]

    async def stop(self) -> None:
        """Cease to watch."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self.stalls.stop()

    async def _look_forever(self) -> None:
        clock = self._bus.clock.monotonic
        while True:
            began = clock()
            await asyncio.sleep(LOOK_INTERVAL)
            if clock() - began > 2 * LOOK_INTERVAL:
                self._progress.forget()
            self.look()

    async def _measure_forever(self) -> None:
        while True:
            await self._figures.look()
            await asyncio.sleep(self._interval)

    def look(self) -> None:
        """Look once at lanes, locks, waits and handlers that were left behind."""
        now = self._bus.clock.monotonic()
        lanes = list(self._bus.dispatcher.lanes.values())
        self._bus.waits.check()
        self._look_at_zombies(lanes)
        self._look_at_locks(now)
        self._look_at_progress(lanes, now)

    # --- stalls -----------------------------------------------------------------------------

    def _stall_began(self, stall: Stall) -> None:
        self._driver.fail(_STALL, f"the bus stood still in {stall.who}")

    def _stall_ended(self, stall: Stall, seconds: float) -> None:
        self._alerts.raise_alert(
            Severity.CRITICAL,
            f"The bus stood still in {stall.who}",
            f"for {seconds:.1f} s: let it await, or make it a plain function, which runs on a thread. "
            f"Stack: {on_one_line(stall.stack)}",
        )
        self._driver.clear(_STALL, "the bus's loop runs again", after=STALL_HOLD)

    # --- handlers and waits -----------------------------------------------------------------

    def _deadlock(self, deadlock: Deadlock) -> None:
        stacks = "; ".join(f"{one.task}: {on_one_line(one.stack)}" for one in deadlock.waits)
        logger.error("deadlock, broken: %s. Stacks: %s", deadlock, stacks)
        self._alerts.raise_alert(
            Severity.CRITICAL,
            "A deadlock was broken",
            f"{deadlock}. {deadlock.waits[0].task} was told so. Stacks: {stacks}",
        )

    def _overdue(self, lane: Lane, task: asyncio.Task[None], delivery: Pending) -> None:
        event = delivery.record.event
        self._alerts.raise_alert(
            Severity.WARNING,
            f"Handler {lane.name} is past its deadline",
            f"{event.event_type} took more than {lane.timeout:g} s and is cancelled. "
            f"Stack: {on_one_line(stack_of_task(task))}",
            event.id,
            about=f"{TARGET}{lane.name}",
        )

    def _lost(self, what: str, error: BaseException) -> None:
        self._alerts.raise_alert(
            Severity.CRITICAL,
            f"A part of the bus has failed: {what}",
            f"{type(error).__name__}: {error}. What it had in hand is delivered after a restart",
        )

    def _look_at_zombies(self, lanes: list[Lane]) -> None:
        left = {task: lane for lane in lanes for task in lane.abandoned}
        for task in left.keys() - self._told_zombies:
            lane = left[task]
            self._alerts.raise_alert(
                Severity.CRITICAL,
                f"Handler {lane.name} ignores its cancellation",
                f"{len(lane.abandoned)} of its calls run on after their deadline; another worker took the "
                f"place. Stack: {on_one_line(stack_of_task(task))}",
                about=f"{TARGET}{lane.name}",
            )
        self._told_zombies = set(left)

    def _look_at_locks(self, now: float) -> None:
        late = {
            (lock.name, lock.since): lock for lock in self._bus.waits.held if now - lock.since > lock.limit
        }
        for key in late.keys() - self._told_locks:
            self._tell_lock(late[key], now)
        self._told_locks = set(late)

    def _tell_lock(self, lock: TrackedLock, now: float) -> None:
        owner = lock.owner
        if owner is None:
            return
        stack = "its task has ended" if owner.done() else on_one_line(stack_of_task(owner))
        self._alerts.raise_alert(
            Severity.CRITICAL,
            f"{lock.name[0].upper()}{lock.name[1:]} is held too long",
            f"by {self._bus.waits.describe(owner)} for {now - lock.since:.1f} s. Stack: {stack}",
        )

    def _look_at_progress(self, lanes: list[Lane], now: float) -> None:
        found = {one.target: one for one in self._progress.look(lanes, now)}
        for target in found.keys() - self._stuck.keys():
            one = found[target]
            text = f"{one.waiting:,} deliveries wait: {one.reason}"
            logger.error("target %s does not move: %s", target, text)
            self._alerts.raise_alert(
                Severity.CRITICAL,
                _standstill(target),
                f"{text}; see event-cli debug tasks",
                about=f"{TARGET}{target}",
            )
            self._driver.fail(f"queue {target}", f"target {target} does not move: {one.reason}")
        for target in self._stuck.keys() - found.keys():
            self._alerts.settle(_standstill(target), "it moves again")
            self._driver.clear(f"queue {target}", f"target {target} moves again")
        self._stuck = found


def _standstill(target: str) -> str:
    return f"Target {target} does not move"
