"""Pictures of the Replay tab, compared with those that a person has looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from event_monitor.dashboard.replay import history, planner
from tests.dashboard import replay_scene, scene
from tests.dashboard.driving import settle
from tests.dashboard.test_pictures import SIZES, Compare

WIDE = SIZES[0]
# Keys after which the bus is asked before a dialog opens.
_ANSWERED = ("g", "v", "y", "enter")


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (history, planner):
        monkeypatch.setattr(module, "DELAY", 0.0)


def pressed(*keys: str) -> Callable[[Any], Any]:
    async def run(pilot: Any) -> None:
        await settle(pilot)
        await pilot.press("3")
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            if key in _ANSWERED:
                await settle(pilot)
        await settle(pilot)

    return run


def of_size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def running() -> replay_scene.ReplayClient:
    return replay_scene.ReplayClient(replay_scene.many())


@pytest.mark.parametrize("size", SIZES, ids=of_size)
def test_replay_runs(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = scene.app(running())
    assert snap_compare(app, terminal_size=size, run_before=pressed(*["left"] * 12, "shift+right"))


def test_replay_in_light(snap_compare: Compare) -> None:
    app = scene.app(running(), theme="event-monitor-light")
    assert snap_compare(app, terminal_size=WIDE, run_before=pressed("left", "down"))


def test_replay_without_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(scene.app(running()), terminal_size=WIDE, run_before=pressed("left", "left"))


@pytest.mark.parametrize("size", SIZES, ids=of_size)
def test_replay_of_an_empty_home(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = scene.app(replay_scene.ReplayClient(empty=True))
    assert snap_compare(app, terminal_size=size, run_before=pressed())


@pytest.mark.parametrize("size", SIZES, ids=of_size)
def test_replay_play_is_asked(snap_compare: Compare, size: tuple[int, int]) -> None:
    marked = ("g", "j", "j", "j", "j", "space", "enter", "y")
    app = scene.app(replay_scene.ReplayClient())
    assert snap_compare(app, terminal_size=size, run_before=pressed(*marked, "enter"))


@pytest.mark.parametrize("size", [SIZES[0], SIZES[2]], ids=of_size)
def test_replay_targets(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = scene.app(replay_scene.ReplayClient())
    assert snap_compare(app, terminal_size=size, run_before=pressed("g", "space", "j", "j", "j", "j"))


@pytest.mark.parametrize("size", [SIZES[0], SIZES[2]], ids=of_size)
def test_replay_times(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = scene.app(replay_scene.ReplayClient())
    assert snap_compare(app, terminal_size=size, run_before=pressed("t", *"14:0"))


def test_replay_results(snap_compare: Compare) -> None:
    assert snap_compare(scene.app(running()), terminal_size=WIDE, run_before=pressed("v"))
