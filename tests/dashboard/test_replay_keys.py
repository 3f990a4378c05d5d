"""Every key and palette entry of the Replay tab, with its effect on a real bus."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from event_monitor import messages as m
from event_monitor.clock import from_iso, to_iso
from event_monitor.dashboard.memory import Memory
from event_monitor.dashboard.palette import ActionProvider
from event_monitor.dashboard.replay import history, planner
from event_monitor.dashboard.replay.actions import ACTIONS
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime
from tests.dashboard.driving import said, text
from tests.dashboard.replay_bus import APART, EVENTS, Screen, fill, replays, screen
from tests.test_runtime import paths, running, titles

__all__ = ["paths"]

LENGTH = EVENTS * APART


def _title(name: str) -> str:
    return next(action.title for action in ACTIONS if action.id == f"replay_{name}")


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (history, planner):
        monkeypatch.setattr(module, "DELAY", 0.0)


@asynccontextmanager
async def opened(paths: HomePaths, **options: Any) -> AsyncIterator[tuple[Runtime, Screen]]:
    """The tab before a bus with ten minutes of history, which ended an hour ago."""
    async with running(paths) as runtime:
        await fill(runtime, time.time() - 3_600 - LENGTH)
        async with screen(paths.socket, **options) as seen:
            await seen.open()
            yield runtime, seen


async def choose_all(seen: Screen) -> Any:
    """Choose all that is recorded of the two types, at any speed, without what the bus itself says."""
    seen.tab.choose(time.time() - 3_700 - LENGTH, time.time() - 3_500)
    return await seen.planned()


async def play(seen: Screen, *speed: str) -> None:
    """Play what is planned."""
    await seen.press(*speed)
    await seen.planned()
    await seen.press("enter")
    await seen.asked("SureDialog")
    await seen.press("y")


# --- the span -------------------------------------------------------------------------------


async def test_the_span_is_moved_and_stretched_and_planned_anew(paths: HomePaths) -> None:
    async with opened(paths) as (runtime, seen):
        begin = time.time() - 3_600 - LENGTH
        seen.tab.choose(begin + 200, begin + 400)
        await seen.press("z", "minus")
        tab = seen.tab
        assert tab.history.window is not None
        column = tab.history.window.bucket
        for key, begins, ends in (
            ("left", -1, -1),
            ("right", 1, 1),
            ("h", -1, -1),
            ("l", 1, 1),
            ("shift+left", 0, -1),
            ("shift+right", 0, 1),
            ("alt+right", 1, 0),
            ("alt+left", -1, 0),
            ("greater_than_sign", 1, 0),
            ("less_than_sign", -1, 0),
            ("H", 0, -1),
            ("L", 0, 1),
        ):
            # An edge that was typed comes to the edge of a column first.
            if key == "shift+left":
                await seen.press("shift+left", "alt+right")
            before = tab.history.span
            assert before is not None
            await seen.press(key)
            after = tab.history.span
            assert after is not None
            moved = ((after.since - before.since) / column, (after.until - before.until) / column)
            assert moved == pytest.approx((begins, ends), abs=1e-3), key
            plan = await seen.planned()
            expected = await runtime.handle(m.PlanReplay(since=plan.since, until=plan.until))
            assert (plan.events, plan.by_target) == (expected.events, expected.by_target)
            assert f"{plan.events:,} event" in text(seen.app)


async def test_a_plan_that_reaches_into_the_present_grows_with_it(paths: HomePaths) -> None:
    async with opened(paths) as (runtime, seen):
        seen.tab.choose(time.time() - 3_700 - LENGTH, time.time() + 600, "command.#")
        before = await seen.planned()
        for _ in range(5):
            await runtime.handle(m.Publish(event_type="command.executed"))
        await seen.until(lambda: seen.tab.planner.plan and seen.tab.planner.plan.events == before.events + 5)


async def test_home_and_end_go_to_the_ends_of_history(paths: HomePaths) -> None:
    async with opened(paths) as (_, seen):
        span, bounds = seen.tab.history.span, seen.tab.history.bounds
        assert span is not None and bounds is not None
        await seen.press("home")
        first = seen.tab.history.span
        assert first is not None and first.since <= bounds.since < first.until
        assert first.seconds == pytest.approx(span.seconds)
        assert (await seen.planned()).events > 0
        await seen.press("end")
        last = seen.tab.history.span
        assert last is not None and last.since < bounds.until <= last.until


async def test_zoom_and_pan_show_other_parts_and_keep_the_span(paths: HomePaths) -> None:
    async with opened(paths) as (_, seen):
        await choose_all(seen)
        tab = seen.tab
        span = tab.history.span
        shown = []
        for key in ("0", "plus", "plus", "minus", "pageup", "pagedown", "z"):
            await seen.press(key)
            assert tab.history.span == span, key
            shown.append(tab.history.window)
            counted = await seen.until(lambda: tab.history.picture())
            await seen.until(lambda: tab.history._counted and tab.history._counted[0] == tab.history.window)
            counted = tab.history.picture()
            assert counted is not None and sum(counted.counts) > 0, key
        assert len(set(shown)) >= 5
        assert shown[0] is not None and tab.history.bounds is not None
        assert shown[0].since <= tab.history.bounds.since and shown[0].until >= tab.history.bounds.until
        await seen.press("w")
        window, whole = tab.history.window, tab.history.span
        assert window is not None and whole == window.span


async def test_a_span_is_dragged_with_the_mouse_and_the_wheel_zooms(paths: HomePaths) -> None:
    async with opened(paths) as (_, seen):
        tab = seen.tab
        panel = tab.query_one("#replay-history")
        await seen.pilot.mouse_down(panel, offset=(11, 3))
        await seen.pilot.hover(panel, offset=(31, 3))
        await seen.pilot.mouse_up(panel, offset=(31, 3))
        await seen.press()
        window, span = tab.history.window, tab.history.span
        assert window is not None and span is not None
        assert (window.column(span.since), window.column_after(span.until)) == (10, 31)
        before = window.bucket
        panel.post_message(tab._picture.Zoomed(1, 20))
        await seen.until(lambda: tab.history.window is not None and tab.history.window.bucket < before)


async def test_times_are_typed(paths: HomePaths) -> None:
    async with opened(paths) as (_, seen):
        await seen.press("t")
        await seen.asked("FieldsDialog")
        await seen.press(*"nonsense", "enter")
        assert "is not a time" in text(seen.app)
        await seen.press("escape")
        await seen.press("t")
        await seen.asked("FieldsDialog")
        await seen.press(*"-2h", "down", *"-50m", "enter")
        span = seen.tab.history.span
        assert span is not None
        now = seen.app.now().timestamp()
        assert (now - span.since, now - span.until) == pytest.approx((7_200, 3_000), abs=60)
        assert (await seen.planned()).events == EVENTS
        seen.app.action_act("replay_from")
        await seen.asked("FieldsDialog")
        await seen.until(lambda: len(seen.app.screen.query(Input)) == 2)
        values = [field.value for field in seen.app.screen.query(Input)]
        assert values[0].startswith("20") and values[1] > values[0]


# --- what is replayed, where to, how fast ---------------------------------------------------


async def test_types_and_a_regex_are_typed_and_remembered(paths: HomePaths, tmp_path: Path) -> None:
    kept = str(tmp_path / "dashboard.json")
    memory = Memory(kept)
    async with opened(paths, memory=memory) as (_, seen):
        await choose_all(seen)
        await seen.press("f")
        await seen.asked("FieldsDialog")
        await seen.press(*"MCP!")
        assert "is not a topic pattern" in text(seen.app)
        await seen.press("enter")
        await seen.asked("FieldsDialog")
        await seen.press(*["backspace"] * 4, *"mcp.#", "down", *'"n":[0-9]0}', "enter")
        plan = await seen.planned()
        assert plan.by_type == {"mcp.server.down": 9}
        assert "type mcp.#" in text(seen.app)
        seen.tab.speed = 5.0
        seen.tab.asked_for()
        memory.save()
        async with screen(paths.socket, memory=Memory(kept)) as again:
            await again.open()
            assert (again.tab.type, again.tab.filter, again.tab.speed) == ("mcp.#", '"n":[0-9]0}', 5.0)


async def test_a_regex_that_is_none_is_refused_before_it_is_asked(paths: HomePaths) -> None:
    async with opened(paths) as (_, seen):
        await seen.press("slash", "down", "(")
        await seen.press("enter")
        await seen.asked("FieldsDialog")
        await seen.press("escape")
        assert seen.tab.filter == ""


async def test_targets_are_marked_and_side_effects_are_asked_about(paths: HomePaths) -> None:
    async with opened(paths) as (runtime, seen):
        await choose_all(seen)
        assert "alert" not in (await seen.planned()).by_target
        tab = seen.tab

        async def mark(name: str) -> None:
            await seen.press("g")
            await seen.asked("TargetsDialog")
            names = [info.name for info in seen.app.screen._list.targets]  # type: ignore[attr-defined]
            await seen.press(*["j"] * names.index(name), "space", "enter")

        await mark("log")
        assert tab.targets == ("log",)
        await mark("alert")
        await seen.asked("SureDialog")
        assert "raises each alert again" in text(seen.app)
        await seen.press("enter")
        assert tab.targets == ("log",), "no is the answer unless y is pressed"
        await mark("alert")
        await seen.asked("SureDialog")
        await seen.press("y")
        assert tab.targets == ("log", "alert")
        plan = await seen.planned()
        assert plan.by_target == {"alert": EVENTS, "log": EVENTS}
        raised = len(titles(runtime))
        await play(seen, *["right_square_bracket"] * 8)
        assert "Where to" not in text(seen.app)
        await seen.chosen(lambda report: report.state == "done")
        assert len(titles(runtime)) > raised
        await seen.press("g", "c", "enter")
        await seen.until(lambda: tab.targets == ())


async def test_replays_are_taken_again_only_when_asked_for(paths: HomePaths) -> None:
    async with opened(paths) as (_, seen):
        plan = await choose_all(seen)
        await play(seen, *["right_square_bracket"] * 8)
        await seen.chosen(lambda report: report.state == "done")
        seen.tab.choose(time.time() - 3_000, time.time() + 60, "command.#")
        without = await seen.planned()
        await seen.press("i")
        included = await seen.planned()
        assert included.events - without.events == plan.by_type["command.executed"]
        assert "replays too" in text(seen.app)


# --- running --------------------------------------------------------------------------------


async def test_play_asks_and_delivers_what_was_planned(paths: HomePaths) -> None:
    async with opened(paths) as (runtime, seen):
        plan = await choose_all(seen)
        handled = runtime.bus.dispatcher.lanes["log"].handled
        await seen.press(*["right_square_bracket"] * 8)
        await seen.planned()
        await seen.press("enter")
        await seen.asked("SureDialog")
        shown = text(seen.app)
        assert f"Replay {EVENTS} events at max speed?" in shown
        assert "log" in shown and "left out: alert recovery" in shown
        await seen.press("enter")
        assert await replays(runtime) == []
        await seen.press("enter")
        await seen.asked("SureDialog")
        await seen.press("y")
        report = await seen.chosen(lambda report: report.state == "done")
        assert (report.replayed, report.failed, report.targets) == (EVENTS, 0, list(plan.by_target))
        await runtime.bus.settled()
        assert runtime.bus.dispatcher.lanes["log"].handled - handled == EVENTS
        await seen.until(lambda: "delivered 120" in text(seen.app))


async def test_pause_step_speed_and_stop(paths: HomePaths) -> None:
    async with opened(paths) as (runtime, seen):
        await choose_all(seen)
        await play(seen, "left_square_bracket", "left_square_bracket", "left_square_bracket")
        report = await seen.chosen(lambda report: report.state == "running")
        assert report.speed == 0.1
        await seen.until(lambda: "▸ replay 0.1x" in text(seen.app).split("\n")[1])
        await seen.press("space")
        await seen.until(lambda: "■ replay paused" in text(seen.app).split("\n")[1])
        paused = await seen.chosen(lambda report: report.state == "paused")
        assert (await replays(runtime))[0].state == "paused"
        await seen.press("n", "n")
        stepped = await seen.chosen(lambda report: report.replayed == paused.replayed + 2)
        assert stepped.state == "paused"
        assert "▸" in text(seen.app) and "command.executed" in text(seen.app).split("Replays")[1]
        await seen.press("right_square_bracket", "right_square_bracket")
        await seen.until(lambda: seen.tab.player._turn.locked() is False)
        await seen.chosen(lambda report: report.speed == 0.5)
        assert (await replays(runtime))[0].speed == 0.5
        assert seen.tab.speed == 0.1, "the plan's speed is its own"
        await seen.press("space")
        await seen.chosen(lambda report: report.state == "running")
        await seen.press("x")
        await seen.asked("SureDialog")
        await seen.press("n")
        assert (await replays(runtime))[0].state == "running"
        await seen.press("x")
        await seen.asked("SureDialog")
        await seen.press("y")
        stopped = await seen.chosen(lambda report: report.state == "stopped")
        assert stopped.replayed + stopped.skipped == EVENTS


async def test_step_begins_a_replay_that_waits_after_its_first_event(paths: HomePaths) -> None:
    async with opened(paths) as (_, seen):
        await choose_all(seen)
        await seen.press("n")
        await seen.asked("SureDialog")
        assert "one at a time" in text(seen.app)
        await seen.press("y")
        report = await seen.chosen(lambda report: report.replayed == 1)
        assert (report.state, report.events) == ("paused", EVENTS)


async def test_one_of_several_replays_is_chosen_and_keeps_being_it(paths: HomePaths) -> None:
    async with opened(paths) as (runtime, seen):
        await choose_all(seen)
        await play(seen, *["right_square_bracket"] * 8)
        first = await seen.chosen(lambda report: report.state == "done")
        begun = await runtime.handle(m.StartReplay(since="-1d", until="-59m", type="mcp.#", paused=True))
        await seen.chosen(lambda report: report.id == begun.id)
        await seen.press("down")
        await seen.chosen(lambda report: report.id == first.id)
        await seen.press("space")
        assert any(f"Replay {first.id} is done" in one for one in said(seen.app))
        assert (await replays(runtime))[0].state == "paused"
        await seen.press("k")
        await seen.chosen(lambda report: report.id == begun.id)
        await seen.press("escape")
        assert seen.tab.runs.chosen is None
        await seen.press("j")
        await seen.chosen(lambda report: report.id == begun.id)


async def test_failures_are_shown_with_their_error_and_lead_to_the_dead_letters(paths: HomePaths) -> None:
    async with opened(paths) as (runtime, seen):
        await choose_all(seen)
        await runtime.handle(
            m.Subscribe(pattern="mcp.#", handler="py:tests.dashboard.test_replay_keys:refuse", name="fragile")
        )
        await seen.press("p")
        await play(seen, *["right_square_bracket"] * 8)
        report = await seen.chosen(lambda report: report.state == "done" and report.failed)
        assert report.failed == 2
        await seen.press("v")
        await seen.asked("DocumentDialog")
        assert "refused on purpose" in text(seen.app)
        await seen.press("escape")
        await seen.press("d")
        await seen.until(lambda: seen.app.tabs.active.NAME == "dead_letters")
        await seen.until(lambda: "fragile" in text(seen.app))


def refuse(event: Any) -> None:
    """A handler that does not take two of the replayed events: too few for its breaker to open."""
    if event.replay_of is not None and event.payload["n"] in (20, 70):
        raise ValueError("refused on purpose")


# --- without a plan, without the right to change, from elsewhere ----------------------------


async def test_keys_without_a_replay_say_what_to_do(paths: HomePaths) -> None:
    async with opened(paths) as (runtime, seen):
        await seen.press("space", "x", "v", "d")
        assert len(said(seen.app)) == 4
        assert await replays(runtime) == []
        seen.tab.choose(1_000.0, 2_000.0)
        assert (await seen.planned()).events == 0
        assert "Nothing here can be replayed" in text(seen.app)
        await seen.press("enter", "n")
        assert sum("Nothing in this span" in one for one in said(seen.app)) == 2


async def test_a_read_only_view_plans_and_changes_nothing(paths: HomePaths) -> None:
    async with opened(paths, read_only=True) as (runtime, seen):
        begun = await runtime.handle(m.StartReplay(since="-1d", until="-59m", paused=True))
        await seen.chosen(lambda report: report.id == begun.id)
        await choose_all(seen)
        await seen.press("j")
        await seen.chosen(lambda report: report.id == begun.id)
        await seen.press("enter", "space", "n", "x", "left_square_bracket", "right_square_bracket")
        assert sum("read-only" in one for one in said(seen.app)) == 6
        assert await replays(runtime) == [await report_of(runtime, begun.id)]
        assert (await report_of(runtime, begun.id)).state == "paused"


async def report_of(runtime: Runtime, number: int) -> Any:
    (report,) = (await runtime.handle(m.QueryReplays(replay_id=number))).replays
    return report


async def test_another_screen_opens_it_on_one_event(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await fill(runtime, time.time() - 3_600 - LENGTH)
        page = await runtime.handle(m.QueryEvents(type="mcp.#", limit=1))
        event = page.events[0]
        async with screen(paths.socket) as seen:
            await seen.until(lambda: seen.app.snapshot)
            after = to_iso(from_iso(event.timestamp) + 2e-6)
            seen.app.link.open_replay(event.timestamp, after, event.event_type)
            await seen.until(lambda: seen.app.tabs.active.NAME == "replay")
            await seen.until(lambda: seen.tab.type == event.event_type)
            plan = await seen.planned()
            assert (plan.events, plan.first_id) == (1, event.id)


async def test_the_palette_tells_what_holds_and_offers_each_action(paths: HomePaths) -> None:
    async with opened(paths) as (_, seen):
        await choose_all(seen)
        provider = ActionProvider(seen.app.screen)
        await provider.startup()
        offered = {str(hit.display): str(hit.help) async for hit in provider.discover()}
        for action in ACTIONS:
            assert (action.title in offered) == action.palette, action.id
        assert f"{EVENTS} events planned" in offered[_title("play")]
        assert "without side effects" in offered[_title("targets")]


async def test_every_action_can_be_carried_out_at_any_time(paths: HomePaths) -> None:
    async with running(paths) as runtime, screen(paths.socket) as seen:
        await seen.until(lambda: seen.app.snapshot)
        for round_ in range(2):
            for action in ACTIONS:
                seen.app.action_act(action.id)
                await seen.press()
                while len(seen.app.screen_stack) > 1:
                    await seen.press("escape")
                assert seen.app._exception is None, (round_, action.id)
            await fill(runtime, time.time() - 3_600 - LENGTH)
