"""What a person can do on the Overview."""

from __future__ import annotations

from functools import partial

from event_monitor.dashboard.action import Action
from event_monitor.dashboard.overview.layout import PANELS
from event_monitor.widgets.service_table import COLUMN_KEYS, ORDERS

_Action = partial(Action, tab="overview")

ACTIONS: tuple[Action, ...] = (
    _Action(
        "filter", "slash", "Filter", "Show only events with these words or topic patterns (command.#)", 1
    ),
    _Action("freeze", "space", "Freeze", "Hold the live feed still, or let it go on", 5),
    _Action("details", "enter", "Details", "All about the selected event, service or alert", 2),
    _Action("reset", "r", "Reset", "Let the selected breaker work by itself again", changes=True),
    _Action("open", "o", "Open", "Hold the selected breaker open: nothing goes to it", changes=True),
    _Action("close", "c", "Close", "Hold the selected breaker closed: everything goes to it", changes=True),
    _Action("next_panel", "tab", "Panel", "On to the next panel: services, alerts, live feed", palette=False),
    _Action("copy", "y", "Copy", "Copy the selected event as JSON to the clipboard", 7),
    _Action(
        "down",
        "j,down",
        "Down",
        "Select the next row: an older event, the next service or alert",
        palette=False,
    ),
    _Action("up", "k,up", "Up", "Select the row before", palette=False),
    _Action("page_down", "pagedown", "Page down", "A page towards older events", palette=False),
    _Action("page_up", "pageup", "Page up", "A page towards newer events", palette=False),
    _Action("newest", "home,g", "Newest", "Select the newest event", palette=False),
    _Action("oldest", "end,G", "Oldest", "Select the oldest event of the feed", palette=False),
    _Action(
        "clear", "escape", "Clear", "Clear the filter, then the selection: follow the newest", palette=False
    ),
    _Action("previous_panel", "shift+tab", "Panel back", "Back to the panel before", palette=False),
    _Action(
        "overview_acknowledge_all", "A", "All alerts", "Mark all alerts as seen", changes=True, palette=False
    ),
    _Action("overview_types", "t", "Event types", "Rates by event type, or of all events together"),
    _Action(
        "overview_sort", "S", "Sort services", "The next order: as configured, by name, state, failures, p95"
    ),
    *(
        _Action(f"overview_sort_{by}", "", f"Sort services by {by}", "Or as configured again")
        for by in ORDERS
    ),
    *(
        _Action(f"overview_column_{key}", "", f"Column {key}", "Show or hide it among the services")
        for key in COLUMN_KEYS
    ),
    _Action("overview_zoom", "z", "Zoom", "Let the panel with the focus fill the screen, or show all again"),
    *(
        _Action(f"overview_only_{name}", "", f"Layout: {label} only", "Hide the other panels")
        for name, label in PANELS.items()
        if name != "figures"
    ),
    *(
        _Action(f"overview_panel_{name}", "", f"Layout: show or hide {label}", "Show or hide this panel")
        for name, label in PANELS.items()
    ),
    _Action("overview_all", "", "Layout: all panels", "Show what was hidden"),
)
