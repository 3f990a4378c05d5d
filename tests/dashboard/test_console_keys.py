"""Every key and palette entry of the Console, and completion at its prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_monitor.dashboard.console.actions import ACTIONS
from event_monitor.dashboard.console.prompt import clean
from event_monitor.dashboard.console.tab import OffersPanel
from event_monitor.messages import Publish, QueryBreakers, QueryEvents
from tests.dashboard.console_scene import Console, console
from tests.dashboard.driving import said


def offers(opened: Console) -> list[str]:
    return [offer.text for offer in opened.tab._offering.offers]


async def scrolled(opened: Console) -> int:
    await opened.pilot.pause()
    return int(opened.tab.query_one("#console-output").scroll_offset.y)


async def test_an_empty_console_says_what_it_is_for_and_what_to_press(home: Path) -> None:
    async with console(home) as opened:
        assert "Type a command of event-cli" in opened.shown
        assert "publish test.event" in opened.shown and "tab completes" in opened.shown
        await opened.press("escape")
        await opened.until(lambda: "i type" in opened.shown)


async def test_every_action_works_from_the_palette_and_another_tab(home: Path) -> None:
    async with console(home) as opened:
        await opened.enter("state")
        for action in ACTIONS:
            await opened.press("f1")
            await opened.until(lambda: opened.app.tabs.active.NAME == "overview")
            opened.app.action_act(action.id)
            await opened.until(lambda: opened.app.tabs.active.NAME == "console")
            await opened.idle()
            opened.app.describe(action.id)
            assert opened.app._exception is None and opened.app.is_running


async def test_keys_scroll_the_output(home: Path) -> None:
    async with console(home, (80, 24)) as opened:
        await opened.enter("help")
        await opened.press("escape")
        end = await scrolled(opened)
        assert end > 0
        await opened.press("k")
        assert await scrolled(opened) == end - 1
        await opened.press("j")
        assert await scrolled(opened) == end
        await opened.press("pageup")
        assert await scrolled(opened) < end - 5
        await opened.press("pagedown")
        assert await scrolled(opened) == end
        await opened.press("g")
        assert await scrolled(opened) == 0
        await opened.press("G")
        assert await scrolled(opened) == end
        await opened.press("home", "i", "pagedown")
        assert 0 < await scrolled(opened) <= end
        assert opened.prompt.has_focus


async def test_the_prompt_takes_letters_and_gives_them_back_after_esc(home: Path) -> None:
    async with console(home) as opened:
        await opened.type("quit 12?")
        assert opened.prompt.text == "quit 12?" and opened.app.is_running
        await opened.press("ctrl+c", "escape")
        assert not opened.prompt.has_focus
        await opened.press("1")
        await opened.until(lambda: opened.app.tabs.active.NAME == "overview")
        await opened.press("5")
        await opened.until(lambda: opened.prompt.has_focus)
        await opened.press("escape", "enter")
        assert opened.prompt.has_focus
        await opened.press("f2")
        await opened.until(lambda: opened.app.tabs.active.NAME == "events")


async def test_the_last_result_is_copied_as_it_is_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(home) as opened:
        copied: list[str] = []
        monkeypatch.setattr(opened.app, "copy_to_clipboard", copied.append)
        await opened.press("f8")
        await opened.until(lambda: any("no result" in message for message in said(opened.app)))
        await opened.enter("state")
        await opened.press("escape", "y")
        await opened.until(lambda: copied)
        assert copied[-1].startswith("state")
        await opened.press("t", "y")
        await opened.until(lambda: len(copied) == 2)
        assert copied[-1].startswith('{"state":"HEALTHY"')


async def test_the_last_command_is_run_again(home: Path) -> None:
    async with console(home) as opened:
        await opened.press("f9")
        assert "Nothing was typed yet" in said(opened.app)
        await opened.enter("publish again.and.again")
        await opened.press("f9")
        await opened.idle()
        await opened.press("escape", "r")
        await opened.idle()
        page = await opened.bus(QueryEvents(type="again.#"))
        assert len(page.events) == 3


async def test_clear_empties_the_output_only(home: Path) -> None:
    async with console(home) as opened:
        await opened.enter("state")
        await opened.type("half a line")
        await opened.press("ctrl+l")
        assert "event> state" not in opened.shown and opened.prompt.text == "half a line"
        await opened.press("ctrl+c", "up")
        assert opened.prompt.text == "state"


async def test_nothing_to_stop_is_said(home: Path) -> None:
    async with console(home) as opened:
        await opened.press("escape", "x")
        assert "Nothing runs" in said(opened.app)
        await opened.press("ctrl+c")
        assert opened.app.is_running, "ctrl+c does not end the dashboard from here"


async def test_exit_goes_back_to_the_overview(home: Path) -> None:
    async with console(home) as opened:
        opened.prompt.set_text("exit")
        await opened.press("enter")
        await opened.until(lambda: opened.app.tabs.active.NAME == "overview")


async def test_tab_completes_from_the_grammar_and_the_bus(home: Path) -> None:
    async with console(home) as opened:
        await opened.bus(Publish(event_type="shop.order.paid", payload={"amount": 5, "token": "sesame"}))
        await opened.type("pub")
        assert offers(opened) == ["publish"]
        await opened.press("tab")
        assert opened.prompt.text == "publish "
        await opened.until(lambda: "shop.order.paid" in offers(opened))
        await opened.type("sh")
        await opened.press("tab")
        assert opened.prompt.text == "publish shop.order.paid "
        await opened.type("{am")
        await opened.until(lambda: offers(opened) == ['"amount": '])
        await opened.press("tab")
        assert opened.prompt.text == 'publish shop.order.paid {"amount": '
        await opened.until(lambda: offers(opened) == ["5"])
        assert "sesame" not in opened.shown


async def test_tab_goes_through_the_offers_and_enter_takes_one(home: Path) -> None:
    async with console(home) as opened:
        await opened.type("breaker target:l")
        await opened.until(lambda: offers(opened) == ["target:learning", "target:log"])
        await opened.press("tab")
        assert opened.prompt.text == "breaker target:learning"
        assert "▸ target:learning" in opened.shown
        await opened.press("tab")
        assert opened.prompt.text == "breaker target:log"
        await opened.press("tab", "shift+tab")
        assert opened.prompt.text == "breaker target:log"
        await opened.press("enter")
        assert opened.prompt.text == "breaker target:log " and not opened.tab._runner.running
        assert offers(opened) == ["open", "close", "half_open", "reset"]
        await opened.press("escape")
        assert offers(opened) == [] and opened.prompt.has_focus
        await opened.press("enter")
        await opened.idle()
        assert "target:log" in opened.shown


async def test_tab_before_the_answer_of_the_bus_takes_effect_with_it(home: Path) -> None:
    async with console(home) as opened:
        opened.client.held = QueryBreakers
        opened.client.gate.clear()
        await opened.type("breaker target:lo")
        await opened.press("tab")
        assert opened.prompt.text == "breaker target:lo"
        opened.client.gate.set()
        await opened.until(lambda: opened.prompt.text == "breaker target:log ")


async def test_what_all_offers_begin_with_is_typed_first(home: Path) -> None:
    async with console(home) as opened:
        await opened.type("events --status de")
        assert offers(opened)[:2] == ["delivered", "dead"]
        await opened.press("tab")
        assert opened.prompt.text == "events --status delivered"
        await opened.press("ctrl+c")
        await opened.type("breaker ta")
        await opened.until(lambda: len(offers(opened)) > 3)
        await opened.press("tab")
        assert opened.prompt.text == "breaker target:"


async def test_an_empty_prompt_offers_commands_on_tab_only(home: Path) -> None:
    async with console(home) as opened:
        assert offers(opened) == [] and not opened.tab.query_one(OffersPanel).display
        await opened.press("tab")
        assert "publish" in offers(opened) and opened.tab.query_one(OffersPanel).display


async def test_a_late_answer_offers_nothing_for_another_text(home: Path) -> None:
    async with console(home) as opened:
        opened.client.held = QueryBreakers
        opened.client.gate.clear()
        await opened.type("breaker ")
        await opened.until(lambda: any(isinstance(m, QueryBreakers) for m in opened.client.messages))
        opened.prompt.set_text("maintenance ")
        await opened.pilot.pause()
        assert offers(opened) == ["on", "off"]
        opened.client.gate.set()
        await opened.pilot.pause(0.05)
        assert offers(opened) == ["on", "off"]
        opened.prompt.set_text("breaker target:lo")
        await opened.until(lambda: offers(opened) == ["target:log"])


async def test_no_size_is_too_small(home: Path) -> None:
    async with console(home) as opened:
        await opened.enter("events")
        for size in ((40, 12), (10, 3), (1, 1), (120, 36)):
            await opened.pilot.resize_terminal(*size)
            opened.prompt.set_text("breaker target:")
            await opened.press("tab", "enter", "enter")
            await opened.idle()
            await opened.enter("nonsense {\n")
            await opened.press("ctrl+t")
            assert opened.app._exception is None and opened.app.is_running


def test_what_is_pasted_is_made_safe_and_keeps_its_lines() -> None:
    assert clean("a\r\n\tb\x1b[31m\u202e\rc") == "a\n    b␛[31m\ufffd\nc"


async def test_a_search_backwards_narrows_goes_on_and_is_taken(home: Path) -> None:
    async with console(home) as opened:
        for typed in ("publish git.pushed", "state", "publish git.pulled", "breaker", "publish git.pulled"):
            await opened.enter(typed)
        await opened.type("half a line")
        await opened.press("ctrl+r")
        await opened.until(lambda: "search backwards" in opened.shown and "enter takes" in opened.shown)
        await opened.type("GIT")
        assert opened.prompt.text == "publish git.pulled" and opened.prompt.selected_text == "git"
        await opened.until(lambda: "search: GIT   1 of 2" in opened.shown)
        await opened.press("ctrl+r")
        assert opened.prompt.text == "publish git.pushed"
        await opened.press("ctrl+r", "down")
        assert opened.prompt.text == "publish git.pulled"
        await opened.type(".pus")
        assert opened.prompt.text == "publish git.pushed", "what is typed narrows"
        await opened.type("x")
        await opened.until(lambda: "no line has it" in opened.shown)
        await opened.press("backspace")
        assert opened.prompt.text == "publish git.pushed" and offers(opened) == []
        await opened.press("enter")
        assert opened.prompt.search is None and opened.prompt.text == "publish git.pushed"
        assert not opened.tab._runner.running, "it can be changed before it is carried out"
        await opened.press("down")
        assert opened.prompt.text == "state", "the arrows go on from what was found"
        await opened.press("enter")
        await opened.idle()
        assert len((await opened.bus(QueryEvents(type="git.#"))).events) == 3


async def test_a_remapped_search_is_named_and_taken_as_such(home: Path) -> None:
    async with console(home, keys={"console_search": "ctrl+g"}) as opened:
        assert "^g searches it" in opened.shown
        await opened.enter("state")
        await opened.press("ctrl+r")
        assert opened.prompt.search is None
        await opened.press("ctrl+g", "s")
        assert opened.prompt.text == "state"
        await opened.until(lambda: "^g older" in opened.shown)


async def test_a_search_is_left_as_it_was_found(home: Path) -> None:
    async with console(home) as opened:
        await opened.enter("state")
        await opened.type("half a line")
        for leave in ("escape", "ctrl+c"):
            await opened.press("ctrl+r")
            await opened.type("stat")
            assert opened.prompt.text == "state"
            await opened.press(leave)
            assert opened.prompt.search is None and opened.prompt.text == "half a line"
            assert opened.prompt.has_focus
        await opened.press("ctrl+r", "enter")
        assert opened.prompt.text == "half a line" and not opened.tab._runner.running
        await opened.press("ctrl+r", "t", "left")
        assert opened.prompt.search is None and opened.prompt.text == "state"
        await opened.press("escape", "escape")
        await opened.until(lambda: not opened.prompt.has_focus)
        await opened.press("ctrl+r")
        await opened.until(lambda: opened.prompt.has_focus and "search backwards" in opened.shown)
