"""The Replay tab before a real bus with a recorded history, driven by keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from event_monitor.config import DashboardSettings
from event_monitor.control.client import SocketClient
from event_monitor.dashboard.app import EventMonitorApp
from event_monitor.dashboard.memory import Memory
from event_monitor.dashboard.replay.tab import ReplayTab
from event_monitor.messages import QueryReplays
from event_monitor.replies.replays import ReplayReport
from event_monitor.runtime import Runtime
from tests.bus.replaying import record

WIDE = (120, 36)
# Ten minutes of history, an event every five seconds, one in ten of which is an outage.
EVENTS = 120
APART = 5.0


class Screen:
    """The app on a socket, its pilot and the Replay tab; waits are for what is to be seen."""

    def __init__(self, app: EventMonitorApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def tab(self) -> ReplayTab:
        assert isinstance(self.app.tabs.active, ReplayTab)
        return self.app.tabs.active

    async def press(self, *keys: str) -> None:
        """Press keys and let them take effect."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Let the app work, with a picture now and then, until something holds."""
        async with asyncio.timeout(60):
            while not (found := condition()):
                self.app.refresh_soon()
                await self.pilot.pause(0.02)
        return found

    async def planned(self) -> Any:
        """The plan of what is chosen now."""
        tab = self.tab
        return await self.until(lambda: tab.planner.question == tab.question() and tab.planner.plan)

    async def open(self) -> None:
        """Go to the tab and wait for its plan."""
        await self.press("3")
        await self.until(lambda: isinstance(self.app.tabs.active, ReplayTab) and self.tab.history.span)
        await self.planned()

    async def asked(self, dialog: str) -> None:
        """Wait for a dialog."""
        await self.until(lambda: type(self.app.screen).__name__ == dialog)

    async def chosen(self, condition: Callable[[ReplayReport], Any]) -> ReplayReport:
        """The chosen replay once something holds of it."""
        runs = self.tab.runs
        await self.until(lambda: runs.chosen is not None and condition(runs.chosen))
        assert runs.chosen is not None
        return runs.chosen


@asynccontextmanager
async def screen(
    path: str,
    *,
    size: tuple[int, int] = WIDE,
    memory: Memory | None = None,
    read_only: bool = False,
    **settings: Any,
) -> AsyncIterator[Screen]:
    """A dashboard on the bus at ``path``."""
    client = SocketClient(path, read_only=read_only)
    wanted = DashboardSettings(refresh=60.0, reduced_motion=True, **settings)
    app = EventMonitorApp(client, wanted, memory=memory, read_only=read_only)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Screen(app, pilot)
    await client.close()


async def fill(runtime: Runtime, begin: float) -> None:
    """Record a history that begins at ``begin`` (epoch seconds)."""
    from tests.bus.replaying import LONG_AGO

    await record(
        runtime.bus,
        [
            (
                begin - LONG_AGO + APART * number,
                "mcp.server.down" if number % 10 == 0 else "command.executed",
                {"service": "nothing", "n": number},
            )
            for number in range(EVENTS)
        ],
    )


async def replays(runtime: Runtime) -> list[ReplayReport]:
    """All replays, the newest first."""
    found: list[ReplayReport] = (await runtime.handle(QueryReplays())).replays
    return found
