"""Our colours can be read: WCAG AA wants 4.5 between a text and what lies behind it."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from event_monitor.dashboard.themes import DARK, LIGHT

AA = 4.5
TEXTS = ("foreground", "text-muted", "accent", "success", "warning", "error", "secondary")
# Panels, the header and dialogs, the selected row of Events, and that of the other lists.
GROUNDS = ("background", "surface", "panel", "boost")
# Banners and the mark of a demonstration are written in the colour of the background.
FILLED = ("warning", "error", "secondary")


def luminance(color: Color) -> float:
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(theme: Theme, text: str, ground: str) -> float:
    colors = theme.to_color_system().generate() | theme.variables
    light, dark = sorted((luminance(Color.parse(colors[name])) for name in (text, ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_every_tone_can_be_read_on_every_ground(theme: Theme) -> None:
    pairs = [(text, ground) for text in TEXTS for ground in GROUNDS]
    pairs += [("background", ground) for ground in FILLED]
    found = {pair: round(contrast(theme, *pair), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < AA} == {}
