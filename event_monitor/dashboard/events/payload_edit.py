"""A payload as text to edit, without showing secrets and without losing them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import TextArea

from event_monitor.dashboard.dialogs import take_layout
from event_monitor.errors import InvalidEvent
from event_monitor.redaction import MASKED, redact
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line, plain

_RISKY = re.compile(r"[^\x20-\x7e\n]")


def to_text(payload: dict[str, Any], mask: Sequence[str]) -> str:
    """The payload as JSON to edit, secrets masked. What a terminal might obey stands as its escape."""
    text = json.dumps(redact(payload, mask), indent=2, ensure_ascii=False)
    return _RISKY.sub(
        lambda found: found[0] if plain(found[0]) == found[0] else json.dumps(found[0])[1:-1], text
    )


def from_text(text: str, original: dict[str, Any]) -> dict[str, Any]:
    """The payload that was meant: a mask that was left as it stood stands for the secret beneath it.
    Raises ``InvalidEvent`` that says where the text is no JSON object."""
    try:
        edited = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidEvent(
            f"line {error.lineno}, column {error.colno}: {error.msg}", "write a JSON object"
        ) from None
    except RecursionError:
        raise InvalidEvent("it is nested too deep", "flatten it") from None
    if not isinstance(edited, dict):
        raise InvalidEvent("the payload is no JSON object", "write it between { and }")
    unmasked = _unmask(edited, original)
    assert isinstance(unmasked, dict)
    return unmasked


def _unmask(value: Any, original: Any) -> Any:
    if value == MASKED and original is not None:
        return original
    if isinstance(value, dict):
        known = original if isinstance(original, dict) else {}
        return {key: _unmask(item, known.get(key)) for key, item in value.items()}
    if isinstance(value, list):
        items = original if isinstance(original, list) else []
        return [_unmask(item, items[n] if n < len(items) else None) for n, item in enumerate(value)]
    return value


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
        self._payload = payload
        self._text = to_text(payload, mask)

    def compose(self) -> ComposeResult:
        with Vertical(id="edit", classes="dialog") as frame:
            frame.border_title = plain(self._title)
            area = TextArea(self._text, soft_wrap=True, tab_behavior="focus")
            area.cursor_blink = False
            yield area
            yield _Hint()

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        take_layout(self)
        self.query_one(TextArea).focus()

    def on_text_area_changed(self) -> None:
        """Say at once where it is no JSON."""
        try:
            from_text(self.query_one(TextArea).text, self._payload)
        except InvalidEvent as error:
            self.query_one(_Hint).show(error.message)
        else:
            self.query_one(_Hint).show("")

    def action_go_on(self) -> None:
        """Answer with what stands there, if it is a payload."""
        try:
            payload = from_text(self.query_one(TextArea).text, self._payload)
        except InvalidEvent as error:
            self.query_one(_Hint).show(str(error))
        else:
            self.dismiss(payload)

    def action_cancel(self) -> None:
        """Close and publish nothing."""
        self.dismiss(None)
