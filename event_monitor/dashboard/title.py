"""The terminal's title: the state in a word, to be seen when the dashboard itself is not."""

from __future__ import annotations

from collections.abc import Callable

from event_monitor.model import Snapshot
from event_monitor.widgets.content import STATE_GLYPHS

# XTWINOPS: the terminal keeps the title on a stack of its own. One that has no such stack is left with
# an empty title, which shells and tmux fill again.
_KEEP, _GIVE_BACK = "\x1b[22;2t", "\x1b[23;2t"
_TITLE = "\x1b]2;{}\x1b\\"


def title_of(snapshot: Snapshot | None, *, lost: bool) -> str:
    """The words of the title. Nothing that an event holds is among them."""
    if lost or snapshot is None:
        return "✖ NO CONNECTION  event-monitor" if lost else "event-monitor"
    glyph, _ = STATE_GLYPHS[snapshot.state]
    number = snapshot.unacknowledged
    alerts = f"  ▲ {number} {'alert' if number == 1 else 'alerts'}" if number else ""
    return f"{glyph} {snapshot.state}{alerts}  event-monitor"


class TerminalTitle:
    """Sets the title through ``write`` when it has changed, and gives the former one back."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._shown: str | None = None

    def show(self, text: str) -> None:
        """Set it. The first time the terminal is asked to keep what was there."""
        if text == self._shown:
            return
        self._write(("" if self._shown is not None else _KEEP) + _TITLE.format(text))
        self._shown = text

    def restore(self) -> None:
        """Give the former title back."""
        if self._shown is not None:
            self._shown = None
            self._write(_TITLE.format("") + _GIVE_BACK)
