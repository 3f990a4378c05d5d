"""The looks of a line's tones, worked out from a theme's variables.

Component classes would say the same in CSS, at the price of some twenty selectors matched for each
panel at each change of a class; and Textual's partial styles know neither transparency nor ``auto``.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.color import Color
from textual.dom import DOMNode

_PLAIN = {
    "accent": "accent",
    "good": "success",
    "warn": "warning",
    "bad": "error",
    "busy": "secondary",
}
_FILLED = {"demo": "secondary", "banner-warn": "warning", "banner-bad": "error"}
# How much of the text's colour lies over the ground of a selected row, where a theme has no boost.
_SELECTED = 0.15
# What a theme means by ``auto`` is meant for text on its background.
_MUTED = 0.6


class Tones:
    """A widget's tones in the theme of the moment."""

    def __init__(self, owner: DOMNode) -> None:
        self._owner = owner
        self._variables: Mapping[str, str] | None = None
        self._styles: dict[str, Style] = {}

    def __getitem__(self, tone: str) -> Style:
        """The style of a tone. Raises ``KeyError`` for one that does not exist."""
        variables = self._owner.app.theme_variables
        if variables is not self._variables:
            self._variables, self._styles = variables, tone_styles(variables)
        return self._styles[tone]


def tone_styles(variables: Mapping[str, str]) -> dict[str, Style]:
    """The style of each tone, to be laid over a panel's own, from a theme's CSS variables."""
    background = Color.parse(variables["background"])
    styles = {"strong": Style(bold=True)}
    for tone, variable in _PLAIN.items():
        color = Color.parse(variables[variable]).rich_color
        styles[tone] = Style(color=color)
        styles[f"{tone}-strong"] = Style(color=color, bold=True)
    styles["key"] = styles["accent-strong"]
    styles["tab"] = styles["accent-strong"] + Style(underline=True)
    for tone, variable in _FILLED.items():
        filled = Color.parse(variables[variable]).rich_color
        styles[tone] = Style(color=background.rich_color, bgcolor=filled, bold=True)
    styles["dim"] = _dim(variables["text-muted"], background)
    styles["select"] = _selected(variables, background)
    return styles


def _dim(muted: str, background: Color) -> Style:
    if background.ansi is not None:
        return Style(dim=True)
    if muted.startswith("auto"):
        return Style(color=background.blend(background.get_contrast_text(1.0), _MUTED, 1.0).rich_color)
    return Style(color=(background + Color.parse(muted)).rich_color)


def _selected(variables: Mapping[str, str], background: Color) -> Style:
    if background.ansi is not None:
        return Style(reverse=True)
    boost = Color.parse(variables["boost"])
    if boost.a == 1.0:
        return Style(bgcolor=boost.rich_color)
    return Style(bgcolor=background.blend(Color.parse(variables["foreground"]), _SELECTED, 1.0).rich_color)
