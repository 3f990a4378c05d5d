"""The one table of actions: keys, footer, help and palette are all made from it."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding

from event_monitor.dashboard.action import Action, bindings_of, key_name
from event_monitor.dashboard.console.actions import ACTIONS as CONSOLE
from event_monitor.dashboard.dead_letters.actions import ACTIONS as DEAD_LETTERS
from event_monitor.dashboard.events.actions import ACTIONS as EVENTS
from event_monitor.dashboard.overview.actions import ACTIONS as OVERVIEW
from event_monitor.dashboard.replay.actions import ACTIONS as REPLAY

EVERYWHERE = (
    Action("tab_overview", "1,f1", "Overview", "What happens now: figures, services, state, alerts"),
    Action("tab_events", "2,f2", "Events", "The whole history: browse, filter, look into, export"),
    Action("tab_replay", "3,f3", "Replay", "Choose a span of history and deliver it again"),
    Action("tab_dead_letters", "4,f4", "Dead letters", "What could not be delivered: retry, edit, drop"),
    Action("tab_console", "5,f5", "Console", "Type commands as in event-cli; publish test events"),
    Action(
        "acknowledge",
        "a",
        "Acknowledge",
        "Mark the selected alert as seen, or the one in the banner",
        7,
        changes=True,
    ),
    Action("acknowledge_all", "", "Acknowledge all", "Mark all alerts as seen", changes=True),
    Action("alerts", "exclamation_mark", "Alerts", "All alerts, what to do about each, and where it leads"),
    Action(
        "maintenance", "m", "Maintenance", "Begin planned downtime, or end it", 9, changes=True, palette=False
    ),
    Action("maintenance_on", "", "Maintenance on", "Begin planned downtime, with a reason", changes=True),
    Action("maintenance_off", "", "Maintenance off", "End planned downtime, with a reason", changes=True),
    Action("resume", "", "Resume", "Go on after the kill switch, with a reason", changes=True),
    Action("state_history", "s", "State history", "The last 100 changes of state and why, refused ones too"),
    Action("help", "question_mark", "Help", "All keys and what they do", 2),
    Action("palette", "ctrl+p", "Commands", "Every action by name", 3, palette=False),
    Action("quit", "q", "Quit", "End the dashboard; a bus inside it stops in order", 4),
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

ACTIONS: tuple[Action, ...] = (*EVERYWHERE, *OVERVIEW, *EVENTS, *REPLAY, *DEAD_LETTERS, *CONSOLE)

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}


def bindings() -> list[Binding]:
    """The keys that work on every tab."""
    return bindings_of(EVERYWHERE)


_UNCHANGED: Mapping[str, str] = {}


def key_of(action_id: str, keymap: Mapping[str, str] = _UNCHANGED) -> str:
    """The first key of an action as people read it, ``keymap`` considered; empty if it has none."""
    return key_name(keymap.get(action_id, BY_ID[action_id].keys).split(",")[0])


def remap(wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """A checked keymap of action id to keys, and what was wrong with the rest of ``wanted``.

    One key may stand for different things on different tabs, never for two on one."""
    keymap: dict[str, str] = {}
    mistakes: list[str] = []
    for action_id, keys in wanted.items():
        if action_id not in BY_ID or not BY_ID[action_id].keys:
            known = ", ".join(action.id for action in ACTIONS if action.keys)
            mistakes.append(f"dashboard.keys: no action is named {action_id!r}; known: {known}")
        else:
            keymap[action_id] = keys
    taken: dict[str, list[Action]] = {}
    for action in sorted(ACTIONS, key=lambda action: action.id not in keymap):
        for key in keymap.get(action.id, action.keys).split(","):
            others = taken.setdefault(key, [])
            for other in others if key else ():
                if other.tab == action.tab or not (other.tab and action.tab):
                    mistakes.append(f"dashboard.keys: {key_name(key)} is used for {other.id} and {action.id}")
                    keymap.pop(other.id, None)
            others.append(action)
    return keymap, mistakes
