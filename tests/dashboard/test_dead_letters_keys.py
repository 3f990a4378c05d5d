"""Every key of the Dead letters tab does on the bus what it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.widgets import TextArea

from event_monitor.dashboard.dead_letters.actions import ACTIONS
from event_monitor.dashboard.dead_letters.editor import LetterEditor
from event_monitor.dashboard.dead_letters.questions import Question
from event_monitor.dashboard.dialogs import DocumentDialog
from event_monitor.dashboard.memory import Memory
from event_monitor.messages import GetEvent, QueryDeadLetters, QueryRetryRuns, RetryDeadLetters
from event_monitor.replies.dead_letters import RetryState
from tests.dashboard.dead_letters_scene import TARGET, Stage, stage
from tests.dashboard.driving import said, settle, text


async def unfold(shown: Stage) -> int:
    """Unfold the first group and select its newest letter; answers that one's event."""
    await shown.press("enter")
    await shown.until(lambda: len(shown.tab.tree_.rows) > 2)
    await shown.press("j")
    row = shown.tab.tree_.selected
    assert row is not None and row.letter is not None
    return row.letter.id


async def test_groups_unfold_and_fold_and_show_their_letters(home: Path) -> None:
    async with stage(home) as shown:
        assert "Dead letters: 7 in 2 groups" in text(shown.app)
        assert "a.bad → mine" in text(shown.app) and "PermanentError: cannot write <path>" in text(shown.app)
        newest = await unfold(shown)
        assert f"#{newest}" in text(shown.app)
        assert "Errors, 1" in text(shown.app) and '"size": 4' in text(shown.app)
        assert "hunter2" not in text(shown.app) and "[masked]" in text(shown.app)
        await shown.press("h")
        assert len(shown.tab.tree_.rows) == 2
        await shown.press("l")
        await shown.until(lambda: len(shown.tab.tree_.rows) == 7)
        await shown.press("left", "right")
        await shown.until(lambda: len(shown.tab.tree_.rows) == 7)
        await shown.press("end")
        assert shown.tab.tree_.selected is not None
        assert shown.tab.tree_.selected.group.event_type == "b.bad"
        await shown.press("home", "down", "pagedown", "pageup", "j", "k", "up")
        assert shown.tab.tree_.place == 0


async def test_enter_on_a_letter_shows_its_event(home: Path) -> None:
    async with stage(home) as shown:
        newest = await unfold(shown)
        await shown.press("enter")
        assert isinstance(shown.app.screen, DocumentDialog)
        assert f"#{newest} " in text(shown.app) and "1 attempt" in text(shown.app)


async def test_retry_of_one_letter_takes_that_letter(home: Path) -> None:
    async with stage(home) as shown:
        newest = await unfold(shown)
        await shown.press("j")
        shown.mend()
        await shown.press("r")
        await shown.until(lambda: shown.seen() == [newest - 1])
        assert await shown.groups() == {"a.bad": 4, "b.bad": 2}
        assert "1 dead letter queued again" in said(shown.app)
        await shown.until(lambda: "Dead letters: 6 in" in text(shown.app))


async def test_retry_of_a_group_asks_and_goes_at_the_chosen_rate(home: Path) -> None:
    async with stage(home) as shown:
        shown.mend()
        await shown.press("r")
        assert isinstance(shown.app.screen, Question)
        for part in ("Retry 5 dead letters of a.bad → mine", "10/s"):
            assert part in text(shown.app)
        await shown.press("n")
        assert await shown.groups() == {"a.bad": 5, "b.bad": 2}
        await shown.press("R", "y")
        await shown.until(lambda: len(shown.seen()) == 5)
        (run,) = (await shown.ask(QueryRetryRuns())).runs
        assert (run.rate, run.letters, len(run.groups)) == (10.0, 5, 1)
        assert "(dashboard)" in run.begun_by
        assert await shown.groups() == {"b.bad": 2}
        await shown.press("v")
        assert "retry 1" in text(shown.app) and "begun" in text(shown.app)


async def test_retry_all_takes_what_the_filter_leaves(home: Path) -> None:
    async with stage(home) as shown:
        shown.mend()
        await shown.press("slash", *"b.#", "enter")
        await shown.until(lambda: "Dead letters: 2 in 1 group" in text(shown.app))
        while shown.tab.decisions.rate:
            await shown.press("right_square_bracket")
        await shown.press("A")
        assert "Retry 2 dead letters of b.bad" in text(shown.app) and "All at once" in text(shown.app)
        await shown.press("y")
        await shown.until(lambda: len(shown.seen()) == 2)
        assert await shown.groups() == {"a.bad": 5}
        assert (await shown.ask(QueryRetryRuns())).runs == []
        await shown.until(lambda: "No dead letter passes the filter" in text(shown.app))
        await shown.press("escape")
        await shown.until(lambda: "Dead letters: 5 in 1 group" in text(shown.app))


async def test_the_rate_of_a_retry_under_way_can_be_changed_and_it_can_be_stopped(home: Path) -> None:
    async with stage(home, seeds=(("a.bad", 30),)) as shown:
        shown.mend()
        while shown.tab.decisions.rate != 1.0:
            await shown.press("left_square_bracket")
        await shown.press("R", "y")
        await shown.until(lambda: bool(shown.tab.reader.live))
        await shown.press("right_square_bracket")
        await shown.until(lambda: shown.tab.reader.live[0].rate == 2.0)
        assert "retry 1 running" in text(shown.app) and "2/s" in text(shown.app)
        await shown.press("x")
        await shown.until(lambda: not shown.tab.reader.live)
        (run,) = (await shown.ask(QueryRetryRuns())).runs
        assert run.state is RetryState.STOPPED and run.retried < 30
        assert await shown.groups() == {"a.bad": 30 - run.retried}
        await shown.press("x")
        assert "No retry is under way" in said(shown.app)


async def test_drop_names_what_and_how_many_and_drops_no_other(home: Path) -> None:
    async with stage(home) as shown:
        newest = await unfold(shown)
        await shown.press("d")
        assert f"Drop dead letter #{newest} a.bad → mine?" in text(shown.app)
        await shown.press("enter")
        assert (await shown.groups())["a.bad"] == 5, "enter is no yes"
        await shown.press("d", "y")
        await shown.until(lambda: "Dead letters: 6 in" in text(shown.app))
        detail = await shown.ask(GetEvent(event_id=newest))
        assert [delivery.state.value for delivery in detail.deliveries if delivery.target == TARGET] == [
            "dropped"
        ]
        await shown.press("D")
        assert "Drop 4 dead letters of a.bad" in text(shown.app)
        await shown.press("y")
        await shown.until(lambda: "Dead letters: 2 in 1 group" in text(shown.app))
        shown.app.action_act("dead_letters_drop_all")
        await settle(shown.pilot)
        assert "Drop 2 dead letters of b.bad" in text(shown.app)
        await shown.press("y")
        await shown.until(lambda: "No dead letters." in text(shown.app))
        assert await shown.groups() == {} and shown.seen() == []


async def test_the_selection_stays_on_its_letter_while_others_go(home: Path) -> None:
    async with stage(home) as shown:
        newest = await unfold(shown)
        await shown.press("j", "j")
        row = shown.tab.tree_.selected
        assert row is not None and row.letter is not None and row.letter.id == newest - 2
        await shown.ask(RetryDeadLetters(event_id=newest))
        # It dies once more before the handler is mended.
        async with asyncio.timeout(30):
            while len(await _errors(shown, newest)) < 2:
                await shown.pilot.pause(0.02)
        shown.mend()
        await shown.ask(RetryDeadLetters(event_id=newest - 1))
        await shown.until(lambda: "Dead letters: 6 in" in text(shown.app))
        await shown.until(
            lambda: all(r.letter is None or r.letter.id != newest - 1 for r in shown.tab.tree_.rows)
        )
        row = shown.tab.tree_.selected
        assert row is not None and row.letter is not None and row.letter.id == newest - 2


async def _errors(shown: Stage, event_id: int) -> list[dict[str, str]]:
    letters = (await shown.ask(QueryDeadLetters(event_id=event_id))).dead_letters
    return letters[0].errors if letters else []


async def test_a_correction_is_checked_as_it_is_typed_and_published_in_its_place(home: Path) -> None:
    async with stage(home) as shown:
        newest = await unfold(shown)
        shown.mend()
        await shown.press("e")
        assert isinstance(shown.app.screen, LetterEditor)
        assert '"token": "[masked 1]"' in text(shown.app) and "hunter2" not in text(shown.app)
        assert "✔ a JSON object" in text(shown.app) and "→ mine" in text(shown.app)
        area = shown.app.screen.query_one(TextArea)
        await shown.press("down", "x")
        assert "✖ line 2, column 1" in text(shown.app)
        await shown.press("ctrl+s")
        assert not isinstance(shown.app.screen, Question)
        await shown.press("delete")
        area.replace(area.text.replace("job 4", "job\x1b four"), (0, 0), area.document.end)
        await shown.pilot.pause()
        assert "job\\u001b four" in text(shown.app) and "\x1b" not in text(shown.app)
        await shown.press("ctrl+t")
        await shown.until(lambda: "by the rules of today" in text(shown.app))
        await shown.press("ctrl+t")
        await shown.press("ctrl+s")
        assert "Publish the corrected a.bad to mine?" in text(shown.app)
        await shown.press("y")
        await shown.until(lambda: len(shown.seen()) == 1)
        (number,) = shown.seen()
        detail = await shown.ask(GetEvent(event_id=number))
        assert detail.event.payload == {"name": "job\x1b four", "token": "hunter2", "size": 4}
        assert detail.event.causation_id == newest
        page = await shown.ask(QueryDeadLetters(event_id=newest))
        assert page.dead_letters == []
        await shown.until(lambda: "Dead letters: 6 in" in text(shown.app))


async def test_an_edit_is_given_up_only_on_a_persons_word(home: Path) -> None:
    async with stage(home) as shown:
        await unfold(shown)
        await shown.press("e", "escape")
        assert not isinstance(shown.app.screen, LetterEditor), "nothing was changed"
        await shown.press("e", "x", "escape")
        assert "Give your changes up?" in text(shown.app)
        await shown.press("n")
        assert isinstance(shown.app.screen, LetterEditor)
        await shown.press("escape", "y")
        assert not isinstance(shown.app.screen, LetterEditor)
        assert await shown.groups() == {"a.bad": 5, "b.bad": 2}


async def test_a_refused_correction_keeps_the_text(home: Path) -> None:
    async with stage(home) as shown:
        newest = await unfold(shown)
        shown.mend()
        await shown.press("e")
        await shown.ask(RetryDeadLetters(event_id=newest))
        await shown.press("ctrl+s", "y")
        await settle(shown.pilot)
        assert isinstance(shown.app.screen, LetterEditor)
        assert any(message.startswith("Not published: ") for message in said(shown.app))


async def test_copy_and_panel(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    async with stage(home) as shown:
        monkeypatch.setattr(shown.app, "copy_to_clipboard", copied.append)
        await shown.press("y")
        assert '"event_type":"a.bad"' in copied[-1]
        await shown.press("tab")
        assert shown.tab.detail.has_focus
        await shown.press("j", "k", "pagedown", "tab")
        assert shown.tab.list.has_focus and shown.tab.tree_.place == 0


async def test_filter_and_rate_are_remembered(home: Path) -> None:
    memory = Memory()
    async with stage(home, memory=memory) as shown:
        await shown.press("slash", *"b.bad", "enter", "right_square_bracket")
        await shown.until(lambda: "Dead letters: 2 in 1 group" in text(shown.app))
    assert memory.get("dead_letters.filter", "") == "b.bad"
    assert memory.get("dead_letters.rate", 0.0) == 20.0


async def test_an_empty_tab_says_what_it_is_for(home: Path) -> None:
    async with stage(home, seeds=()) as shown:
        assert "No dead letters." in text(shown.app) and "given it up" in text(shown.app)
        for action in ACTIONS:
            if action.id not in ("dead_letters_filter", "dead_letters_runs"):
                shown.app.action_act(action.id)
                await settle(shown.pilot)
        assert not isinstance(shown.app.screen, Question)


async def test_every_palette_entry_describes_what_holds(home: Path) -> None:
    async with stage(home) as shown:
        assert shown.app.describe("dead_letters_retry_all") == "7 dead letters, 10/s"
        assert shown.app.describe("dead_letters_retry") == "a.bad → mine"
        assert shown.app.describe("dead_letters_stop") == "none now"


async def test_a_read_only_view_changes_nothing(home: Path) -> None:
    async with stage(home, read_only=True) as shown:
        await unfold(shown)
        for action in ACTIONS:
            if action.changes:
                for key in filter(None, action.keys.split(",")):
                    await shown.press(key)
                    assert not isinstance(shown.app.screen, (Question, LetterEditor))
                shown.app.action_act(action.id)
                await settle(shown.pilot)
                assert f"{action.label}: this view is read-only" in said(shown.app)
        assert await shown.groups() == {"a.bad": 5, "b.bad": 2}
