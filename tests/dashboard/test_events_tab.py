"""The Events tab's keys, each with its effect on a real bus."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import TextArea

from event_monitor.clock import to_iso
from event_monitor.dashboard.events.actions import ACTIONS
from event_monitor.dashboard.events.prompts import AskDialog, ChoiceDialog, PromptDialog
from event_monitor.dashboard.memory import Memory
from event_monitor.messages import GetEvent, QueryEvents, QueryHistory
from event_monitor.model import Priority
from tests.bus.big_history import BEGUN, GAP
from tests.dashboard.driving import said, settle, text
from tests.dashboard.events_bus import RECORDED, Explorer, explorer


async def to_recorded(found: Explorer, event_id: int) -> None:
    """Select an event by its number, as a person does."""
    await found.press("t")
    await found.type(f"#{event_id}")
    await found.press("enter")
    await found.until(lambda: found.tab.list.place is not None and found.selected == event_id)


async def filter_by(found: Explorer, typed: str) -> None:
    await found.press("slash")
    await found.type(typed)
    await found.press("enter")
    await found.until(lambda: found.tab.window.complete)


# --- moving ---------------------------------------------------------------------------------


async def test_the_whole_history_is_walked_from_end_to_end(home: Path) -> None:
    async with explorer(home) as found:
        newest = found.newest().id
        assert found.selected == newest
        await found.press("j", "down", "j", "k")
        assert found.selected == newest - 2
        await found.press("up", "k")
        assert found.selected == newest
        await found.press("pagedown")
        assert found.selected is not None and found.selected <= newest - 20
        await found.press("pageup")
        assert found.selected == newest
        await found.press("end")
        await found.until(lambda: found.selected == 1)
        assert "the beginning of history" in text(found.app)
        await found.press("k")
        assert found.selected == 2
        await found.press("G")
        assert found.selected == 1
        await found.press("home")
        await found.until(lambda: found.selected == newest)
        await found.press("end", "g")
        await found.until(lambda: found.selected == newest)


async def test_paging_down_meets_every_event_once(home: Path) -> None:
    async with explorer(home, recorded=400) as found:
        newest = found.newest().id
        seen: set[int] = set()
        while found.selected != 1:
            before = found.selected
            seen.update(row.id for row in found.tab.list.shown_rows())
            await found.press("pagedown")
            await found.until(lambda before=before: found.selected != before)  # type: ignore[misc]
        seen.update(row.id for row in found.tab.list.shown_rows())
        assert seen == set(range(1, newest + 1))


async def test_a_time_and_a_number_are_gone_to(home: Path) -> None:
    async with explorer(home) as found:
        await found.press("t")
        await found.type("half past")
        await found.press("enter")
        assert isinstance(found.app.screen, PromptDialog) and "is not a time" in text(found.app)
        found.app.screen.query_one("#answer").value = to_iso(BEGUN + 300 * GAP)  # type: ignore[attr-defined]
        await found.press("enter")
        await found.until(lambda: found.selected == 300 and found.tab.list.place is not None)
        await found.until(lambda: found.tab.pane_id == 300)
        await to_recorded(found, 700)
        assert {700, 701, 699} <= set(found.ids)
        await found.press("t", "escape")
        assert found.selected == 700


async def test_the_scrollbar_and_the_rows_take_clicks(home: Path) -> None:
    async with explorer(home) as found:
        panel = found.tab.list
        await found.pilot.click(panel, offset=(panel.size.width, panel.size.height))
        await found.until(lambda: found.selected is not None and found.selected < 60)
        await found.press("home")
        await found.until(lambda: found.selected == found.newest().id)
        newest = found.newest().id
        await found.pilot.click(panel, offset=(5, 5))
        await found.until(lambda: found.selected == newest - 3)
        await found.pilot.click(panel, offset=(5, 5))
        await found.until(lambda: found.tab.has_class("-reading"))


# --- the filter -----------------------------------------------------------------------------


async def test_a_filter_narrows_while_it_is_typed_and_goes_away(home: Path) -> None:
    memory = Memory()
    async with explorer(home, memory=memory) as found:
        await found.press("slash")
        await found.type("part-77 priority:high")
        await found.until(lambda: found.tab.window.complete and len(found.ids) < 20)
        wanted = [n for n in range(RECORDED, 0, -1) if f"part-{n}".startswith("part-77") and n % 4 == 1]
        assert found.ids == wanted
        await found.press("enter")
        assert found.tab.list.has_focus and f"{len(wanted)} found" in text(found.app)
        assert memory.get("events.filter", "") == "part-77 priority:high"
        await found.press("escape")
        await found.until(lambda: len(found.ids) > 50)
        assert memory.get("events.filter", "x") == ""


async def test_a_mistake_is_pointed_at_and_changes_nothing(home: Path) -> None:
    async with explorer(home) as found:
        before = found.ids
        await found.press("slash")
        await found.type("ab status:daed")
        await found.until(lambda: "did you mean dead?" in text(found.app))
        shown = text(found.app).splitlines()
        place = next(n for n, row in enumerate(shown) if "ab status:daed" in row)
        assert shown[place + 1].rstrip() == " " * shown[place].index("status") + "^" * len("status:daed")
        assert found.ids == before
        await found.press("enter")
        assert not found.tab.list.has_focus


async def test_a_regex_that_the_bus_refuses_is_said(home: Path) -> None:
    async with explorer(home) as found:
        await found.press("slash")
        await found.type("/a(?=b)/")
        await found.press("enter")
        await found.until(lambda: "not a regular expression" in text(found.app))
        await found.press("slash", "escape")
        await found.until(lambda: len(found.ids) > 50)


async def test_filter_columns_and_follow_are_remembered(home: Path) -> None:
    memory = Memory()
    async with explorer(home, memory=memory) as found:
        await filter_by(found, "part-99")
        await found.press("h")
        assert isinstance(found.app.screen, ChoiceDialog)
        await found.press("space", "escape")
        await found.press("f", "d")
        assert not found.tab.has_pane
    async with explorer(home, memory=memory) as found:
        await found.until(lambda: found.tab.window.complete)
        assert len(found.ids) == 11
        assert found.tab.bar.field.value == "part-99"
        assert "id" in found.tab.list.columns and "#999" in text(found.app)
        assert not found.tab.follow and not found.tab.has_pane


async def test_a_newer_question_wins_over_an_older_answer(home: Path) -> None:
    """The answer to the first filter comes after that to the second, and is not taken."""
    async with explorer(home) as found:
        link, request = found.tab.link, found.tab.link.request
        held = asyncio.Event()

        async def slow(message: Any) -> Any:
            reply = await request(message)
            if isinstance(message, QueryHistory) and message.where.words == ("part-1",):
                await held.wait()
            return reply

        link.request = slow  # type: ignore[method-assign]
        await found.pilot.press("slash")
        await found.type("part-1")
        await found.until_asked("part-1")
        await found.type("00")
        await found.until_asked("part-100")
        held.set()
        await found.until(lambda: found.tab.window.complete)
        assert found.ids == [1000, 100]


# --- following ------------------------------------------------------------------------------


async def test_the_newest_is_followed_on_top_only(home: Path) -> None:
    async with explorer(home) as found:
        first = found.publish("tail.one", payload={"message": "first"})
        await found.until(lambda: found.selected == first)
        assert "tail.one" in text(found.app) and "● following" in text(found.app)
        await found.press("j")
        await found.until(lambda: "· follows on top" in text(found.app))
        stays = found.selected
        for _ in range(3):
            last = found.publish("tail.more")
        await found.until(lambda: "3 newer" in text(found.app))
        assert found.selected == stays and last not in found.ids
        await found.press("home")
        await found.until(lambda: found.selected == last)
        await found.press("f")
        assert not found.tab.follow
        found.publish("tail.not")
        await found.until(lambda: "1 newer" in text(found.app))
        assert found.selected == last
        await found.press("f")
        await found.until(lambda: found.selected == last + 1)


async def test_what_passes_by_a_follower_is_counted_to_the_event(home: Path) -> None:
    async with explorer(home) as found:
        found.tab.loader.activate(False)
        for number in range(350):
            last = found.publish("flood.x", payload={"n": number})
        found.tab.loader.activate(True)
        await found.until(lambda: found.selected == last)
        await found.until(lambda: "250 passed by" in text(found.app))
        for _ in range(12):
            await found.press("pagedown")
        await found.until(lambda: len(found.ids) > 350)
        assert found.ids == list(range(last, last - len(found.ids), -1))


async def test_rows_show_what_became_of_them(home: Path) -> None:
    async with explorer(home) as found:
        number = found.publish("later.settled")
        await found.until(lambda: number in found.ids)
        await found.until(
            lambda: next(row for row in found.tab.window.rows if row.id == number).status == "delivered"
        )


async def test_a_hidden_tab_asks_nothing(home: Path) -> None:
    async with explorer(home) as found:
        tab = found.tab
        await found.press("1")
        await found.until(lambda: found.app.tabs.active.NAME == "overview")
        asked = tab.loader.asked
        last = found.publish("unseen.a")
        seen = found.app.snapshot
        await found.until(lambda: found.app.snapshot is not seen)
        await settle(found.pilot)
        assert tab.loader.asked == asked
        await found.press("2")
        await found.until(lambda: found.app.tabs.active is tab and found.selected == last)


# --- one event ------------------------------------------------------------------------------


async def test_details_causes_and_effects(home: Path) -> None:
    async with explorer(home) as found:
        await to_recorded(found, 702)
        await found.until(lambda: found.tab.pane_id == 702)
        assert '"command": "make part-702"' in text(found.app)
        await found.press("c")
        await found.until(lambda: found.tab.pane_id == 701)
        await found.press("c")
        await found.until(lambda: found.tab.pane_id == 700)
        await found.press("c")
        assert any("was caused by no other" in one for one in said(found.app))
        await found.press("e")
        await found.until(lambda: found.tab.pane_id == 701)
        for expected in (700, 701, 702):
            await found.press("backspace")
            await found.until(lambda expected=expected: found.tab.pane_id == expected)  # type: ignore[misc]
        assert found.selected == 702
        await found.press("backspace")
        assert any("nowhere to go back" in one for one in said(found.app))
        await found.press("l")
        await found.until(lambda: found.tab.window.complete and found.ids == [702, 701, 700])


async def test_one_of_several_effects_is_chosen(home: Path) -> None:
    async with explorer(home) as found:
        cause = found.publish("root.cause")
        effects = [found.publish("some.effect", causation_id=cause, payload={"n": n}) for n in range(3)]
        await to_recorded(found, cause)
        await found.press("e")
        assert isinstance(found.app.screen, ChoiceDialog)
        await found.press("j", "enter")
        await found.until(lambda: found.tab.pane_id == effects[1])
        assert found.tab.shown_id == effects[1]
        await found.press("escape", "escape")
        await found.until(lambda: found.tab.pane_id == cause)


async def test_copies(home: Path) -> None:
    async with explorer(home) as found:
        number = found.publish("copy.me", payload={"say": 'it\'s "so"'}, priority=Priority.HIGH, source="me")
        await to_recorded(found, number)
        await found.press("y")
        copied = json.loads(found.app.clipboard)
        assert (copied["id"], copied["payload"]) == (number, {"say": 'it\'s "so"'})
        await found.press("Y")
        words = shlex.split(found.app.clipboard)
        assert words[:3] == ["event-cli", "publish", "copy.me"]
        assert json.loads(words[3]) == {"say": 'it\'s "so"'}
        assert words[4:] == ["--priority", "HIGH", "--source", "me"]


async def test_publish_again_asks_and_names_what_and_where(home: Path) -> None:
    async with explorer(home) as found:
        number = found.publish("again.please", payload={"n": 1}, priority=Priority.LOW)
        await to_recorded(found, number)
        await found.press("p")
        assert isinstance(found.app.screen, AskDialog)
        assert "Publish again.please again?" in text(found.app) and "It goes to log." in text(found.app)
        await found.press("enter")
        assert found.newest().id == number
        await found.press("p", "y")
        await found.until(lambda: found.newest().id > number)
        again = found.newest()
        assert (again.event_type, again.payload, again.priority) == ("again.please", {"n": 1}, Priority.LOW)
        assert again.source == "dashboard"


async def test_an_edited_payload_is_published_and_a_secret_survives_the_edit(home: Path) -> None:
    async with explorer(home) as found:
        hosts = [{"name": "a", "token": "of a"}, {"name": "b", "token": "of b"}]
        payload = {"token": "hunter2", "n": 1, "bad": "\x9b31m\u202e", "hosts": hosts}
        number = found.publish("edit.me", payload=payload)
        await to_recorded(found, number)
        await found.press("P")
        area = found.app.screen.query_one(TextArea)
        assert "hunter2" not in text(found.app) and "[masked 1]" in area.text and "of a" not in area.text
        assert "\\u009b" in area.text and "\\u202e" in area.text
        # A secret goes with its host, wherever that comes to stand.
        edited = {**json.loads(area.text), "n": 2}
        assert [host["token"] for host in edited["hosts"]] == ["[masked 2]", "[masked 3]"]
        edited["hosts"].reverse()
        good = json.dumps(edited, indent=2)
        area.text = good.replace("{", "", 1)
        await found.press("f10")
        assert "line " in text(found.app) and found.newest().id == number
        area.text = good
        await found.press("f10")
        assert "with the payload as edited" in text(found.app)
        await found.press("y")
        await found.until(lambda: found.newest().id > number)
        assert found.newest().payload == {**payload, "n": 2, "hosts": hosts[::-1]}


async def test_one_event_is_replayed(home: Path) -> None:
    async with explorer(home) as found:
        number = found.publish("play.again", payload={"n": 7})
        await to_recorded(found, number)
        await found.press("R")
        assert isinstance(found.app.screen, AskDialog) and "play.again" in text(found.app)
        await found.press("y")

        def replayed() -> bool:
            page = found.ask(QueryEvents(type="play.again", limit=5))
            return [event.replay_of for event in page.events] == [number, None]

        await found.until(replayed)


async def test_a_read_only_view_publishes_nothing(home: Path) -> None:
    async with explorer(home, read_only=True) as found:
        newest = found.newest().id
        await found.press("p", "P", "R")
        assert len([one for one in said(found.app) if "read-only" in one]) == 3
        assert found.newest().id == newest


# --- marking and writing --------------------------------------------------------------------


def written(path: Path) -> list[int]:
    return [json.loads(row)["id"] for row in path.read_text().splitlines()]


async def test_marked_events_are_written(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with explorer(home) as found:
        await to_recorded(found, 500)
        await found.press("x", "x", "j", "v", "j", "j", "j", "v")
        assert "6 marked" in text(found.app)
        await found.press("k", "x")
        assert "5 marked" in text(found.app)
        await found.press("w")
        assert "Write the marked events" in text(found.app)
        await found.press("enter")
        await found.until(lambda: any("5 events written" in one for one in said(found.app)))
        (path,) = tmp_path.glob("events-*.jsonl")
        assert written(path) == [494, 496, 497, 499, 500]
        assert path.stat().st_mode & 0o777 == 0o600
        await found.press("escape")
        assert "5 marked" not in text(found.app)


async def test_all_that_pass_are_written_and_nothing_is_lost_silently(home: Path, tmp_path: Path) -> None:
    async with explorer(home) as found:
        path = tmp_path / "mine.jsonl"
        path.write_text("precious\n")
        await filter_by(found, "type:load.t3")
        await found.press("w")
        found.app.screen.query_one("#answer").value = str(path)  # type: ignore[attr-defined]
        await found.press("enter")
        assert isinstance(found.app.screen, PromptDialog) and "already" in text(found.app)
        assert path.read_text() == "precious\n"
        await found.press("enter")
        await found.until(lambda: any("events written" in one for one in said(found.app)))
        assert written(path) == list(range(3, RECORDED + 1, 20))


async def test_writing_can_be_stopped_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    async with explorer(home, recorded=3_000) as found:
        request, gate = found.tab.link.request, asyncio.Event()

        async def held(message: Any) -> Any:
            if isinstance(message, QueryHistory) and message.full and (message.after_id or 0) > 0:
                await gate.wait()
            return await request(message)

        found.tab.link.request = held  # type: ignore[method-assign]
        await found.pilot.press("w")
        await found.pilot.pause()
        found.app.screen.query_one("#answer").value = str(tmp_path / "all.jsonl")  # type: ignore[attr-defined]
        await found.pilot.press("enter")
        for _ in range(2_000):
            if "500 written" in found.tab.writing.running:
                break
            await found.pilot.pause(0.01)
        else:
            raise AssertionError("nothing was written")
        await found.pilot.press("w")
        gate.set()
        await found.until(lambda: any("no file was written" in one for one in said(found.app)))
        assert list(tmp_path.glob("*.jsonl")) == [] and list(tmp_path.glob(".*.part")) == []


# --- all actions ----------------------------------------------------------------------------


async def test_every_key_reaches_its_action(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer(home, recorded=30) as found:
        ran: list[str] = []
        monkeypatch.setattr(found.tab, "run", ran.append)
        for action in ACTIONS:
            for key in action.keys.split(","):
                ran.clear()
                await found.pilot.press(key)
                await found.pilot.pause()
                assert ran == [action.id], key


async def test_every_action_works_from_the_palette_also_of_another_tab(home: Path) -> None:
    async with explorer(home, recorded=30) as found:
        tab = found.tab
        await found.press("1")
        await found.until(lambda: found.app.tabs.active.NAME == "overview")
        found.app.action_act("events_newest")
        await found.until(lambda: found.app.tabs.active is tab)
        for action in ACTIONS:
            found.app.action_act(action.id)
            await found.pilot.pause()
            assert tab.describe(action.id) is not None
            while len(found.app.screen_stack) > 1:
                found.app.pop_screen()
            found.app.set_focus(tab.list)
        await settle(found.pilot)
        assert not any("failed" in one for one in said(found.app))


async def test_an_empty_history_says_what_to_do(home: Path) -> None:
    async with explorer(home, recorded=0) as found:
        await found.press("slash")
        await found.type("nothing.like.#")
        await found.press("enter")
        await found.until(lambda: "No event passes the filter" in text(found.app))
        assert found.ask(GetEvent(event_id=found.newest().id)) is not None
