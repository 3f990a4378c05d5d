"""A read-only view of a real bus: no key, palette entry or message of it changes anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import pytest
from textual.screen import Screen

from event_monitor import messages as m
from event_monitor.config import DashboardSettings
from event_monitor.dashboard.actions import ACTIONS
from event_monitor.dashboard.app import EventMonitorApp
from event_monitor.dashboard.palette import ActionProvider
from event_monitor.dashboard.tabs import TABS
from event_monitor.errors import ReadOnly
from event_monitor.host import BusThread, LocalClient
from event_monitor.messages.catalogue import COMMANDS
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime
from tests.dashboard.driving import said, settle

CHANGING = [action for action in ACTIONS if action.changes]
BUILT = {info.name for info in TABS if find_spec(info.module) is not None}
ANY: dict[str, Any] = {"str": "x", "int": 1, "bool": True, "list": [], "dict": {}, "tuple": (), "float": 1.0}


def least(kind: type[m.Message]) -> m.Message:
    """A message with something in each field that must be given."""
    fields = {field.name: _something(field.type) for field in msgspec.structs.fields(kind) if field.required}
    return kind(**fields)


def _something(wanted: Any) -> Any:
    if get_origin(wanted) is Literal:
        return get_args(wanted)[0]
    if get_origin(wanted) is Annotated:
        return _something(get_args(wanted)[0])
    return ANY[(get_origin(wanted) or wanted).__name__]


@pytest.fixture
def bus(home: Path) -> Iterator[BusThread]:
    thread = BusThread(lambda: Runtime.start(HomePaths(str(home))))
    thread.start()
    yield thread
    thread.stop()


class Watched(LocalClient):
    """A client that remembers the commands that it was given."""

    def __init__(self, thread: BusThread) -> None:
        super().__init__(thread, read_only=True)
        self.commands: list[m.Message] = []

    async def request(self, message: m.Message) -> Any:
        if isinstance(message, COMMANDS):
            self.commands.append(message)
        return await super().request(message)


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
async def test_the_entrance_refuses_every_command(bus: BusThread, kind: type[m.Message]) -> None:
    with pytest.raises(ReadOnly):
        await LocalClient(bus, read_only=True).request(least(kind))


async def test_no_action_opens_a_dialog_or_sends_a_command(bus: BusThread) -> None:
    client = Watched(bus)
    app = EventMonitorApp(client, DashboardSettings(refresh=60.0, reduced_motion=True), read_only=True)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await settle(pilot)
        base: Screen[Any] = app.screen
        for name in (info.name for info in TABS if info.name in BUILT):
            app.action_act(f"tab_{name}")
            await _until(pilot, lambda name=name: name == app.tabs.active.NAME)  # type: ignore[misc]
            everywhere = "" if name == "overview" else name
            for action in (one for one in CHANGING if one.tab in (everywhere, name)):
                for key in filter(None, action.keys.split(",")):
                    await pilot.press(key)
                app.action_act(action.id)
                await settle(pilot)
                assert app.screen is base, f"{action.id} opened a dialog"
                assert f"{action.label}: this view is read-only" in said(app), action.id
        assert client.commands == []


async def test_the_palette_says_what_a_read_only_view_cannot_do(bus: BusThread) -> None:
    app = EventMonitorApp(Watched(bus), DashboardSettings(refresh=60.0), read_only=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        told = {entry.name: entry.told for entry in ActionProvider(app.screen)._entries()}
        blocked = {action.title for action in CHANGING if action.palette}
        assert blocked, "the table names no change"
        for title in blocked:
            assert "not in a read-only view" in told[title], title


async def _until(pilot: Any, condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await pilot.pause(0.01)
