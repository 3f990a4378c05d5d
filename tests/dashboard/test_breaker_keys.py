"""Breakers, services and maintenance from the keyboard and the palette: on the selected name, with a
reason where something is held, stopped or let go."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot

from event_monitor.dashboard.palette import ActionProvider
from event_monitor.messages import RestartService, Resume, SetBreaker, SetMaintenance
from event_monitor.model import ServiceView, Snapshot, SystemState
from tests.dashboard import scene, service_scene
from tests.dashboard.driving import refresh, rows, said, settle, text
from tests.dashboard.test_life import HOSTILE

SIZE = (120, 36)
ADA = "ada (dashboard)"


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")


def broken(*names: str, **changes: Any) -> Snapshot:
    return scene.snapshot(
        services=tuple(
            ServiceView(
                name=f"target:{name}",
                kind="target",
                **{"breaker": "OPEN", "failure_count": 5, "note": "8 parked", **changes},
            )
            for name in names
        )
    )


async def press(pilot: Pilot[Any], *keys: str) -> None:
    await pilot.press(*keys)
    await settle(pilot)


async def entries(app: Any) -> dict[str, Any]:
    """What the palette offers before anything is typed."""
    provider = ActionProvider(app.screen)
    await provider.startup()
    return {str(hit.display): hit async for hit in provider.discover()}


async def test_a_target_that_is_open_is_shown_with_what_can_be_done() -> None:
    app = scene.app(scene.FakeClient(broken("flaky")))
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        shown = text(app)
        assert "→ flaky" in shown
        assert "✖ OPEN" in shown
        assert "8 parked" in shown
        assert "r reset  o open  c close" in shown


async def test_reset_acts_at_once_on_the_selected_name_whatever_the_order() -> None:
    client = scene.FakeClient(broken("first", "second", "third"))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("tab", "j")
        client.picture = broken("zero", "third", "second", "first")
        await refresh(pilot)
        assert any("▸ → second" in row for row in rows(app))
        await press(pilot, "r")
        assert client.sent == [SetBreaker(name="target:second", action="reset", by=ADA)]
        assert any("target:second" in one for one in said(app))


@pytest.mark.parametrize(
    ("key", "action", "question"),
    [("o", "open", "Open the breaker of target:flaky?"), ("c", "close", "Hold the breaker of target:flaky")],
)
async def test_what_holds_a_breaker_asks_for_a_reason(key: str, action: str, question: str) -> None:
    client = scene.FakeClient(broken("flaky"))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, key)
        assert question in text(app)
        await press(pilot, *"q [red] r", "escape")
        assert client.sent == [] and app.is_running
        await press(pilot, key, *"new [disk] q", "enter")
        await press(pilot, key, "enter")
        assert client.sent == [
            SetBreaker(name="target:flaky", action=action, reason="new [disk] q", by=ADA),  # type: ignore[arg-type]
            SetBreaker(name="target:flaky", action=action, reason="", by=ADA),  # type: ignore[arg-type]
        ]


async def test_resetting_what_somebody_holds_says_why_and_asks() -> None:
    client = scene.FakeClient(broken("flaky", forced="open", note='"deploy"'))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "r")
        assert 'It is held open "deploy".' in text(app)
        await press(pilot, *"done", "enter")
        assert client.sent == [SetBreaker(name="target:flaky", action="reset", reason="done", by=ADA)]


async def test_a_pasted_reason_is_text_whatever_it_holds() -> None:
    client = scene.FakeClient(broken("flaky"))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "o")
        app.screen.query_one("#reason").insert_text_at_cursor("\x1b]52;c;x\x07[/nope]")  # type: ignore[attr-defined]
        await settle(pilot)
        assert "\x1b" not in text(app) and "[/nope]" in text(app)
        await press(pilot, "enter")
        assert client.sent[0].reason == "␛]52;c;x␇[/nope]"  # type: ignore[attr-defined]


async def test_without_an_open_breaker_the_keys_say_so() -> None:
    client = scene.FakeClient(scene.snapshot(services=()))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "tab", "j", "r")
        assert client.sent == []
        assert said(app) == ["There is no breaker to act on: all stand closed"]


async def test_maintenance_begins_and_ends_with_a_reason() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "m")
        assert "Begin maintenance?" in text(app)
        await press(pilot, *"upgrade", "enter")
        client.picture = scene.snapshot(state=SystemState.MAINTENANCE)
        await refresh(pilot)
        await press(pilot, "m")
        assert "End maintenance?" in text(app)
        await press(pilot, "enter")
        assert client.sent == [
            SetMaintenance(on=True, reason="upgrade", by=ADA),
            SetMaintenance(on=False, reason="", by=ADA),
        ]


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("Reset github", None, SetBreaker(name="github", action="reset", by=ADA)),
        ("Half-open github", None, SetBreaker(name="github", action="half_open", by=ADA)),
        ("Open github", "x", SetBreaker(name="github", action="open", reason="x", by=ADA)),
        ("Close github", "x", SetBreaker(name="github", action="close", reason="x", by=ADA)),
        ("Reset web_search", "x", SetBreaker(name="web_search", action="reset", reason="x", by=ADA)),
        ("Restart github", "x", RestartService(service="github", reason="x", by=ADA)),
        ("Resume", "x", Resume(reason="x", by=ADA)),
        ("Maintenance on", "x", SetMaintenance(on=True, reason="x", by=ADA)),
        ("Maintenance off", "x", SetMaintenance(on=False, reason="x", by=ADA)),
    ],
)
async def test_each_override_of_the_palette(name: str, reason: str | None, message: Any) -> None:
    picture = scene.snapshot(services=service_scene.table(), kill_switch=True)
    if name == "Maintenance off":
        picture = msgspec.structs.replace(picture, state=SystemState.MAINTENANCE)
    client = scene.FakeClient(picture)
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await (await entries(app))[name].command()
        await settle(pilot)
        if reason is not None:
            assert client.sent == []
            await press(pilot, *reason, "enter")
        assert client.sent == [message]


async def test_the_palette_tells_the_state_and_finds_targets_that_stand_closed() -> None:
    client = scene.FakeClient(scene.snapshot(services=service_scene.table()))
    client.breakers = [msgspec.structs.replace(service_scene.parked().circuit, service="target:alert")]
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        offered = await entries(app)
        assert "breaker OPEN" in offered["Reset github"].help
        assert '"deploy"' in offered["Reset web_search"].help
        assert "off" in offered["Resume"].help
        assert "Restart target:log" not in offered and "Open target:alert" not in offered
        provider = ActionProvider(app.screen)
        await provider.startup()
        found = [str(hit.match_display) async for hit in provider.search("Open target:alert")]
        assert found[0] == "Open target:alert"


async def test_nothing_is_resumed_or_ended_that_is_not_on() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        app.action_act("resume")
        app.action_act("maintenance_off")
        await settle(pilot)
        assert client.sent == []
        assert [("resume" in one, "maintenance" in one) for one in said(app)] == [
            (True, False),
            (False, True),
        ]


async def test_a_read_only_view_overrides_nothing() -> None:
    client = scene.FakeClient(scene.snapshot(services=service_scene.table(), kill_switch=True))
    app = scene.app(client, read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        offered = await entries(app)
        names = [name for name in offered if name.split()[-1] in ("github", "Resume") or "aintenance" in name]
        assert len(names) > 4
        for name in names:
            if not name.startswith("Details"):
                assert "read-only" in offered[name].help
                await offered[name].command()
                await settle(pilot)
        await press(pilot, "tab", "r", "o", "c", "m", "enter", "r", "o", "c", "h", "R")
        assert client.sent == []
        assert "github" not in [type(screen).__name__ for screen in app.screen_stack]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_or_reason_is_only_text_in_the_palette_and_the_question(name: str) -> None:
    service = ServiceView(name=name, kind="http", breaker="OPEN", forced="open", note=f'"{name}"')
    app = scene.app(scene.FakeClient(scene.snapshot(services=(service,))))
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p", *"reset")
        assert isinstance(app.screen, CommandPalette)
        assert "\x1b" not in text(app)
        await press(pilot, "escape")
        await press(pilot, "tab", "r")
        assert "Reset the breaker of" in text(app) and "\x1b" not in text(app)
        assert app._exception is None


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_an_open_breaker_is_seen_and_held_on_small_screens(size: tuple[int, int]) -> None:
    client = scene.FakeClient(broken("flaky"))
    app = scene.app(client)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert "→ flaky" in text(app)
        assert "✖ OPEN" in text(app)
        await press(pilot, "o")
        shown = text(app)
        assert "Open the breaker of target:flaky?" in shown
        assert "Reason (optional)" in shown and "esc cancel" in shown
        await press(pilot, "enter")
        assert len(client.sent) == 1
