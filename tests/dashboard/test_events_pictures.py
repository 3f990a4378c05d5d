"""Pictures of the Events tab, compared with those that a person has looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboard import scene
from tests.dashboard.driving import settle
from tests.dashboard.events_scene import HistoryClient

SIZES = [(120, 36), (80, 24), (40, 12)]
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)


def pressed(*keys: str) -> Callable[[Any], Any]:
    """Open the tab, press keys, and wait until the details of the selected event are there."""

    async def before(pilot: Any) -> None:
        await settle(pilot)
        await pilot.press("2")
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        tab = pilot.app.tabs.active
        for _ in range(500):
            if not tab.has_pane or tab.shown_id is None or tab.pane_id == tab.shown_id:
                break
            await pilot.pause(0.01)
        await settle(pilot)

    return before


def typed(text: str) -> tuple[str, ...]:
    return tuple("space" if one == " " else one for one in text)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_events(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    app = scene.app(HistoryClient(), theme=f"event-monitor-{theme}")
    assert snap_compare(app, terminal_size=size, run_before=pressed("j", "j", "x", "j", "j"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_events_without_colour(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(scene.app(HistoryClient()), terminal_size=size, run_before=pressed("j", "v", "j"))


@pytest.mark.parametrize("size", SIZES[::2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_details(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = scene.app(HistoryClient())
    assert snap_compare(app, terminal_size=size, run_before=pressed("j", "j", "enter"))


def test_filter(snap_compare: Compare) -> None:
    keys = ("slash", *typed("command.# -git"), "enter")
    assert snap_compare(scene.app(HistoryClient()), terminal_size=SIZES[1], run_before=pressed(*keys))


@pytest.mark.parametrize("size", SIZES[::2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_mistake(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def before(pilot: Any) -> None:
        await pressed("slash")(pilot)
        # All at once: of what is typed slowly the first words would be applied.
        pilot.app.focused.insert_text_at_cursor("a status:daed")
        await pilot.press("enter")
        await settle(pilot)

    assert snap_compare(scene.app(HistoryClient()), terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES[::2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_empty_history(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = scene.app(HistoryClient(0, scene.empty()))
    assert snap_compare(app, terminal_size=size, run_before=pressed())


def test_columns(snap_compare: Compare) -> None:
    app = scene.app(HistoryClient())
    keys = ("d", "h", "space", *"jjjjj", "space", "j", "space")
    assert snap_compare(app, terminal_size=(120, 36), run_before=pressed(*keys))


def test_all_columns(snap_compare: Compare) -> None:
    app = scene.app(HistoryClient())
    keys = ("d", "h", "space", *"jjjjj", "space", "j", "space", "escape")
    assert snap_compare(app, terminal_size=(140, 20), run_before=pressed(*keys))


def test_edit(snap_compare: Compare) -> None:
    assert snap_compare(scene.app(HistoryClient()), terminal_size=(80, 24), run_before=pressed("P"))


def test_write(snap_compare: Compare) -> None:
    assert snap_compare(scene.app(HistoryClient()), terminal_size=SIZES[2], run_before=pressed("w"))
