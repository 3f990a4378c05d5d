"""The Replay tab while answers come late or never, while the bus is killed, and over restarts of both."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from event_monitor import messages as m
from event_monitor.clock import to_iso
from event_monitor.dashboard.replay import history, planner
from event_monitor.dashboard.replay.tab import ReplayTab
from event_monitor.errors import NoBus
from event_monitor.paths import HomePaths
from tests.dashboard import replay_scene, scene
from tests.dashboard.driving import refresh, said, settle, text
from tests.dashboard.replay_bus import WIDE, screen
from tests.processes import Headless


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (history, planner):
        monkeypatch.setattr(module, "DELAY", 0.0)


def tab_of(app: Any) -> ReplayTab:
    assert isinstance(app.tabs.active, ReplayTab)
    return app.tabs.active


async def until(pilot: Any, condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await pilot.pause(0.01)


async def test_only_the_newest_plan_is_shown_and_older_questions_are_given_up() -> None:
    client = replay_scene.ReplayClient()
    client.held = [asyncio.Event() for _ in range(3)]
    app = scene.app(client)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("3")
        await until(pilot, lambda: len(client.plans) == 1)
        await pilot.press("left")
        await until(pilot, lambda: len(client.plans) == 2)
        await pilot.press("left")
        await until(pilot, lambda: len(client.plans) == 3)
        tab = tab_of(app)
        assert client.cancelled == 2
        for gate in client.held[:2]:
            gate.set()
        await pilot.pause()
        assert tab.planner.plan is None and tab.planner.waited is not None
        client.held[2].set()
        await until(pilot, lambda: tab.planner.plan)
        assert tab.planner.plan == replay_scene.plan(client.plans[2])
        assert tab.planner.question == tab.question()


async def test_a_plan_that_takes_long_says_so_and_can_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    client = replay_scene.ReplayClient()
    client.held = [asyncio.Event()]
    app = scene.app(client)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("3")
        await until(pilot, lambda: client.plans)
        await refresh_only(pilot)
        assert "Counting what would be delivered" in text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert client.sent == [], "what is not known yet is not played"
        await pilot.press("escape")
        await until(pilot, lambda: client.cancelled == 1)
        assert "You gave up waiting" in text(app)
        await pilot.press("p")
        await until(pilot, lambda: tab_of(app).planner.plan)


async def refresh_only(pilot: Any) -> None:
    """The next picture, without waiting for what is held."""
    app = pilot.app
    before = app.client.asked
    app.refresh_soon()
    await until(pilot, lambda: app.client.asked > before)
    await pilot.pause()


async def test_another_speed_is_no_other_question() -> None:
    client = replay_scene.ReplayClient()
    app = scene.app(client)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("3")
        await settle(pilot)
        await pilot.press("right_square_bracket")
        await settle(pilot)
        assert len(client.plans) == 1
        plan = tab_of(app).planner.plan
        assert plan is not None and tab_of(app).planner.question == tab_of(app).question()
        twice = msgspec.structs.replace(client.plans[0], speed=2.0)
        assert plan == replay_scene.plan(twice)
        assert "at 2x" in text(app)


async def test_a_hidden_tab_asks_nothing() -> None:
    client = replay_scene.ReplayClient(replay_scene.many())
    app = scene.app(client)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("3")
        await settle(pilot)
        await pilot.press("1")
        await settle(pilot)
        asked = (len(client.plans), len(client.counted))
        client.picture = scene.snapshot(totals=scene.Totals(published=99_999))
        await refresh(pilot)
        assert (len(client.plans), len(client.counted)) == asked
        await pilot.press("3")
        await settle(pilot)
        assert len(client.counted) > asked[1], "what was published meanwhile is counted when it is opened"


async def test_a_lost_bus_is_said_and_asked_again_when_it_is_back() -> None:
    client = replay_scene.ReplayClient()
    client.error = NoBus("no answer on bus.sock", "start event-monitor")
    app = scene.app(client)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("3")
        await settle(pilot)
        app.screen.remove_class("-waiting")
        await until(pilot, lambda: "no answer on bus.sock" in text(app))
        client.error = None
        await refresh(pilot)
        await until(pilot, lambda: tab_of(app).planner.plan)
        assert "no answer" not in text(app)


async def test_nothing_is_repainted_that_did_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    client = replay_scene.ReplayClient(replay_scene.many())
    app = scene.app(client)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("3")
        await settle(pilot)
        await refresh(pilot)
        painted: list[object] = []
        for panel in tab_of(app).query("Panel"):
            monkeypatch.setattr(panel, "refresh", lambda *a, **k: painted.append(a))
        await refresh(pilot)
        assert painted == []


EVENTS = 400
QUICK = 200


def record(paths: HomePaths, begin: float) -> None:
    """Write events into the store of a bus that does not run: from ``begin`` on first twenty a second, then
    one an hour, so that no replay that keeps the gaps is done before it is looked at."""
    with sqlite3.connect(paths.database) as connection:
        (highest,) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM events").fetchone()
        connection.executemany(
            "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count) "
            "VALUES (?, ?, 'old.news', '{}', 'delivered', 0)",
            [(highest + 1 + n, to_iso(begin + n / 20 + 3_600 * max(0, n - QUICK))) for n in range(EVENTS)],
        )
    connection.close()


async def test_a_replay_outlives_a_killed_bus_and_a_closed_dashboard(home: Path) -> None:
    paths = HomePaths(str(home))
    Headless(home).stop()
    begin = time.time() - 3_600 * (EVENTS + 1)
    record(paths, begin)
    bus = Headless(home)
    try:
        async with screen(bus.socket) as seen:
            await seen.press("3")
            await seen.until(lambda: seen.app.tabs.active.NAME == "replay")
            seen.tab.choose(begin - 10, time.time(), "old.news")
            assert (await seen.planned()).events == EVENTS
            await seen.press("enter")
            await seen.asked("SureDialog")
            await seen.press("y")
            begun = await seen.chosen(lambda report: report.replayed >= 20)
            bus.kill()
            await seen.until(lambda: "no connection" in text(seen.app))
            await seen.press("space")
            await seen.until(lambda: any("no answer" in one for one in said(seen.app)))
            await seen.press("left")
            bus = Headless(home)
            await seen.until(lambda: "no connection" not in text(seen.app))
            again = await seen.chosen(lambda report: report.replayed >= begun.replayed)
            assert (again.id, again.state) == (begun.id, "running")
        async with screen(bus.socket) as seen:
            await seen.press("3")
            await seen.until(lambda: seen.app.tabs.active.NAME == "replay")
            found = await seen.chosen(lambda report: report.id == begun.id)
            assert found.state == "running", "another dashboard finds it"
            for _ in range(8):
                await seen.press("right_square_bracket")
            done = await seen.chosen(lambda report: report.state == "done")
            assert (done.replayed, done.failed) == (EVENTS, 0)
    finally:
        if bus.process.poll() is None:
            bus.stop()
    with sqlite3.connect(paths.database) as connection:
        counts = connection.execute(
            "SELECT COUNT(*), COUNT(DISTINCT replay_of), MIN(status), MAX(status) FROM events "
            "WHERE replay_of IS NOT NULL"
        ).fetchone()
    connection.close()
    assert counts == (EVENTS, EVENTS, "delivered", "delivered"), "each once, whatever was killed"


async def test_commands_reach_the_bus_in_the_order_of_the_keys() -> None:
    client = replay_scene.ReplayClient([replay_scene.report(12)])
    client.first_command = asyncio.Event()
    app = scene.app(client)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("3")
        await settle(pilot)
        await pilot.press("right_square_bracket", "right_square_bracket", "space", "n", "left_square_bracket")
        client.first_command.set()
        await settle(pilot)
        sent = [(one.action, one.speed) for one in client.sent if isinstance(one, m.ControlReplay)]
        assert [action for action, _ in sent] == ["speed", "speed", "pause", "step", "speed"]
        assert sent[0][1] == 20.0


async def test_what_was_refused_is_not_shown_as_done() -> None:
    client = replay_scene.ReplayClient([replay_scene.report(12)])
    client.refusal = NoBus("no answer on bus.sock", "start event-monitor")
    app = scene.app(client)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("3")
        await settle(pilot)
        await pilot.press("space")
        await settle(pilot)
        live = tab_of(app).runs.live
        assert live is not None and live.state == "running"
        assert any("no answer" in one for one in said(app))
