"""The dashboard outlives a lost bus, odd sizes and hostile events, and asks one question at a time."""

from __future__ import annotations

import asyncio
import unicodedata

import pytest

from event_monitor.dashboard import announcer
from event_monitor.dashboard.alert_policy import WORSE
from event_monitor.errors import NoBus
from event_monitor.model import FeedItem, Priority, Severity, Snapshot, Status, SystemState
from tests.dashboard import scene
from tests.dashboard.driving import refresh, rows, said, settle, text

SIZE = (120, 36)
HOSTILE = (
    "[/nope]",
    "[@click=app.quit]click me[/]",
    "[red",
    "\x1b[31mred\x1b[0m",
    "\x1b]52;c;aGFja2Vk\x1b\\",
    "\x1b]0;title\x07",
    "\x9b31mC1",
    "nul\x00bell\x07backspace\x08delete\x7f",
    "line\nbreak\r\ttab",
    "漢字かな交じり文" * 30,
    "e\u0301\u0301\u0301 combining",
    "warning \u26a0\ufe0f emoji 👩\u200d💻 🇩🇪",
    "\u202eoverride\u202c \u2066isolate\u2069 \u200f\u061c",
    "שלום עולם مرحبا",
    "x" * 10_000,
    "\u2028\u2029\ufeff\u00ad\U000e0041",
    "\ud800 lone surrogate",
)


def hostile() -> Snapshot:
    items = tuple(
        FeedItem(
            id=number + 1,
            timestamp="2026-03-14T15:41:40.000000Z",
            priority=Priority.CRITICAL,
            event_type="hostile.event",
            summary=text,
            status=Status.PENDING,
            outcomes=(),
        )
        for number, text in enumerate(HOSTILE)
    )
    first = scene.snapshot().alerts[0]
    alerts = tuple(
        type(first)(id=n + 1, at=first.at, severity=Severity.CRITICAL, title=bad, detail=bad)
        for n, bad in enumerate(HOSTILE)
    )
    return scene.snapshot(
        feed=items,
        home="/home/" + HOSTILE[4],
        alerts=alerts,
        unacknowledged=len(alerts),
        state=SystemState.DEGRADED,
        state_reason=HOSTILE[3],
    )


def assert_clean(shown: list[str]) -> None:
    forbidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    found = {repr(c) for row in shown for c in row if unicodedata.category(c) in forbidden}
    assert found == set()


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (40, 12)])
async def test_no_control_character_reaches_the_screen(size: tuple[int, int]) -> None:
    client = scene.FakeClient(hostile())
    client.payload = {str(n): bad for n, bad in enumerate(HOSTILE)} | {bad: bad for bad in HOSTILE}
    app = scene.app(client)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        assert_clean(rows(app))
        assert len(rows(app)) == size[1]
        for bad in HOSTILE:
            app.say(bad)
        await settle(pilot)
        assert_clean(rows(app))
        await pilot.press("j", "enter")
        await settle(pilot)
        for _ in range(6):
            assert_clean(rows(app))
            await pilot.press("pagedown")
        await pilot.press("escape")
        assert app.is_running


async def test_borders_stay_aligned_whatever_stands_between_them() -> None:
    app = scene.app(scene.FakeClient(hostile()))
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        strips = app.screen._compositor.render_strips()
        assert {strip.cell_length for strip in strips} == {120}
        await pilot.press("end")
        await settle(pilot)
        assert "[@click=app.quit]click me[/]" in text(app)
        assert "[/nope]" in text(app)


@pytest.mark.parametrize(
    "size",
    [(1, 1), (2, 1), (1, 6), (3, 2), (10, 3), (20, 6), (59, 17), (60, 18), (99, 29), (100, 30), (300, 5)],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
async def test_no_size_is_too_small(size: tuple[int, int]) -> None:
    app = scene.app(scene.FakeClient(hostile()))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await pilot.resize_terminal(*size)
        await settle(pilot)
        await pilot.press("j", "question_mark", "escape", "slash", "x", "escape")
        await settle(pilot)
        assert app._exception is None and app.is_running
        assert [strip.cell_length for strip in app.screen._compositor.render_strips()] == [size[0]] * size[1]


async def test_a_lost_connection_is_named_and_found_again() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        client.error = NoBus("no answer on /home/demo/bus.sock", "start event-monitor")
        await refresh(pilot)
        assert "NO CONNECTION" in text(app) and "no answer on /home/demo/bus.sock" in text(app)
        client.error = None
        await refresh(pilot)
        assert "NO CONNECTION" not in text(app) and "HEALTHY" in text(app)


async def test_it_starts_without_a_bus() -> None:
    client = scene.FakeClient()
    client.error = NoBus("nobody there", "start event-monitor")
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert "nobody there" in text(app)


async def test_an_unexpected_error_of_the_client_does_not_end_it() -> None:
    class Broken(scene.FakeClient):
        broken = False

        async def _answer(self, message: object) -> object:
            if self.broken:
                self.asked += 1
                raise RuntimeError("not one of ours")
            return await super()._answer(message)  # type: ignore[arg-type]

    client = Broken()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        client.broken = True
        await refresh(pilot)
        await pilot.press("a", "j", "enter")
        await settle(pilot)
        client.broken = False
        await refresh(pilot)
        assert "NO CONNECTION" not in text(app)


async def test_a_picture_that_cannot_be_drawn_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        draw, times = app.show_snapshot, []

        def fail_once(picture: Snapshot) -> None:
            times.append(picture)
            if len(times) == 1:
                raise ValueError("cannot be drawn")
            draw(picture)

        monkeypatch.setattr(app, "show_snapshot", fail_once)
        await refresh(pilot)
        client.picture = scene.snapshot(state=SystemState.MAINTENANCE)
        await refresh(pilot)
        assert "MAINTENANCE" in text(app)


async def test_never_two_questions_at_once() -> None:
    client = scene.FakeClient()
    client.gate = asyncio.Event()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(5):
            app.refresh_soon()
            await pilot.pause()
        assert client.most_open == 1
        client.gate.set()
        await settle(pilot)
        assert "HEALTHY" in text(app)


async def test_a_bus_that_does_not_answer_is_said_to_and_why_while_the_last_picture_stays() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        client.gate = asyncio.Event()
        client.why = "stalled in handler cl\x1bumsy for 1.4 s"
        app.refresh_soon()
        async with asyncio.timeout(10):
            while "does not answer" not in text(app):
                await pilot.pause(0.05)
        assert "the bus does not answer: stalled in handler cl␛umsy for 1.4 s" in text(app)
        assert "HEALTHY" in text(app), "the last picture stays"
        assert client.most_open == 1
        client.gate.set()
        async with asyncio.timeout(10):
            while "does not answer" in text(app):
                await pilot.pause(0.05)


async def test_an_unchanged_picture_repaints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    app = scene.app()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        painted: list[object] = []
        for panel in app.query("Panel"):
            monkeypatch.setattr(panel, "refresh", lambda *a, **k: painted.append(a))
        await refresh(pilot)
        assert painted == []


async def test_a_new_alert_rings_toasts_and_shows_a_banner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcer, "BELL_GAP", 0.01)
    client = scene.FakeClient(scene.calm())
    app = scene.app(client)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot)
        rung: list[int] = []
        app.bell = lambda: rung.append(1)  # type: ignore[method-assign]
        client.picture = scene.snapshot()
        await refresh(pilot)
        for _ in range(100):
            if len(rung) == WORSE:
                break
            await pilot.pause(0.01)
        assert rung == [1] * WORSE
        assert any("mcp.server.down" in message for message in said(app))
        assert any("acknowledge" in row and "github" in row for row in rows(app)[:4])


async def test_bell_toast_and_banner_can_be_turned_off() -> None:
    client = scene.FakeClient(scene.calm())
    app = scene.app(client, bell=False, toast=False, banner=False)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await settle(pilot)
        rung: list[int] = []
        app.bell = lambda: rung.append(1)  # type: ignore[method-assign]
        client.picture = scene.snapshot()
        await refresh(pilot)
        assert rung == [] and said(app) == []
        assert not any("github" in row for row in rows(app)[:4])
