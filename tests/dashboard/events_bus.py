"""The Events tab on a real bus: a runtime on a thread of its own, with a recorded history."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from event_monitor.config import DashboardSettings
from event_monitor.dashboard.app import EventMonitorApp
from event_monitor.dashboard.events.tab import EventsTab
from event_monitor.dashboard.memory import Memory
from event_monitor.host import BusThread, LocalClient
from event_monitor.messages import Message, Publish, QueryEvents
from event_monitor.model import Event
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime
from tests.bus import big_history
from tests.bus.helpers import settings
from tests.dashboard.driving import at_rest

RECORDED = 1_000
_PATIENCE = 600


class Explorer:
    """A dashboard with the Events tab open, and the bus beneath it."""

    def __init__(self, thread: BusThread, app: EventMonitorApp, pilot: Pilot[Any]) -> None:
        self.thread = thread
        self.app = app
        self.pilot = pilot

    @property
    def tab(self) -> EventsTab:
        tab = self.app.tabs.active
        assert isinstance(tab, EventsTab)
        return tab

    @property
    def ids(self) -> list[int]:
        return [row.id for row in self.tab.window.rows]

    @property
    def selected(self) -> int | None:
        return self.tab.list.selected_id

    async def press(self, *keys: str) -> None:
        """Press keys and wait until what they began has ended."""
        await self.pilot.press(*keys)
        await self.rest()

    async def rest(self) -> None:
        """Wait until nothing is under way. The bus answers from another thread, so time must pass."""
        await self.pilot.pause()
        for _ in range(_PATIENCE):
            if at_rest(self.app):
                await self.pilot.pause()
                return
            await self.pilot.pause(0.01)
        raise AssertionError("something is still under way")

    async def type(self, text: str) -> None:
        """Have a text in the field that has the focus, as if pasted: that keys arrive in it is seen
        elsewhere, and each costs a turn of the screen."""
        await self.pilot.pause()
        field = self.app.focused
        assert isinstance(field, Input)
        field.insert_text_at_cursor(text)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for what the bus or a timer brings about."""
        for _ in range(_PATIENCE):
            if condition():
                await self.rest()
                return
            await self.pilot.pause(0.01)
        raise AssertionError("it did not happen")

    async def until_asked(self, word: str) -> None:
        """Wait until events with this word are looked for; the answer may be under way for ever."""
        for _ in range(_PATIENCE):
            if self.tab.window.where.words == (word,):
                return
            await self.pilot.pause(0.01)
        raise AssertionError("it was not asked")

    def ask(self, message: Message) -> Any:
        """What the bus answers, asked past the dashboard."""
        return self.thread.submit(lambda runtime: runtime.handle(message)).result(30)

    def publish(self, event_type: str = "a.b", **options: Any) -> int:
        number: int = self.ask(Publish(event_type=event_type, **options)).id
        return number

    def newest(self) -> Event:
        event: Event = self.ask(QueryEvents(limit=1)).events[0]
        return event


@contextlib.asynccontextmanager
async def explorer(
    home: Path,
    *,
    recorded: int = RECORDED,
    size: tuple[int, int] = (120, 36),
    memory: Memory | None = None,
    read_only: bool = False,
) -> AsyncIterator[Explorer]:
    """A bus on ``home`` with so many recorded events, and the tab on its newest ones."""
    paths = HomePaths(str(home))
    Path(paths.bus_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    if recorded and not Path(paths.database).exists():
        big_history.record(Path(paths.database), recorded)
    thread = BusThread(lambda: Runtime.start(paths, settings()))
    thread.start()
    try:
        app = EventMonitorApp(
            LocalClient(thread, read_only=read_only),
            DashboardSettings(refresh=0.05, reduced_motion=True),
            mask=("token", "password"),
            memory=memory or Memory(),
            read_only=read_only,
        )
        async with app.run_test(size=size, notifications=True) as pilot:
            found = Explorer(thread, app, pilot)
            await found.until(lambda: app.snapshot is not None and app.snapshot.state == "HEALTHY")
            await found.press("2")
            await found.until(lambda: app.tabs.active.NAME == "events")
            await found.until(lambda: found.tab.window.head is not None)
            # What was said about the start would lie over the list for a while.
            app.clear_notifications()
            await found.rest()
            yield found
    finally:
        thread.stop()
