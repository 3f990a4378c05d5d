"""What a person can do on the Events tab."""

from __future__ import annotations

from event_monitor.dashboard.action import Action

_TAB = "events"

ACTIONS: tuple[Action, ...] = (
    Action(
        "events_filter",
        "slash",
        "Filter",
        "Words, command.#, /regex/, status:dead, priority:high, source:x, since:-2h; a minus leaves out",
        1,
        tab=_TAB,
    ),
    Action("events_details", "enter", "Details", "Read all about the selected event", 2, tab=_TAB),
    Action("events_follow", "f", "Follow", "Follow the newest events, or stay where you are", 3, tab=_TAB),
    Action("events_go_to", "t", "Time", "Go to a time (14:30, -2h) or an event (#123)", 4, tab=_TAB),
    Action("events_copy", "y", "Copy", "Copy the event as JSON", 5, tab=_TAB),
    Action(
        "events_copy_command",
        "Y",
        "Copy as command",
        "Copy the event-cli command that publishes the same",
        tab=_TAB,
    ),
    Action("events_mark", "x", "Mark", "Mark the event, or take its mark away", 6, tab=_TAB),
    Action("events_range", "v", "Range", "Begin to mark a range, and end it", tab=_TAB),
    Action(
        "events_export",
        "w",
        "Write",
        "Write the marked events, or all that pass the filter, to a file as JSON lines",
        7,
        tab=_TAB,
    ),
    Action("events_publish", "p", "Publish again", "Publish the same event anew", 8, changes=True, tab=_TAB),
    Action(
        "events_edit",
        "P",
        "Edit and publish",
        "Change the payload, then publish it as a new event",
        changes=True,
        tab=_TAB,
    ),
    Action("events_replay", "R", "Replay", "Deliver this event again, as a replay", changes=True, tab=_TAB),
    Action("events_cause", "c", "Cause", "Go to the event that caused this one", tab=_TAB),
    Action("events_effect", "e", "Effects", "Go to an event that this one caused", tab=_TAB),
    Action("events_back", "backspace", "Back", "Go back along causes and effects", tab=_TAB),
    Action("events_related", "l", "Linked", "Filter by the correlation of this event", tab=_TAB),
    Action("events_pane", "d", "Detail pane", "Show or hide the details beside the list", tab=_TAB),
    Action("events_columns", "h", "Columns", "Show or hide columns of the list", tab=_TAB),
    Action("events_search_on", "n", "Search on", "Search further, or try again what failed", tab=_TAB),
    Action("events_next_panel", "tab", "Panel", "Move between list and details", palette=False, tab=_TAB),
    Action("events_down", "j,down", "Down", "Select the next older event", palette=False, tab=_TAB),
    Action("events_up", "k,up", "Up", "Select the next newer event", palette=False, tab=_TAB),
    Action("events_page_down", "pagedown", "Page down", "A page towards older", palette=False, tab=_TAB),
    Action("events_page_up", "pageup", "Page up", "A page towards newer", palette=False, tab=_TAB),
    Action("events_newest", "home,g", "Newest", "Go to the newest event", tab=_TAB),
    Action("events_oldest", "end,G", "Oldest", "Go to the oldest event", tab=_TAB),
    Action(
        "events_clear",
        "escape",
        "Clear",
        "Step by step: leave the details, pause a search, drop marks, give the filter up",
        palette=False,
        tab=_TAB,
    ),
)
