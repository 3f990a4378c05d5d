"""The two panels below the history: the plan, and the replays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.message import Message

from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line


class LinesPanel(Panel):
    """Shows what a function of its size answers, and says which row was clicked."""

    class Clicked(Message):
        """A row was clicked."""

        def __init__(self, panel: LinesPanel, row: int) -> None:
            super().__init__()
            self.panel, self.row = panel, row

    def __init__(self, compose_lines: Callable[[int, int], Sequence[Line]], *, id: str) -> None:
        super().__init__(id=id)
        self._compose_lines = compose_lines

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return self._compose_lines(width, height)

    def on_click(self, event: events.Click) -> None:
        """Say which row it was."""
        offset = event.get_content_offset(self)
        if offset is not None:
            self.post_message(self.Clicked(self, offset.y))
