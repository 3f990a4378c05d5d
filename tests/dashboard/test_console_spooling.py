"""What is published on the Console while no bus answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from event_monitor.config import DashboardSettings
from event_monitor.control.client import SocketClient
from event_monitor.dashboard.app import EventMonitorApp
from event_monitor.dashboard.console.prompt import PromptArea
from event_monitor.dashboard.console.tab import ConsoleTab
from event_monitor.dashboard.memory import Memory
from event_monitor.errors import NoBus
from event_monitor.messages import Message, PublishText
from event_monitor.paths import HomePaths
from tests.dashboard.driving import text
from tests.processes import Headless, headless, wait_for

PATIENCE = 30.0


class Losing(SocketClient):
    """Loses the answer to what is published, after the bus has taken it."""

    lose = False

    async def request(self, message: Message) -> Any:
        reply = await super().request(message)
        if self.lose and isinstance(message, PublishText):
            raise NoBus("the connection was closed", "start event-monitor")
        return reply

    def apart(self, timeout: float) -> SocketClient:
        return self


class View:
    """A view of a bus in another process, on its Console."""

    def __init__(self, pilot: Pilot[Any], app: EventMonitorApp) -> None:
        self._pilot = pilot
        self._app = app

    @property
    def shown(self) -> str:
        return " ".join(text(self._app).split())

    async def enter(self, line: str) -> str:
        """Have a line carried out; answers what is shown then."""
        tab = self._app.tabs.active
        assert isinstance(tab, ConsoleTab)
        tab.query_one(PromptArea).set_text(line)
        await self._pilot.press("enter")
        async with asyncio.timeout(PATIENCE):
            while tab._runner.running:
                await self._pilot.pause(0.01)
        await self._pilot.pause()
        return self.shown


@contextlib.asynccontextmanager
async def view(
    paths: HomePaths, client: SocketClient, *, spool: bool = True, read_only: bool = False
) -> AsyncIterator[View]:
    app = EventMonitorApp(
        client,
        DashboardSettings(refresh=600.0, reduced_motion=True),
        read_only=read_only,
        memory=Memory(paths.dashboard),
        spool=paths.spool if spool else None,
    )
    async with app.run_test(size=(120, 36)) as pilot:
        async with asyncio.timeout(PATIENCE):
            while app.snapshot is None:
                await pilot.pause(0.01)
            await pilot.press("f5")
            while not (isinstance(app.tabs.active, ConsoleTab) and app.tabs.active.loaded):
                await pilot.pause(0.01)
        yield View(pilot, app)


def kept(paths: HomePaths) -> list[dict[str, Any]]:
    """What waits in the spool."""
    entries = Path(paths.spool, "new")
    return [json.loads(entry.read_bytes()) for entry in sorted(entries.iterdir())] if entries.exists() else []


def recorded(bus: Headless) -> list[dict[str, Any]]:
    """The test's events that a bus has, once it has read its spool."""
    wait_for(lambda: not kept(HomePaths(str(bus.home))))
    events: list[dict[str, Any]] = bus.ask(do="query_events")["events"]
    return [event for event in events if event["event_type"].startswith("late.")]


async def test_an_event_for_a_bus_that_has_gone_is_kept_and_delivered_by_the_next(home: Path) -> None:
    paths = HomePaths(str(home))
    with headless(home) as first:
        async with view(paths, SocketClient(paths.socket)) as opened:
            assert "accepted late.one" in await opened.enter("publish late.one")
            first.kill()
            shown = await opened.enter('publish late.two {"n": 2} --priority high')
            assert "spooled late.two: no bus answered; it is delivered as soon as one runs" in shown
            assert "no answer on" not in shown
            assert "no answer on" in await opened.enter("stats"), "other commands say that nobody answers"
            assert "spooled late..three" not in await opened.enter("publish late..three")
            assert [entry["event_type"] for entry in kept(paths)] == ["late.two"], "checked before it is kept"
            with headless(home) as second:
                assert "accepted late.four" in await opened.enter("publish late.four")
                events = {event["event_type"]: event for event in recorded(second)}
                assert set(events) == {"late.one", "late.two", "late.four"}
                assert events["late.two"]["payload"] == {"n": 2}
                assert events["late.two"]["priority"] == "HIGH"


async def test_an_event_whose_answer_was_lost_is_not_doubled(home: Path) -> None:
    paths = HomePaths(str(home))
    client = Losing(paths.socket)
    with headless(home) as first:
        async with view(paths, client) as opened:
            client.lose = True
            assert "spooled late.one" in await opened.enter("publish late.one")
            first.kill()
            with headless(home) as second:
                assert [event["event_type"] for event in recorded(second)] == ["late.one"]


async def test_nothing_is_kept_for_another_machine_nor_by_a_read_only_view(home: Path) -> None:
    paths = HomePaths(str(home))
    with headless(home) as bus:
        async with view(paths, SocketClient(paths.socket), spool=False) as opened:
            bus.kill()
            shown = await opened.enter("publish late.one")
            assert "no answer on" in shown and "the event was not kept" in shown
    with headless(home) as bus:
        async with view(paths, SocketClient(paths.socket, read_only=True), read_only=True) as opened:
            bus.kill()
            assert "read-only" in await opened.enter("publish late.one")
    assert kept(paths) == []
