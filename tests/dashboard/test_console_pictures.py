"""Pictures of the Console, compared with those that a person has looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from event_monitor.dashboard.console.tab import ConsoleTab
from tests.dashboard import scene
from tests.dashboard.console_scene import Scripted
from tests.dashboard.driving import settle

Compare = Callable[..., bool]
SIZES = [(120, 36), (80, 24), (40, 12)]
LINES = (
    'publish mcp.server.down {"service": "github", "token": "sesame"}',
    "breaker",
    "events --limit 3",
    "breaker github ajar",
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)


def typed(*lines: str, half: str = "", keys: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    async def before(pilot: Any) -> None:
        await settle(pilot)
        await pilot.press("5")
        await settle(pilot)
        tab = pilot.app.tabs.active
        assert isinstance(tab, ConsoleTab)
        for line in lines:
            tab._prompt.set_text(line)
            await pilot.press("enter")
            await settle(pilot)
        tab._prompt.set_text(half)
        await settle(pilot)
        await pilot.press(*keys)
        await settle(pilot)

    return before


def app(**settings: Any) -> Any:
    return scene.app(Scripted(scene.calm()), **settings)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_console(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    shown = app(theme=f"event-monitor-{theme}")
    assert snap_compare(shown, terminal_size=size, run_before=typed(*LINES, half="breaker "))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_console_without_colour(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(app(), terminal_size=size, run_before=typed(*LINES, half="breaker "))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_empty_console(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=typed())


def test_results_as_json(snap_compare: Compare) -> None:
    assert snap_compare(
        app(),
        terminal_size=SIZES[0],
        run_before=typed(*LINES[1:3], half='publish a {\n"b"', keys=("ctrl+t",)),
    )


def test_an_offer_is_chosen(snap_compare: Compare) -> None:
    assert snap_compare(
        app(), terminal_size=SIZES[0], run_before=typed(LINES[1], half="breaker ", keys=("tab", "tab"))
    )
