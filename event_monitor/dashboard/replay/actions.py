"""What can be done on the Replay tab."""

from __future__ import annotations

from event_monitor.dashboard.action import Action


def _action(
    name: str,
    keys: str,
    label: str,
    told: str,
    footer: int = 0,
    *,
    changes: bool = False,
    palette: bool = True,
) -> Action:
    return Action(f"replay_{name}", keys, label, told, footer, changes, palette, tab="replay")


ACTIONS: tuple[Action, ...] = (
    _action("play", "enter", "Play", "Replay the chosen span as planned, after a question", 1, changes=True),
    _action("pause", "space", "Pause", "Pause the chosen replay, or let it go on", 2, changes=True),
    _action("step", "n", "Step", "Replay the next event, and pause", 6, changes=True),
    _action("stop", "x", "Stop", "End the chosen replay: the rest is not replayed", 6, changes=True),
    _action("times", "t", "Times", "Type from when to when to replay", 6, palette=False),
    _action("from", "", "From a time typed in", "Type from when to when, and see what would be replayed"),
    _action("filter", "f,slash", "Types", "Replay only some types, or what a regex finds", 7),
    _action("targets", "g", "Targets", "Choose where a replay goes; side effects are asked about", 7),
    _action("slower", "left_square_bracket", "Slower", "Slow the chosen replay, or the plan, down", 8),
    _action("faster", "right_square_bracket", "Faster", "Speed the chosen replay, or the plan, up", 8),
    _action("left", "left,h", "Earlier", "Move the span a column earlier", palette=False),
    _action("right", "right,l", "Later", "Move the span a column later", palette=False),
    _action("shrink", "shift+left,H", "Shorter", "Take a column off the end of the span", palette=False),
    _action("stretch", "shift+right,L", "Longer", "Add a column to the end of the span", palette=False),
    _action("grow", "alt+left,less_than_sign", "Begin earlier", "Begin a column earlier", palette=False),
    _action("cut", "alt+right,greater_than_sign", "Begin later", "Begin a column later", palette=False),
    _action("first", "home", "Beginning of history", "Move the span to the oldest events", palette=False),
    _action("last", "end", "End of history", "Move the span to the newest events", palette=False),
    _action("pan_left", "pageup", "Look earlier", "Show what lies before, half a screen", palette=False),
    _action("pan_right", "pagedown", "Look later", "Show what lies after, half a screen", palette=False),
    _action("zoom_in", "plus,equals_sign", "Zoom in", "Show less of history, in more detail", palette=False),
    _action("zoom_out", "minus", "Zoom out", "Show more of history", palette=False),
    _action("zoom_span", "z", "Zoom to the span", "Show the span as large as the screen allows"),
    _action("all", "0", "All of history", "Show all that is recorded, to choose what to replay"),
    _action("whole", "w", "Choose all that is shown", "Choose all of the history on the screen to replay"),
    _action("again", "i", "Replays of replays", "Take events that are replays themselves, or leave them out"),
    _action("plan", "p", "Plan again", "Count again what would be replayed"),
    _action("older", "down,j", "Older", "Choose the next older replay", palette=False),
    _action("newer", "up,k", "Newer", "Choose the next newer replay", palette=False),
    _action("results", "v", "Results", "What the chosen replay published last, with errors"),
    _action("failures", "d", "Failures", "Go to the dead letters that a replay has left"),
    _action("cancel", "escape", "Cancel", "Stop waiting for the plan, or choose no replay", palette=False),
)
