"""The Console on a real bus, and on fixed answers for pictures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from textual.pilot import Pilot

from event_monitor.config import DashboardSettings
from event_monitor.dashboard.app import EventMonitorApp
from event_monitor.dashboard.console.prompt import PromptArea
from event_monitor.dashboard.console.tab import ConsoleTab
from event_monitor.dashboard.memory import Memory
from event_monitor.host import BusThread, LocalClient
from event_monitor.messages import GetAnalytics, GetStats, Message, PublishText, QueryBreakers, QueryEvents
from event_monitor.model import Event, Priority, Status
from event_monitor.paths import HomePaths
from event_monitor.replies.general import Analytics, BreakerReport, Breakers, EventPage, Published
from event_monitor.runtime import Runtime
from tests.dashboard import scene
from tests.dashboard.driving import text

PATIENCE = 30.0
MASK = ("token", "password", "authorization")
KEYS = {
    " ": "space",
    "\n": "ctrl+j",
    "-": "minus",
    ".": "full_stop",
    "{": "left_curly_bracket",
    "}": "right_curly_bracket",
}


class Counting(LocalClient):
    """The real client; counts what it is asked, and holds answers back while ``gate`` is closed."""

    def __init__(self, thread: BusThread, *, read_only: bool = False) -> None:
        super().__init__(thread, read_only=read_only)
        self.messages: list[Message] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.held: type[Message] | None = None

    async def request(self, message: Message) -> Any:
        self.messages.append(message)
        reply = await super().request(message)
        if self.held is not None and isinstance(message, self.held):
            await self.gate.wait()
        return reply


class Console:
    """An open Console tab and the bus behind it."""

    def __init__(self, pilot: Pilot[Any], client: Counting, thread: BusThread) -> None:
        self.pilot = pilot
        self.client = client
        self._thread = thread
        app = pilot.app
        assert isinstance(app, EventMonitorApp)
        self.app = app

    @property
    def tab(self) -> ConsoleTab:
        tab = self.app.tabs.active
        assert isinstance(tab, ConsoleTab)
        return tab

    @property
    def prompt(self) -> PromptArea:
        return self.tab.query_one(PromptArea)

    @property
    def shown(self) -> str:
        """What can be read on the screen."""
        return text(self.app)

    async def bus(self, message: Message) -> Any:
        """Ask the bus itself, past the dashboard."""
        return await asyncio.wrap_future(self._thread.submit(lambda runtime: runtime.handle(message)))

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until the screen, or whatever it is, is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self.pilot.pause(0.01)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, line: str) -> None:
        """Type, as it is; a new line is one within the command."""
        await self.pilot.press(*(KEYS.get(character, character) for character in line))
        await self.pilot.pause()

    async def enter(self, line: str) -> None:
        """Have a line carried out, and wait for its end."""
        self.prompt.set_text(line)
        await self.press("enter")
        await self.idle()

    async def idle(self) -> None:
        """Wait until no command runs."""
        await self.until(lambda: not self.tab._runner.running)
        await self.pilot.pause()

    async def picture(self) -> None:
        """Have the dashboard take its next picture."""
        before = self.app.snapshot
        self.app.refresh_soon()
        await self.until(lambda: self.app.snapshot is not before)
        await self.pilot.pause()


@contextlib.asynccontextmanager
async def console(
    home: Path,
    size: tuple[int, int] = (120, 36),
    *,
    read_only: bool = False,
    keys: Mapping[str, str] = MappingProxyType({}),
    before: Callable[[], None] = lambda: None,
) -> AsyncIterator[Console]:
    """The dashboard of a home on its Console, the bus in this process."""
    paths = HomePaths(str(home))
    thread = BusThread(lambda: Runtime.start(paths))
    await asyncio.to_thread(thread.start)
    before()
    client = Counting(thread, read_only=read_only)
    app = EventMonitorApp(
        client,
        DashboardSettings(refresh=600.0, reduced_motion=True, keys=dict(keys)),
        mask=MASK,
        read_only=read_only,
        memory=Memory(paths.dashboard),
        spool=paths.spool,
    )
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            opened = Console(pilot, client, thread)
            await opened.until(lambda: app.snapshot is not None)
            # From inside a prompt as well: the tab of the last time opens by itself.
            await opened.press("f5")
            await opened.until(lambda: isinstance(app.tabs.active, ConsoleTab) and opened.prompt.has_focus)
            await opened.until(lambda: opened.tab.loaded)
            yield opened
    finally:
        await asyncio.to_thread(thread.stop)


# --- fixed answers --------------------------------------------------------------------------


def _event(number: int, event_type: str, priority: Priority, **payload: Any) -> Event:
    return Event(
        id=number,
        timestamp=f"2026-03-14T15:41:{number % 60:02}.000000Z",
        event_type=event_type,
        payload=payload,
        priority=priority,
        status=Status.DELIVERED,
    )


EVENTS = [
    _event(18_229, "mcp.server.down", Priority.CRITICAL, service="github", token="sesame"),
    _event(18_230, "command.executed", Priority.NORMAL, command="git status", exit_code=0),
    _event(18_231, "build.done", Priority.NORMAL, exit_code=1, branch="main"),
]


class Scripted(scene.FakeClient):
    """Answers what the pictures ask."""

    async def _answer(self, message: Message) -> Any:
        match message:
            case PublishText():
                return Published(
                    id=18_231,
                    event_type=message.event_type,
                    priority=Priority.CRITICAL,
                    status="accepted",
                    targets=["alert", "recovery", "log"],
                )
            case QueryBreakers():
                states = {"filesystem": "CLOSED", "github": "OPEN", "memory": "HALF_OPEN"}
                return Breakers(
                    breakers=[
                        BreakerReport(
                            service=name,
                            state=state,
                            failure_count=5 * (state == "OPEN"),
                            forced=None,
                            retry_after=21.0 if state == "OPEN" else None,
                        )
                        for name, state in states.items()
                    ]
                )
            case QueryEvents():
                return EventPage(events=EVENTS[::-1])
            case GetAnalytics():
                return Analytics(by_type=[], by_command=[])
            case GetStats():
                return await super()._answer(message)
        return await super()._answer(message)
