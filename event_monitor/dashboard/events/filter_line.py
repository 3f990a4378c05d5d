"""The line in which the filter of history is typed, and the mistake under it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from event_monitor.errors import EventMonitorError
from event_monitor.grammar.event_filter import FilterMistake
from event_monitor.widgets.line_input import LineInput
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line, plain

DEBOUNCE = 0.15
"""Seconds without a key after which what was typed is applied."""
PLACEHOLDER = "words  command.#  /regex/  status:dead  priority:high  source:x  since:-2h  until:14:30"


class FilterField(LineInput):
    """Enter applies and goes back to the list, esc gives the filter up."""

    BINDINGS = [
        Binding("enter,down", "leave", "Apply"),
        Binding("escape", "give_up", "Clear"),
    ]

    class Typed(Message):
        """The filter is ``text`` now. ``leave`` says that the person is done with it."""

        def __init__(self, text: str, *, leave: bool = False) -> None:
            super().__init__()
            self.text = text
            self.leave = leave

    class GivenUp(Message):
        """The filter is to go away."""

    def __init__(self) -> None:
        super().__init__(placeholder=PLACEHOLDER)
        self._due: Timer | None = None

    def on_input_changed(self, event: Input.Changed) -> None:
        """Wait for the next key a moment, then say what stands there."""
        event.stop()
        self._stop()
        self._due = self.set_timer(DEBOUNCE, self._tell)

    def _tell(self) -> None:
        self.post_message(self.Typed(self.value))

    def _stop(self) -> None:
        if self._due is not None:
            self._due.stop()
            self._due = None

    def action_leave(self) -> None:
        """Apply at once and go back to the list."""
        self._stop()
        self.post_message(self.Typed(self.value, leave=True))

    def action_give_up(self) -> None:
        """Give the filter up."""
        self._stop()
        self.post_message(self.GivenUp())


class MistakeLine(Panel):
    """Points at the word that cannot be understood, and says what to write."""

    DEFAULT_CSS = "MistakeLine { height: 2; background: $panel; } MistakeLine.-none { display: none; }"

    def __init__(self) -> None:
        super().__init__(classes="-none")
        self._error: EventMonitorError | None = None

    def show(self, error: EventMonitorError | None) -> None:
        """Take a mistake, or ``None`` where there is none."""
        self._error = error
        self.set_class(error is None, "-none")
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        error = self._error
        if error is None:
            return []
        told = line((" ✖ ", "bad"), (plain(error.message), "bad"), (f"  {plain(error.advice)}", "dim"))
        if not isinstance(error, FilterMistake):
            return [clip(told, width)]
        length = max(1, error.end - error.start)
        # The input has a cell of padding before its text.
        pointer = line(" " * (error.start + 1), ("^" * length, "bad"))
        return [clip(pointer, width), clip(told, width)]


class FilterBar(Vertical):
    """The field and, below it, its mistake. Gone while there is no filter."""

    DEFAULT_CSS = "FilterBar { height: auto; } FilterBar.-none { display: none; }"

    def __init__(self) -> None:
        super().__init__(classes="-none")
        self.field = FilterField()
        self.mistake = MistakeLine()

    def compose(self) -> ComposeResult:
        yield self.field
        yield self.mistake

    def open(self) -> None:
        """Let the person type."""
        self.remove_class("-none")
        self.field.focus()

    def close(self) -> None:
        """Go away, empty."""
        with self.field.prevent(Input.Changed):
            self.field.value = ""
        self.mistake.show(None)
        self.add_class("-none")
