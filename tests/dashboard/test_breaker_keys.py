"""Breakers and maintenance from the keyboard: on the selected name, and asked about first."""

from __future__ import annotations

import pytest

from event_monitor.dashboard.palette import ActionProvider
from event_monitor.messages import SetBreaker, SetMaintenance
from event_monitor.model import ServiceView, Snapshot, SystemState
from tests.dashboard import scene
from tests.dashboard.driving import refresh, rows, said, settle, text

SIZE = (120, 36)


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")


def broken(*names: str) -> Snapshot:
    return scene.snapshot(
        services=tuple(
            ServiceView(
                name=f"target:{name}", kind="target", breaker="OPEN", failure_count=5, note="8 parked"
            )
            for name in names
        )
    )


async def test_a_target_that_is_open_is_shown_with_what_can_be_done() -> None:
    app = scene.app(scene.FakeClient(broken("flaky")))
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        shown = text(app)
        assert "→ flaky" in shown
        assert "✖ OPEN" in shown
        assert "8 parked" in shown
        assert "r reset  o open  c close" in shown


@pytest.mark.parametrize(("key", "action"), [("r", "reset"), ("c", "close")])
async def test_reset_and_close_act_on_the_selected_name(key: str, action: str) -> None:
    client = scene.FakeClient(broken("first", "second", "third"))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("tab", "j")
        client.picture = broken("zero", "third", "second", "first")
        await refresh(pilot)
        assert any("▸ → second" in row for row in rows(app))
        await pilot.press(key)
        await settle(pilot)
        assert client.sent == [
            SetBreaker(name="target:second", action=action, reason="from the dashboard", by="ada (dashboard)")  # type: ignore[arg-type]
        ]
        assert any("target:second" in one for one in said(app))


async def test_open_names_the_breaker_and_asks_first() -> None:
    client = scene.FakeClient(broken("flaky"))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("o")
        await settle(pilot)
        assert "Hold target:flaky open?" in text(app)
        await pilot.press("enter")
        await settle(pilot)
        assert client.sent == []
        await pilot.press("o")
        await settle(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert [(one.name, one.action) for one in client.sent] == [("target:flaky", "open")]  # type: ignore[attr-defined]


async def test_without_an_open_breaker_the_keys_say_so() -> None:
    client = scene.FakeClient(scene.snapshot(services=()))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("tab", "j", "r")
        await settle(pilot)
        assert client.sent == []
        assert said(app) == ["There is no breaker to act on: all stand closed"]


async def test_maintenance_is_asked_about_and_ended_at_once() -> None:
    client = scene.FakeClient()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("m")
        await settle(pilot)
        assert "Begin maintenance?" in text(app)
        await pilot.press("y")
        await settle(pilot)
        client.picture = scene.snapshot(state=SystemState.MAINTENANCE)
        await refresh(pilot)
        await pilot.press("m")
        await settle(pilot)
        assert [one.on for one in client.sent] == [True, False]  # type: ignore[attr-defined]
        assert all(isinstance(one, SetMaintenance) for one in client.sent)


async def test_the_palette_overrides_each_breaker_by_name_but_not_in_a_read_only_view() -> None:
    client = scene.FakeClient(broken("flaky"))
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        entries = {str(hit.display): hit async for hit in ActionProvider(app.screen).discover()}
        assert "breaker OPEN" in str(entries["Reset target:flaky"].help)
        await entries["Reset target:flaky"].command()  # type: ignore[misc]
        await settle(pilot)
        app.read_only = True
        await entries["Close target:flaky"].command()  # type: ignore[misc]
        await settle(pilot)
        assert [one.action for one in client.sent] == ["reset"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_an_open_breaker_is_seen_on_small_screens(size: tuple[int, int]) -> None:
    app = scene.app(scene.FakeClient(broken("flaky")))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert "→ flaky" in text(app)
        assert "✖ OPEN" in text(app)
