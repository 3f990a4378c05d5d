"""What a person can do on the Overview."""

from __future__ import annotations

from functools import partial

from event_monitor.dashboard.action import Action

_Action = partial(Action, tab="overview")

ACTIONS: tuple[Action, ...] = (
    _Action(
        "filter", "slash", "Filter", "Show only events with these words or topic patterns (command.#)", 1
    ),
    _Action("freeze", "space", "Freeze", "Hold the live feed still, or let it go on", 5),
    _Action("details", "enter", "Details", "All about the selected event, or the selected service", 2),
    _Action("reset", "r", "Reset", "Let the selected breaker work by itself again", changes=True),
    _Action("open", "o", "Open", "Hold the selected breaker open: nothing goes to it", changes=True),
    _Action("close", "c", "Close", "Hold the selected breaker closed: everything goes to it", changes=True),
    _Action("next_panel", "tab", "Panel", "Move between the services and the live feed", palette=False),
    _Action("copy", "y", "Copy", "Copy the selected event as JSON to the clipboard", 7),
    _Action("down", "j,down", "Down", "Select the next older event", palette=False),
    _Action("up", "k,up", "Up", "Select the next newer event", palette=False),
    _Action("page_down", "pagedown", "Page down", "A page towards older events", palette=False),
    _Action("page_up", "pageup", "Page up", "A page towards newer events", palette=False),
    _Action("newest", "home,g", "Newest", "Select the newest event", palette=False),
    _Action("oldest", "end,G", "Oldest", "Select the oldest event of the feed", palette=False),
    _Action(
        "clear", "escape", "Clear", "Clear the filter, then the selection: follow the newest", palette=False
    ),
)
