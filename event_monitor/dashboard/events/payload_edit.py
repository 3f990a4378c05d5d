"""A payload as text to edit, without showing secrets and without losing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import TextArea

from event_monitor.dashboard.dialogs import take_layout
from event_monitor.dashboard.json_area import JsonArea
from event_monitor.grammar.payload_text import Mistake, PayloadText
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line, plain


class _Hint(Panel):
    def __init__(self) -> None:
        super().__init__(id="edit-hint")
        self._error = ""

    def show(self, error: str) -> None:
        self._error = error
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if self._error:
            return [clip(line(("✖ ", "bad"), (plain(self._error), "bad")), width)]
        return [clip(line(("F10", "key"), " publish …   ", ("esc", "key"), " leave it"), width)]


class EditDialog(ModalScreen[dict[str, Any] | None]):
    """Answers the payload as it was edited; ``None`` if the person thought better."""

    DEFAULT_CSS = """
    EditDialog #edit { layout: vertical; }
    EditDialog TextArea, EditDialog TextArea:focus {
        height: 1fr; border: none; padding: 0; background: $surface; }
    EditDialog _Hint { background: $surface; }
    """
    BINDINGS = [
        Binding("f10", "go_on", show=False, priority=True),
        Binding("escape", "cancel", show=False, priority=True),
    ]

    def __init__(self, title: str, payload: dict[str, Any], mask: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._payload = PayloadText(payload, mask)

    def compose(self) -> ComposeResult:
        with Vertical(id="edit", classes="dialog") as frame:
            frame.border_title = plain(self._title)
            area = JsonArea(self._payload.text, soft_wrap=True, tab_behavior="focus")
            area.cursor_blink = False
            yield area
            yield _Hint()

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        take_layout(self)
        self.query_one(TextArea).focus()

    def on_text_area_changed(self) -> None:
        """Say at once where it is no JSON."""
        read = self._payload.read(self.query_one(TextArea).text)
        self.query_one(_Hint).show(str(read) if isinstance(read, Mistake) else "")

    def action_go_on(self) -> None:
        """Answer with what stands there, if it is a payload."""
        read = self._payload.read(self.query_one(TextArea).text)
        if isinstance(read, Mistake):
            self.query_one(_Hint).show(str(read))
        else:
            self.dismiss(read)

    def action_cancel(self) -> None:
        """Close and publish nothing."""
        self.dismiss(None)
