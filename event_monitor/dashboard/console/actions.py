"""What a person can do on the Console tab."""

from __future__ import annotations

from functools import partial

from event_monitor.dashboard.action import Action

_Action = partial(Action, tab="console")

ACTIONS: tuple[Action, ...] = (
    _Action("console_type", "i,enter", "Type", "Go to the prompt; esc leaves it again", 1),
    _Action("console_output", "ctrl+t,t", "Tables or JSON", "Show results as tables, or as JSON", 2),
    _Action("console_search", "ctrl+r", "Search", "Search backwards in what was typed before", 4),
    _Action("console_copy", "f8,y", "Copy", "Copy the last result as it is shown", 5),
    _Action("console_again", "f9,r", "Run again", "Carry out the last command once more", 6),
    _Action("console_stop", "ctrl+c,x", "Stop", "Stop the command that runs", 7),
    _Action("console_clear", "ctrl+l,l", "Clear", "Empty the output; the history of lines stays", 10),
    _Action("console_down", "j,down", "Down", "Scroll the output down", palette=False),
    _Action("console_up", "k,up", "Up", "Scroll the output up", palette=False),
    _Action("console_page_down", "pagedown", "Page down", "A page towards the newest output", palette=False),
    _Action("console_page_up", "pageup", "Page up", "A page towards older output", palette=False),
    _Action("console_newest", "end,G", "Newest", "The end of the output", palette=False),
    _Action("console_oldest", "home,g", "Oldest", "The beginning of the output", palette=False),
)
