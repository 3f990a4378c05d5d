"""A bus with its watchdog on virtual time. Only the thread that looks for stalls is not started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from event_monitor.bus.event_bus import EventBus
from event_monitor.clock import LoopClock
from event_monitor.config import WatchSettings
from event_monitor.model import Alert, SystemState
from event_monitor.system.alerts import AlertBook
from event_monitor.system.driver import StateDriver
from event_monitor.system.figures import FigureWatch
from event_monitor.system.resources import Usage
from event_monitor.system.state_machine import StateMachine
from event_monitor.system.watchdog import LOOK_INTERVAL, Watchdog
from tests.bus.helpers import settings

MIB = 1_048_576
ROOMY = Usage(rss_bytes=50 * MIB, fds=30, fd_limit=1_024, threads=8, disk_free=10_000 * MIB)


class Watched:
    """The parts, and what they said."""

    def __init__(self, bus: EventBus, machine: StateMachine, limits: WatchSettings, path: Path) -> None:
        self.bus = bus
        self.machine = machine
        self.alerts = AlertBook(bus.store, bus.clock)
        self.driver = StateDriver(machine)
        self.usage = ROOMY
        self.states: list[SystemState] = []
        machine.on_transition = lambda transition: self.states.append(transition.to_state)
        self.figures = FigureWatch(
            bus, self.alerts, self.driver, limits, home=path, usage=lambda home: self.usage
        )
        self.dog = Watchdog(bus, self.alerts, self.driver, limits, home=path, figures=self.figures)

    async def look(self, times: int = 1) -> None:
        """As the watchdog does, with its pauses."""
        for _ in range(times):
            await asyncio.sleep(LOOK_INTERVAL)
            self.dog.look()

    def told(self, part: str) -> Alert:
        """The one alert whose title has ``part``."""
        found = [alert for alert in self.alerts.newest(100) if part in alert.title]
        assert len(found) == 1, found
        return found[0]

    @property
    def titles(self) -> list[str]:
        return [alert.title for alert in self.alerts.newest(100) if not alert.acknowledged]


@asynccontextmanager
async def watched(path: Path, limits: WatchSettings | None = None, **sections: Any) -> AsyncIterator[Watched]:
    """A started bus that is HEALTHY."""
    clock = LoopClock(asyncio.get_running_loop())
    bus = await EventBus.open(path / "events.db", settings=settings(**sections), clock=clock)
    scene = Watched(bus, StateMachine(path / "current.json", clock), limits or WatchSettings(), path)
    driving = asyncio.create_task(scene.driver.run())
    scene.driver.begin()
    await scene.driver.settle()
    try:
        async with bus:
            yield scene
    finally:
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)
