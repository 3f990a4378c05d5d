"""The line in which the feed's filter is typed. Loaded when it is first used."""

from __future__ import annotations

from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input

from event_monitor.widgets.line_input import LineInput


class FilterInput(LineInput):
    """Filters as the person types; enter goes back to the feed and keeps the filter, esc clears it."""

    BINDINGS = [
        Binding("enter,down", "leave", "Apply"),
        Binding("escape", "clear_filter", "Clear"),
    ]

    class Typed(Message):
        """The filter is ``text`` now."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Typed):
        """The person is done and keeps ``text``."""

    class Cleared(Message):
        """The filter is given up."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(placeholder="filter: words, or a topic pattern such as command.#", id=id)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what stands there now."""
        event.stop()
        self.post_message(self.Typed(self.value))

    def action_clear_filter(self) -> None:
        """Give the filter up."""
        self.post_message(self.Cleared())

    def action_leave(self) -> None:
        """Go back to the feed."""
        self.post_message(self.Left(self.value))
