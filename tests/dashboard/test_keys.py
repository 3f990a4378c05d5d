"""Every key and every palette entry does what the table of actions says."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette

from event_monitor.dashboard.actions import ACTIONS, key_name, remap
from event_monitor.dashboard.dialogs import ConfirmDialog, DocumentDialog
from event_monitor.dashboard.help_dialog import help_lines
from event_monitor.dashboard.palette import ActionProvider
from event_monitor.messages import AcknowledgeAlerts, GetEvent, ReloadRules, RetryDeadLetters
from tests.dashboard import scene, service_scene
from tests.dashboard.driving import refresh, rows, said, settle, text

SIZE = (120, 36)


async def test_moving_selects_by_event() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        newest = client.picture.feed[-1].id  # type: ignore[index]
        await pilot.press("j")
        assert app.feed.selected is not None and app.feed.selected.id == newest
        await pilot.press("down", "j", "k")
        assert app.feed.selected.id == newest - 1
        await pilot.press("up")
        assert app.feed.selected.id == newest
        await pilot.press("end")
        assert app.feed.selected.id == 1
        await pilot.press("home")
        assert app.feed.selected.id == newest
        await pilot.press("pagedown")
        below = app.feed.selected.id
        assert below < newest - 5
        await pilot.press("pageup")
        assert app.feed.selected.id == newest
        await pilot.press("escape")
        assert app.feed.selected is None


async def test_selection_stays_on_its_event_while_others_arrive() -> None:
    client = scene.FakeClient(scene.snapshot(feed=scene.feed(1)))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("j", "j", "j")
        assert app.feed.selected is not None
        chosen = app.feed.selected.id
        client.picture = scene.snapshot(feed=scene.feed(2), feed_revision=2)
        await refresh(pilot)
        assert app.feed.selected is not None and app.feed.selected.id == chosen
        await pilot.press("enter")
        await settle(pilot)
        assert client.sent == [GetEvent(event_id=chosen)]


async def test_freeze_counts_what_waits() -> None:
    client = scene.FakeClient(scene.snapshot(feed=scene.feed(1)))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("space")
        client.picture = scene.snapshot(feed=scene.feed(2), feed_revision=2)
        before = [row for row in rows(app) if "15:41:" in row]
        await refresh(pilot)
        assert f"{len(scene.feed(1))} waiting" in text(app)
        assert [row for row in rows(app) if "15:41:" in row] == before
        await pilot.press("space")
        await settle(pilot)
        assert "waiting" not in text(app)
        assert [row for row in rows(app) if "15:41:" in row] != before


async def test_filter_applies_while_typing_and_escape_clears_it() -> None:
    app = scene.app()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"GITHUB: CONN")
        await settle(pilot)
        live = text(app).split("Live")[1]
        assert "mcp.server.down" in live and "command.executed" not in live
        await pilot.press("escape")
        await settle(pilot)
        assert "command.executed" in text(app)
        await pilot.press("slash", *"command.#", "enter")
        await settle(pilot)
        live = text(app).split("Live")[1]
        assert "command.failed" in live and "mcp.server.down" not in live
        await pilot.press("j")
        assert app.feed.selected is not None and app.feed.selected.event_type.startswith("command.")


async def test_letters_in_the_filter_are_text_not_keys() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"qay")
        await settle(pilot)
        assert app.is_running and client.sent == []


async def test_details_show_deliveries_causes_and_masked_payload() -> None:
    app = scene.app()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("j", "enter")
        await settle(pilot)
        assert isinstance(app.screen, DocumentDialog)
        shown = text(app)
        for expected in (
            "notification",
            "2 attempts",
            "no display",
            "Caused by",
            "#7",
            '"service"',
            "[masked]",
        ):
            assert expected in shown
        assert "hunter2" not in shown
        await pilot.press("escape")
        assert not isinstance(app.screen, DocumentDialog)


async def test_acknowledge() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("a")
        await settle(pilot)
        assert client.sent == [AcknowledgeAlerts(alert_id=2)]
        assert "Acknowledged: mcp.server.down" in said(app)
        await pilot.press("A")
        await settle(pilot)
        assert client.sent[1:] == [AcknowledgeAlerts()]


async def test_read_only_refuses_what_changes_something() -> None:
    client = scene.FakeClient()
    app = scene.app(client, read_only=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot)
        for action in ACTIONS:
            if action.changes:
                app.clear_notifications()
                app.action_act(action.id)
                await settle(pilot)
                assert ["read-only" in message for message in said(app)] == [True], action.id
        assert client.sent == []


async def test_copy_says_where_it_went() -> None:
    app = scene.app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert any("Select an event first" in message for message in said(app))
        await pilot.press("j", "y")
        await settle(pilot)
        assert '"event_type":"mcp.server.down"' in app.clipboard
        assert any("clipboard" in message for message in said(app))


async def test_help_lists_every_key_of_a_tab() -> None:
    for tab in {action.tab for action in ACTIONS} - {""}:
        shown = [line.text for line in help_lines({}, 160, tab)]
        told = [(row[:13].split(), row[13:38].strip(), row[38:]) for row in shown]
        for action in ACTIONS:
            keys = [key_name(key) for key in action.keys.split(",")]
            entry = (keys, action.label, action.help)
            assert told.count(entry) == (action.tab in ("", tab) and bool(action.keys)), action.id
    app = scene.app()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        await settle(pilot)
        assert "Acknowledge" in text(app)


async def test_quit() -> None:
    app = scene.app()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("q")
    assert app.return_code == 0


async def test_retrying_all_dead_letters_asks_first_and_defaults_to_no() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for key, sent in (("enter", 0), ("escape", 0), ("n", 0), ("y", 1)):
            app.action_act("retry_dead_letters")
            await settle(pilot)
            assert isinstance(app.screen, ConfirmDialog)
            await pilot.press(key)
            await settle(pilot)
            assert len(client.sent) == sent
        assert client.sent == [RetryDeadLetters(all=True)]


async def test_screenshot_is_saved_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = scene.app()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        app.action_act("screenshot")
        await settle(pilot)
    (picture,) = tmp_path.glob("event-monitor-*.svg")
    assert "Overview" in picture.read_text()


async def test_palette_runs_an_action_by_name() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+p")
        assert isinstance(app.screen, CommandPalette)
        await pilot.press(*"reload", "enter")
        await settle(pilot)
        assert client.sent == [ReloadRules()]


async def test_palette_offers_every_action_and_theme() -> None:
    app = scene.app()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        provider = ActionProvider(app.screen)
        entries = {str(hit.display): hit async for hit in provider.discover()}
        for action in ACTIONS:
            assert (action.title in entries) == action.palette
        assert "23" not in str(entries["Retry dead letters"].help)
        assert "4 dead letters" in str(entries["Retry dead letters"].help)
        for theme in ("event-monitor-light", "nord", "event-monitor-dark"):
            found = [hit async for hit in provider.search(f"theme {theme}")]
            assert found
        await entries["Theme event-monitor-light"].command()
        await settle(pilot)
        assert app.theme == "event-monitor-light"


@pytest.mark.parametrize("tab", sorted({action.tab for action in ACTIONS}))
async def test_every_action_of_the_table_can_be_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tab: str
) -> None:
    monkeypatch.chdir(tmp_path)
    app = scene.app()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for action in ACTIONS:
            if action.tab != tab or action.id == "quit":
                continue
            app.action_act(action.id)
            await settle(pilot)
            assert app._exception is None and app.is_running, action.id
            while len(app.screen_stack) > 1:
                app.pop_screen()
                await settle(pilot)
        app.action_act("quit")
        await settle(pilot)
        assert app._exit


def test_no_destructive_action_is_on_a_control_key() -> None:
    assert [action.id for action in ACTIONS if action.changes and "ctrl+" in action.keys] == []


def test_no_key_has_two_actions() -> None:
    _assert_no_key_twice({})


@pytest.mark.parametrize(
    ("wanted", "kept", "complaint"),
    [
        ({"freeze": "f"}, {"freeze": "f"}, None),
        ({"fly": "f"}, {}, "fly"),
        ({"freeze": "q"}, {}, "q"),
        ({"freeze": "x", "filter": "x"}, None, "x"),
    ],
)
def test_remapping(wanted: dict[str, str], kept: dict[str, str] | None, complaint: str | None) -> None:
    keymap, mistakes = remap(wanted)
    if kept is not None:
        assert keymap == kept
    if complaint is None:
        assert mistakes == []
    else:
        assert any(complaint in mistake for mistake in mistakes)
    _assert_no_key_twice(keymap)


def _assert_no_key_twice(keymap: dict[str, str]) -> None:
    for tab in {action.tab for action in ACTIONS}:
        here = [action for action in ACTIONS if action.tab in ("", tab)]
        keys = [key for action in here for key in keymap.get(action.id, action.keys).split(",") if key]
        assert len(keys) == len(set(keys)), tab


async def test_a_remapped_key_works_and_a_wrong_one_is_reported() -> None:
    app = scene.app(keys={"freeze": "f", "fly": "w"})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("f")
        assert app.feed.frozen
        assert any("fly" in message for message in said(app))


async def test_the_tab_that_was_asked_for_last_stays() -> None:
    app = scene.app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot)
        for name in ("replay", "console", "replay", "console", "console"):
            app.action_act(f"tab_{name}")
        await settle(pilot)
        assert app.tabs.active.NAME == "console" and app.tabs.active.display
        assert [tab.NAME for tab in app.tabs.made if tab.display] == ["console"]
        assert len(app.tabs.made) == 3


async def test_the_keys_in_borders_are_those_that_work() -> None:
    wanted = {
        "overview_types": "T",
        # Taken by another, so it is refused and the key stays what it was.
        "state_history": "O",
        "acknowledge": "K",
        "reset": "left_square_bracket",
        "open": "O",
        "details": "u",
        "replay_play": "P",
        "replay_step": "",
        "dead_letters_slower": "less_than_sign",
    }
    app = scene.app(scene.FakeClient(scene.snapshot(services=service_scene.table())), keys=wanted)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot)
        assert app.query_one("#rate").border_subtitle == "T by type"
        assert app.query_one("#system").border_subtitle == "s history"
        assert str(app.query_one("#alerts").border_subtitle).startswith("K acknowledge")
        assert app.query_one("#services").border_subtitle == "tab selects   [ reset  O open  c close  S sort"
        app.action_act("tab_replay")
        await settle(pilot)
        assert app.query_one("#replay-plan").border_subtitle == "P play  f types  g targets"
        assert app.query_one("#replay-runs").border_subtitle == "space pause  x stop  ↓ older"
        assert "look at the plan, and press P." in " ".join(text(app).split())
        app.action_act("tab_dead_letters")
        await settle(pilot)
        assert "< ] change" in str(app.query_one("#dead-list").border_subtitle)


async def test_the_keys_in_the_border_of_a_service_are_those_that_work() -> None:
    app = scene.app(keys={"reset": "x", "open": ""})
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        app.link.open_service("github")
        await settle(pilot)
        shown = str(app.screen.query_one("#document").border_subtitle)
        assert shown.startswith("x reset  c close  h half-open")
