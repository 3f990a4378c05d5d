"""What a person can do on the Dead letters tab."""

from __future__ import annotations

from functools import partial

from event_monitor.dashboard.action import Action

_Action = partial(Action, tab="dead_letters")
_Move = partial(_Action, palette=False)

ACTIONS: tuple[Action, ...] = (
    _Action(
        "dead_letters_retry",
        "r",
        "Retry",
        "Queue the selected dead letter again, or all of the selected group, with a fresh set of attempts",
        1,
        changes=True,
    ),
    _Action("dead_letters_edit", "e", "Edit", "Correct the payload and publish it again", 2, changes=True),
    _Action("dead_letters_drop", "d", "Drop", "Give the selected dead letter, or group, up", 5, changes=True),
    _Action("dead_letters_open", "enter", "Open", "Unfold a group, or show all about a letter's event", 6),
    _Action("dead_letters_filter", "slash", "Filter", "Words, or a topic pattern such as command.#", 7),
    _Action("dead_letters_retry_group", "R", "Retry group", "Retry the whole group", changes=True),
    _Action("dead_letters_retry_all", "A", "Retry all", "Retry all that the filter leaves", changes=True),
    _Action("dead_letters_drop_group", "D", "Drop group", "Give the whole group up", changes=True),
    _Action("dead_letters_drop_all", "", "Drop all", "Give all that the filter leaves up", changes=True),
    _Action(
        "dead_letters_slower",
        "left_square_bracket",
        "Slower",
        "Retry fewer a second, in a retry that is under way too",
        changes=True,
    ),
    _Action(
        "dead_letters_faster",
        "right_square_bracket",
        "Faster",
        "Retry more a second, in a retry that is under way too",
        changes=True,
    ),
    _Action("dead_letters_stop", "x", "Stop", "Stop the newest retry that is under way", changes=True),
    _Action("dead_letters_runs", "v", "Retries", "The last retries at a rate, and what came of them"),
    _Action("dead_letters_copy", "y", "Copy", "Copy the selected dead letter, or group, as JSON"),
    _Move("dead_letters_panel", "tab", "Panel", "Move between the list and the details"),
    _Move("dead_letters_down", "j,down", "Down", "Select the next row"),
    _Move("dead_letters_up", "k,up", "Up", "Select the row above"),
    _Move("dead_letters_page_down", "pagedown", "Page down", "A page down"),
    _Move("dead_letters_page_up", "pageup", "Page up", "A page up"),
    _Move("dead_letters_first", "home,g", "First", "Select the first row"),
    _Move("dead_letters_last", "end,G", "Last", "Select the last row that is shown"),
    _Move("dead_letters_unfold", "l,right", "Unfold", "Show the letters of the group"),
    _Move("dead_letters_fold", "h,left", "Fold", "Hide the letters of the group"),
    _Move("dead_letters_clear", "escape", "Clear", "Clear the filter"),
)
