"""The two themes of our own: calm, with one accent; state is a word and a glyph before it is a colour."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="event-monitor-dark",
    primary="#7aa2c8",
    secondary="#b99ad6",
    accent="#6cb6d9",
    foreground="#d5dae0",
    background="#14181d",
    surface="#1a1f26",
    panel="#222a33",
    success="#7fbf8e",
    warning="#e0b15c",
    error="#e77c7c",
    dark=True,
    # Textual takes no boost beside a panel: given as a variable it is heeded.
    variables={"border": "#36424f", "text-muted": "#939da8", "boost": "#2a3440"},
)

LIGHT = Theme(
    name="event-monitor-light",
    primary="#2f5f8a",
    secondary="#7a4fa3",
    accent="#0e6a90",
    foreground="#22282f",
    background="#f7f8fa",
    surface="#eef1f4",
    panel="#e3e8ed",
    success="#29713e",
    warning="#8a5900",
    error="#b3322f",
    dark=False,
    variables={"border": "#b9c3cd", "text-muted": "#5b646f", "boost": "#d5e3ee"},
)

OWN = (DARK, LIGHT)
