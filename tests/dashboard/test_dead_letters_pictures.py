"""Pictures of the Dead letters tab, compared with those that a person has looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboard import scene
from tests.dashboard.dead_letters_scene import DeadClient
from tests.dashboard.driving import settle

SIZES = [(120, 36), (80, 24), (40, 12)]
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)


def pressed(*keys: str) -> Callable[[Any], Any]:
    """Open the tab, then press keys, one after the other."""

    async def before(pilot: Any) -> None:
        await settle(pilot)
        for key in ("4", *keys):
            await pilot.press(key)
            await settle(pilot)

    return before


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_letters(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    app = scene.app(DeadClient(), theme=f"event-monitor-{theme}")
    assert snap_compare(app, terminal_size=size, run_before=pressed("enter", "j"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_without_colour(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(scene.app(DeadClient()), terminal_size=size, run_before=pressed())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_empty(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(scene.app(DeadClient((), ())), terminal_size=size, run_before=pressed())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_editor(snap_compare: Compare, size: tuple[int, int]) -> None:
    keys = ("enter", "j", "e", "down", "x", "ctrl+t")
    assert snap_compare(scene.app(DeadClient()), terminal_size=size, run_before=pressed(*keys))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_question(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(scene.app(DeadClient()), terminal_size=size, run_before=pressed("D"))
