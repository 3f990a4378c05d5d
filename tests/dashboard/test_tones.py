"""A panel's tones in every theme that can be chosen: ours, and those that Textual brings."""

from __future__ import annotations

from typing import Any

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from event_monitor.dashboard.themes import OWN
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, line
from event_monitor.widgets.tones import tone_styles
from tests.dashboard.test_themes import luminance

THEMES = {theme.name: theme for theme in (*OWN, *BUILTIN_THEMES.values())}
COLOURED = [name for name in THEMES if not name.startswith("ansi")]
# What WCAG wants of large text and of marks; ours are held to 4.5 in test_themes.
LEAST = 3.0


def styles_of(theme: Theme) -> tuple[dict[str, Style], dict[str, str]]:
    variables = theme.to_color_system().generate() | theme.variables
    return tone_styles(variables), variables


def contrast(one: Color, other: Color) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def color_of(style: Style, *, ground: bool = False) -> Color:
    found = style.bgcolor if ground else style.color
    assert found is not None
    return Color.from_rich_color(found)


@pytest.mark.parametrize("name", COLOURED)
def test_the_quiet_tone_can_be_read_and_is_quieter_than_the_text(name: str) -> None:
    styles, variables = styles_of(THEMES[name])
    background, dim = Color.parse(variables["background"]), color_of(styles["dim"])
    assert contrast(dim, background) >= LEAST
    assert contrast(dim, background) < contrast(background.get_contrast_text(1.0), background)


@pytest.mark.parametrize("name", COLOURED)
def test_a_selected_row_stands_out_and_its_text_can_be_read(name: str) -> None:
    styles, variables = styles_of(THEMES[name])
    ground = color_of(styles["select"], ground=True)
    assert ground != Color.parse(variables["background"])
    assert contrast(Color.parse(variables["foreground"]), ground) >= LEAST


@pytest.mark.parametrize("name", [name for name in THEMES if name.startswith("ansi")])
def test_a_terminal_that_chooses_its_own_colours_is_asked_for_attributes(name: str) -> None:
    styles, _ = styles_of(THEMES[name])
    assert styles["select"].reverse and styles["dim"].dim


class Words(Panel):
    def lines(self, width: int, height: int) -> list[Line]:
        return [line(("well", "good"))]


class Shown(App[Any]):
    def compose(self) -> ComposeResult:
        yield Words()


async def test_a_panel_is_painted_anew_when_only_an_accent_differs() -> None:
    app = Shown()
    former = BUILTIN_THEMES["textual-dark"]
    app.register_theme(Theme(**(vars(former) | {"name": "other", "success": "#00ff00"})))
    async with app.run_test(size=(20, 3)) as pilot:
        assert "#00ff00" not in app.export_screenshot()
        app.theme = "other"
        await pilot.pause()
        assert "#00ff00" in app.export_screenshot()
