"""Pictures of the dashboard, compared with those that a person has looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from event_monitor.errors import NoBus
from event_monitor.model import SystemState
from tests.dashboard import scene, service_scene
from tests.dashboard.driving import settle

SIZES = [(120, 36), (80, 24), (40, 12)]
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)


def pressed(*keys: str) -> Callable[[Any], Any]:
    async def before(pilot: Any) -> None:
        await settle(pilot)
        await pilot.press(*keys)
        await settle(pilot)

    return before


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_overview(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    app = scene.app(theme=f"event-monitor-{theme}")
    assert snap_compare(app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_overview_without_colour(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(scene.app(), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_empty_home(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(scene.app(scene.FakeClient(scene.empty())), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_degraded(snap_compare: Compare, size: tuple[int, int]) -> None:
    picture = scene.snapshot(state=SystemState.DEGRADED, state_reason="the store refuses events: disk full")
    assert snap_compare(scene.app(scene.FakeClient(picture)), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_connection(snap_compare: Compare, size: tuple[int, int]) -> None:
    client = scene.FakeClient()
    client.error = NoBus("no answer on /home/demo/.claude/event-bus/bus.sock", "start event-monitor")
    assert snap_compare(scene.app(client), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_details(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(scene.app(), terminal_size=size, run_before=pressed("j", "enter"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_help(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(scene.app(), terminal_size=size, run_before=pressed("question_mark"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_declared_servers(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def opened(pilot: Any) -> None:
        await settle(pilot)
        pilot.app.action_act("declared")
        await settle(pilot)

    assert snap_compare(scene.app(), terminal_size=size, run_before=opened)


def test_empty_home_beside_an_assistant_with_servers(snap_compare: Compare) -> None:
    picture = msgspec.structs.replace(scene.empty(), unwatched=3)
    client = scene.FakeClient(picture)
    assert snap_compare(scene.app(client), terminal_size=SIZES[0], run_before=settle)


def test_palette(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    from textual.widgets import Input

    monkeypatch.setattr(Input, "cursor_blink", False)
    assert snap_compare(scene.app(), terminal_size=SIZES[0], run_before=pressed("ctrl+p"))


def test_filter(snap_compare: Compare) -> None:
    assert snap_compare(
        scene.app(), terminal_size=SIZES[0], run_before=pressed("slash", *"command.#", "enter")
    )


def watched(detail: str = "failing") -> scene.FakeClient:
    client = scene.FakeClient(scene.snapshot(services=service_scene.table()))
    client.service = getattr(service_scene, detail)()
    return client


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_service(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    app = scene.app(watched(), theme=f"event-monitor-{theme}")
    assert snap_compare(app, terminal_size=size, run_before=pressed("tab", "j", "enter"))


def test_service_without_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = scene.app(watched())
    assert snap_compare(app, terminal_size=SIZES[0], run_before=pressed("tab", "j", "enter"))


def test_target(snap_compare: Compare) -> None:
    app = scene.app(watched("parked"))
    assert snap_compare(app, terminal_size=SIZES[0], run_before=pressed("tab", *"jjjj", "enter"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_reason(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = scene.app(watched())
    assert snap_compare(app, terminal_size=size, run_before=pressed("tab", "j", "o", *"new disk"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_state_history(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(scene.app(watched()), terminal_size=size, run_before=pressed("s"))
