"""The line in which the feed's filter is typed. Loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.widgets import Input

from event_monitor.widgets.line_input import LineInput

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp


class FilterInput(LineInput):
    """Filters as the person types; enter goes back to the feed and keeps the filter, esc clears it."""

    app: EventMonitorApp

    BINDINGS = [
        Binding("escape", "clear_filter", show=False),
        Binding("enter,down", "to_feed", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(placeholder="filter: words, or a topic pattern such as command.#", id=id)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply what stands there now."""
        event.stop()
        self.app.commands.apply_filter(self.value)

    def action_clear_filter(self) -> None:
        """Give the filter up."""
        self.app.action_act("clear")

    def action_to_feed(self) -> None:
        """Go back to the feed; an empty filter goes away."""
        if not self.value:
            self.app.action_act("clear")
        self.app.feed.focus()
