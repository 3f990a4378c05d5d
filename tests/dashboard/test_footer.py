"""The footer names only what a key press reaches from where the focus is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from event_monitor.dashboard.app import EventMonitorApp
from event_monitor.messages import Message
from event_monitor.widgets.footer import FooterKey, FooterPanel, that_fit
from tests.dashboard import dead_letters_scene, events_scene, replay_scene, scene
from tests.dashboard.console_scene import Scripted
from tests.dashboard.driving import rows, said, settle

SIZE = (120, 36)
SIZES = (SIZE, (80, 24), (40, 12))
CLIENTS: dict[str, Callable[[], scene.FakeClient]] = {
    "overview": scene.FakeClient,
    "events": events_scene.HistoryClient,
    "replay": lambda: replay_scene.ReplayClient(replay_scene.many()),
    "dead_letters": dead_letters_scene.DeadClient,
    "console": lambda: Scripted(scene.calm()),
}


def footer(app: EventMonitorApp) -> dict[str, str]:
    """What the footer shows: labels by key."""
    panel = app.screen_stack[0].query_one(FooterPanel)
    shown = that_fit(panel._keys, panel.size.width - 2)
    painted = rows(app)[-1]
    assert all(f"{key.key} {key.label}" in painted for key in shown), painted
    return {key.key: key.label for key in shown}


@pytest.mark.parametrize("tab", CLIENTS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_help_is_named_where_it_works_and_quit_where_there_is_room(
    tab: str, size: tuple[int, int]
) -> None:
    app = scene.app(CLIENTS[tab]())
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        app.action_act(f"tab_{tab}")
        await settle(pilot)
        if tab == "console":
            await pilot.press("escape")
            await settle(pilot)
        shown = footer(app)
        assert shown["?"] == "Help"
        if size[0] >= 80:
            assert shown["q"] == "Quit" and shown["^p"] == "Commands"


async def test_a_key_that_goes_into_the_prompt_is_not_named() -> None:
    app = scene.app(CLIENTS["console"]())
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("5")
        await settle(pilot)
        shown = footer(app)
        assert [key for key in shown if len(key) == 1] == []
        assert list(shown)[:4] == ["enter", "tab", "esc", "^c"]
        assert shown["^t"] == "Tables or JSON" and shown["^q"] == "Quit"

        await pilot.press("escape")
        await settle(pilot)
        shown = footer(app)
        assert shown["i"] == "Type" and shown["q"] == "Quit" and "enter" not in shown


@pytest.mark.parametrize("tab", ["overview", "events"])
async def test_while_a_filter_is_typed_only_its_own_keys_and_control_keys_are_named(tab: str) -> None:
    app = scene.app(CLIENTS[tab]())
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        app.action_act(f"tab_{tab}")
        await settle(pilot)
        before = footer(app)
        assert before["/"] == "Filter" and before["enter"] == "Details"

        await pilot.press("slash")
        await settle(pilot)
        shown = footer(app)
        assert shown == {"enter": "Apply", "esc": "Clear", "^p": "Commands", "^q": "Quit"}

        await pilot.press("escape")
        await settle(pilot)
        assert footer(app) == before


async def test_each_key_that_is_named_is_the_one_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    app = scene.app(keys={"freeze": "f", "quit": "Q"})
    done: list[str] = []
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        shown = footer(app)
        assert shown["f"] == "Freeze" and shown["Q"] == "Quit" and "space" not in shown
        monkeypatch.setattr(app, "action_act", lambda action_id: done.append(action_id))
        panel = app.screen.query_one(FooterPanel)
        for start, _, _ in list(panel._places):
            await pilot.click(FooterPanel, offset=(start, 0))
        await pilot.press("f", "Q")
    assert done[0] == "filter" and done[-2:] == ["freeze", "quit"]
    assert len(done) == len(shown) + 2


async def test_a_click_on_what_the_filter_line_offers_is_that() -> None:
    app = scene.app()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"mcp")
        await settle(pilot)
        panel = app.screen.query_one(FooterPanel)
        place = next(start for start, _, action in panel._places if action == "focused.leave")
        await pilot.click(FooterPanel, offset=(place, 0))
        await settle(pilot)
        assert app.feed.has_focus and app.feed._filter_text == "mcp"


async def test_in_a_read_only_view_a_change_is_shown_as_not_available() -> None:
    app = scene.app(read_only=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot)
        keys = {key.label: key for key in app.screen.query_one(FooterPanel)._keys}
        assert not keys["Acknowledge"].available and keys["Filter"].available
        await app.run_action(keys["Acknowledge"].action)
        await settle(pilot)
        assert any("read-only" in message for message in said(app))


class LateClient(scene.FakeClient):
    """Its first picture comes when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def request(self, message: Message) -> Any:
        await self.let.wait()
        return await super().request(message)


async def test_the_tabs_keys_work_also_where_the_first_picture_comes_late() -> None:
    client = LateClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(10):
            await pilot.pause()
        assert app.snapshot is None
        client.let.set()
        await settle(pilot)
        assert app.feed.has_focus
        assert footer(app)["space"] == "Freeze"


def test_the_least_important_keys_give_way() -> None:
    keys = [
        FooterKey("a", "a", "One", rank=1),
        FooterKey("b", "b", "Long and unimportant", rank=9),
        FooterKey("c", "c", "Two", rank=2),
    ]
    assert [key.action for key in that_fit(keys, 80)] == ["a", "b", "c"]
    assert [key.action for key in that_fit(keys, 12)] == ["a", "c"]
    assert [key.action for key in that_fit(keys, 11)] == ["a"]
    assert that_fit(keys, 0) == []
