"""The screens that open over the Overview: details, help, and a question before what changes much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen, Screen

from event_monitor.dashboard.action import Action, key_name
from event_monitor.dashboard.actions import ACTIONS
from event_monitor.dashboard.tabs import TABS
from event_monitor.widgets.document import Document
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, line

SCROLLING = [
    Binding("j,down", "scroll('down')", show=False),
    Binding("k,up", "scroll('up')", show=False),
]


def take_layout(dialog: Screen[Any]) -> None:
    """Give a dialog the layout of the screen beneath."""
    for layout in ("-compact", "-sliver"):
        dialog.set_class(dialog.app.screen_stack[0].has_class(layout), layout)


class DocumentDialog(ModalScreen[None]):
    """A document to read. ``copy`` is what ``y`` copies, by way of ``on_copy``."""

    BINDINGS = [
        *SCROLLING,
        Binding("escape,q,enter", "dismiss_none", "Close", show=False),
        Binding("y", "copy", "Copy", show=False),
    ]

    def __init__(
        self,
        title: str,
        compose_lines: Callable[[int], Sequence[Line]],
        *,
        hint: str = "esc closes",
        on_copy: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._compose_lines = compose_lines
        self._on_copy = on_copy

    def compose(self) -> ComposeResult:
        document = Document(self._compose_lines, id="document")
        document.add_class("dialog")
        document.border_title = self._title
        document.border_subtitle = self._hint
        yield document

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        take_layout(self)

    def action_dismiss_none(self) -> None:
        """Close."""
        self.dismiss(None)

    def action_scroll(self, direction: str) -> None:
        """Scroll a line."""
        self.query_one(Document).scroll_relative(y=1 if direction == "down" else -1, animate=False)

    def action_copy(self) -> None:
        """Copy what the dialog is about."""
        if self._on_copy is not None:
            self._on_copy()


def help_dialog(keymap: dict[str, str], tab: str) -> DocumentDialog:
    """All actions with their keys, from the table; those of the tab on the screen come first."""
    return DocumentDialog("Keys", lambda width: help_lines(keymap, width, tab))


def help_lines(keymap: dict[str, str], width: int, tab: str = "overview") -> list[Line]:
    """One line an action; those without a key are reached through the palette."""
    lines = [line(("A calm screen means all is well. Newest events stand on top.", "dim"))]
    labels = {info.name: info.label for info in TABS}
    for place in (tab, "", *(name for name in labels if name != tab)):
        actions = [action for action in ACTIONS if action.tab == place]
        if actions:
            lines += [Line(), line((labels.get(place, "Everywhere"), "accent-strong"))]
        for action in actions:
            keys = keymap.get(action.id, action.keys)
            shown = " ".join(key_name(key) for key in keys.split(",")) if keys else "^p"
            lines += _wrapped(shown, action, width)
    lines += [
        Line(),
        line(
            ("Marks   ", "dim"),
            ("✔", "good"),
            " delivered  ",
            ("◐", "warn"),
            " retrying  ",
            ("✖", "bad"),
            " dead letter",
        ),
        line(
            ("        ", "dim"),
            ("·", "dim"),
            " waiting    ",
            ("■", "accent"),
            " parked    ",
            ("░", "dim"),
            " expired",
        ),
    ]
    return lines


def _wrapped(keys: str, action: Action, width: int) -> list[Line]:
    head = line((f"{keys:<9}", "key"), (f"{action.label:<20}", "strong"))
    room = width - head.width
    if len(action.help) <= room:
        return [Line((*head.spans, *line(action.help).spans))]
    words = action.help.split()
    rows: list[str] = [""]
    inner = max(10, width - 9)
    for word in words:
        if len(rows[-1]) + len(word) + 1 > inner:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return [head, *(line((" " * 9 + row, "dim")) for row in rows)]


class _Question(Panel):
    def __init__(self, text: str) -> None:
        super().__init__(id="text")
        self._text = text

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [
            line((self._text, "strong")),
            Line(),
            line(("y", "key"), " yes   ", ("n", "key"), " no   ", ("esc", "key"), " no"),
        ]


class ConfirmDialog(ModalScreen[bool]):
    """A question whose answer is no unless ``y`` is pressed."""

    BINDINGS = [
        Binding("y", "answer(True)", show=False),
        Binding("n,escape,q,enter", "answer(False)", show=False),
    ]

    DEFAULT_CSS = "_Question { height: 3; }"

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        from textual.containers import Vertical

        with Vertical(id="question"):
            yield _Question(self._text)

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)
