"""The screens that open over a tab: a document, and a question before what changes much."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen, Screen

from event_monitor.errors import EventMonitorError
from event_monitor.widgets.document import Document
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line, plain

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp

SCROLLING = [
    Binding("j,down", "scroll('down')", show=False),
    Binding("k,up", "scroll('up')", show=False),
]


def take_layout(dialog: Screen[Any]) -> None:
    """Give a dialog the layout of the screen beneath."""
    for layout in ("-compact", "-sliver"):
        dialog.set_class(dialog.app.screen_stack[0].has_class(layout), layout)


def old_line(error: str, width: int) -> Line:
    """Says that what is shown is the last that was known, and why there is nothing newer."""
    return clip(line((f" ✖ this is old: {plain(error)}", "bad-strong")), width)


class DocumentDialog(ModalScreen[None]):
    """A document to read. ``y`` copies by way of ``on_copy``. ``follow`` fetches it again with every picture
    that the app takes; where it raises, what was there stays, marked as old."""

    app: EventMonitorApp

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
        follow: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__()
        self._follow = follow
        self._lost = ""
        self._title = title
        self._hint = hint
        self._compose_lines = compose_lines
        self._on_copy = on_copy

    def compose(self) -> ComposeResult:
        document = Document(self._lines, id="document")
        document.add_class("dialog")
        document.border_title = self._title
        document.border_subtitle = self._hint
        yield document

    def on_mount(self) -> None:
        """Take the layout of the screen beneath, and follow the app's pictures."""
        take_layout(self)
        if self._follow is not None:
            self.app.followers.append(self.follow)

    def on_unmount(self) -> None:
        """Follow no more."""
        if self._follow is not None:
            self.app.followers.remove(self.follow)

    async def follow(self) -> None:
        """Fetch again; what differs is painted."""
        assert self._follow is not None
        try:
            await self._follow()
            self._lost = ""
        except EventMonitorError as error:
            self._lost = str(error)
        if self.is_attached:
            self.query_one(Document).update(self._lines)

    def _lines(self, width: int) -> Sequence[Line]:
        lines = self._compose_lines(width)
        return [old_line(self._lost, width), *lines] if self._lost else lines

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
