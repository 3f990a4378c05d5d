"""The one table of actions: keys, footer, help and palette are all made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person can do. ``keys`` may be empty: then it is in the palette only.

    ``footer`` is its place in the footer (0 is not there), ``changes`` says that it is a command.
    """

    id: str
    keys: str
    label: str
    help: str
    footer: int = 0
    changes: bool = False
    palette: bool = True

    @property
    def shown_key(self) -> str:
        """The first key as people read it."""
        return key_name(self.keys.split(",")[0]) if self.keys else ""


ACTIONS = (
    Action("filter", "slash", "Filter", "Show only events with these words or topic patterns (command.#)", 1),
    Action("freeze", "space", "Freeze", "Hold the live feed still, or let it go on", 5),
    Action("details", "enter", "Details", "All about the selected event, or the selected service", 2),
    Action("acknowledge", "a", "Acknowledge", "Mark all alerts as seen", 6, changes=True),
    Action(
        "maintenance", "m", "Maintenance", "Begin planned downtime, or end it", 9, changes=True, palette=False
    ),
    Action("maintenance_on", "", "Maintenance on", "Begin planned downtime, with a reason", changes=True),
    Action("maintenance_off", "", "Maintenance off", "End planned downtime, with a reason", changes=True),
    Action("resume", "", "Resume", "Go on after the kill switch, with a reason", changes=True),
    Action("state_history", "s", "State history", "The last 100 changes of state and why, refused ones too"),
    Action("reset", "r", "Reset", "Let the selected breaker work by itself again", changes=True),
    Action("open", "o", "Open", "Hold the selected breaker open: nothing goes to it", changes=True),
    Action("close", "c", "Close", "Hold the selected breaker closed: everything goes to it", changes=True),
    Action("next_panel", "tab", "Panel", "Move between the services and the live feed", palette=False),
    Action("copy", "y", "Copy", "Copy the selected event as JSON to the clipboard", 7),
    Action("help", "question_mark", "Help", "All keys and what they do", 3),
    Action("palette", "ctrl+p", "Commands", "Every action by name", 4, palette=False),
    Action("quit", "q", "Quit", "End the dashboard; a bus inside it stops in order", 8),
    Action("down", "j,down", "Down", "Select the next older event", palette=False),
    Action("up", "k,up", "Up", "Select the next newer event", palette=False),
    Action("page_down", "pagedown", "Page down", "A page towards older events", palette=False),
    Action("page_up", "pageup", "Page up", "A page towards newer events", palette=False),
    Action("newest", "home,g", "Newest", "Select the newest event", palette=False),
    Action("oldest", "end,G", "Oldest", "Select the oldest event of the feed", palette=False),
    Action(
        "clear", "escape", "Clear", "Clear the filter, then the selection: follow the newest", palette=False
    ),
    Action("reload_rules", "", "Reload rules", "Read routing-rules.json again now", changes=True),
    Action(
        "retry_dead_letters",
        "",
        "Retry dead letters",
        "Queue all dead letters again with a fresh set of attempts",
        changes=True,
    ),
    Action("declared", "", "Declared servers", "MCP servers your assistant declares, and who watches them"),
    Action("screenshot", "", "Save a picture", "Save the screen as an SVG file in the working directory"),
)

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}

_NAMES = {
    "slash": "/",
    "question_mark": "?",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "escape": "esc",
    "down": "↓",
    "up": "↑",
}


def key_name(key: str) -> str:
    """A key as people read it: ``/`` for ``slash``, ``^p`` for ``ctrl+p``."""
    if key.startswith("ctrl+"):
        return f"^{key[5:]}"
    return _NAMES.get(key, key)


def bindings() -> list[Binding]:
    """The actions as Textual bindings; a binding's id is its action's, so that keys can be remapped."""
    return [
        Binding(action.keys, f"act('{action.id}')", action.label, id=action.id, show=False)
        for action in ACTIONS
        if action.keys
    ]


def remap(wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """A checked keymap of action id to keys, and what was wrong with the rest of ``wanted``."""
    keymap: dict[str, str] = {}
    mistakes: list[str] = []
    for action_id, keys in wanted.items():
        if action_id not in BY_ID or not BY_ID[action_id].keys:
            known = ", ".join(action.id for action in ACTIONS if action.keys)
            mistakes.append(f"dashboard.keys: no action is named {action_id!r}; known: {known}")
        else:
            keymap[action_id] = keys
    taken: dict[str, str] = {}
    for action in sorted(ACTIONS, key=lambda action: action.id not in keymap):
        for key in keymap.get(action.id, action.keys).split(","):
            if key and taken.setdefault(key, action.id) != action.id:
                mistakes.append(f"dashboard.keys: {key_name(key)} is used for {taken[key]} and {action.id}")
                keymap.pop(taken[key], None)
    return keymap, mistakes


def footer_entries(keymap: Mapping[str, str], *, read_only: bool) -> tuple[tuple[str, str, str, bool], ...]:
    """(action, key, label, available) of the footer, in order."""
    shown = sorted((action for action in ACTIONS if action.footer), key=lambda action: action.footer)
    return tuple(
        (
            action.id,
            key_name(keymap[action.id].split(",")[0]) if action.id in keymap else action.shown_key,
            action.label,
            not (read_only and action.changes),
        )
        for action in shown
    )
