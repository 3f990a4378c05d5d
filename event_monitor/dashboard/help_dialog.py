"""The keys that work on a tab, from the table of actions."""

from __future__ import annotations

from collections.abc import Iterable

from event_monitor.dashboard.action import Action, key_name
from event_monitor.dashboard.actions import ACTIONS
from event_monitor.dashboard.dialogs import DocumentDialog
from event_monitor.dashboard.tabs import TABS
from event_monitor.widgets.text import Line, line

_KEYS = 12
_LABEL = 24


def help_dialog(keymap: dict[str, str], tab: str) -> DocumentDialog:
    """The keys of the tab on the screen, then those that work everywhere."""
    return DocumentDialog("Keys", lambda width: help_lines(keymap, width, tab))


def help_lines(keymap: dict[str, str], width: int, tab: str = "overview") -> list[Line]:
    """A line an action that has a key; in a narrow dialog its help stands beneath."""
    (label,) = (info.label for info in TABS if info.name == tab)
    lines = [line(("Each tab has keys of its own; ^p finds every action by name.", "dim"))]
    for heading, place in ((label, tab), ("Everywhere", "")):
        lines += [Line(), line((heading, "accent-strong"))]
        for action, keys in _keyed(keymap, place):
            lines += _entry(" ".join(key_name(key) for key in keys.split(",")), action, width)
    lines += [
        Line(),
        line(
            ("Marks   ", "dim"),
            ("✔", "good"),
            " delivered  ",
            ("◐", "warn"),
            " retrying  ",
            ("✖", "bad"),
            " dead letter",
        ),
        line(
            ("        ", "dim"),
            ("·", "dim"),
            " waiting    ",
            ("■", "accent"),
            " parked    ",
            ("░", "dim"),
            " expired",
        ),
    ]
    return lines


def _keyed(keymap: dict[str, str], tab: str) -> Iterable[tuple[Action, str]]:
    for action in ACTIONS:
        keys = keymap.get(action.id, action.keys)
        if action.tab == tab and keys:
            yield action, keys


def _entry(keys: str, action: Action, width: int) -> list[Line]:
    head = line((f"{keys:<{_KEYS}} ", "key"), (f"{action.label:<{_LABEL}} ", "strong"))
    if head.width + len(action.help) <= width:
        return [Line((*head.spans, *line(action.help).spans))]
    rows = [""]
    inner = max(10, width - _KEYS - 1)
    for word in action.help.split():
        if len(rows[-1]) + len(word) + 1 > inner:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return [head, *(line((" " * (_KEYS + 1) + row, "dim")) for row in rows)]
