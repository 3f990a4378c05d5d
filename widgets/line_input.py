"""A line to type in, for whatever is typed or pasted."""

from __future__ import annotations

from textual.widgets import Input

from event_monitor.widgets.text import plain


class LineInput(Input):
    """An input of one row without a frame. A clipboard may hold anything: what a terminal would obey is
    made visible before it is shown."""

    DEFAULT_CSS = """
    LineInput { height: 1; border: none; background: $panel; padding: 0 1; }
    LineInput:focus { border: none; background: $boost; }
    """

    def __init__(self, *, placeholder: str = "", max_length: int = 0, id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, max_length=max_length, id=id, select_on_focus=False)
        self.cursor_blink = False

    def validate_value(self, value: str) -> str:
        """Only what is safe to show."""
        return plain(value)
