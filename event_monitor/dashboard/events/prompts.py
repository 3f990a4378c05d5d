"""The small questions of the Events tab: a line to type, a yes or no, and a choice from a list."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from event_monitor.dashboard.dialogs import take_layout
from event_monitor.errors import EventMonitorError
from event_monitor.widgets.line_input import LineInput
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line, plain

Paragraph = tuple[str, str]


class _Text(Panel):
    DEFAULT_CSS = "_Text { height: auto; }"

    def __init__(self, paragraphs: Sequence[Paragraph]) -> None:
        super().__init__()
        self._paragraphs = paragraphs

    def show(self, paragraphs: Sequence[Paragraph]) -> None:
        """Say something else."""
        self._paragraphs = paragraphs
        self.refresh(layout=True)
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [
            line((row, tone))
            for text, tone in self._paragraphs
            for row in textwrap.wrap(plain(text), max(width, 10), max_lines=8, placeholder=" …") or [""]
        ]


class PromptDialog(ModalScreen[str | None]):
    """Answers the line that was typed; ``None`` if the person thought better.

    ``check`` raises for what cannot be taken; ``warn`` says what a second enter accepts all the same."""

    BINDINGS = [Binding("escape", "cancel", show=False)]

    def __init__(
        self,
        question: str,
        hint: str,
        *,
        value: str = "",
        check: Callable[[str], object] = lambda text: None,
        warn: Callable[[str], str] = lambda text: "",
    ) -> None:
        super().__init__()
        self._question = question
        self._hint = hint
        self._value = value
        self._check = check
        self._warn = warn
        self._warned: str | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield _Text([(self._question, "strong")])
            field = LineInput(id="answer")
            field.value = self._value
            yield field
            yield _Text([(self._hint, "dim")])

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        take_layout(self)
        self.query_one(LineInput).cursor_position = len(self._value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the answer, or say what is wrong with it."""
        event.stop()
        text = event.value.strip()
        told = self.query(_Text).last()
        try:
            self._check(text)
        except EventMonitorError as error:
            told.show([(str(error), "bad")])
            return
        warning = self._warn(text)
        if warning and self._warned != text:
            self._warned = text
            told.show([(warning, "warn")])
            return
        self.dismiss(text)

    def action_cancel(self) -> None:
        """Close and change nothing."""
        self.dismiss(None)


class AskDialog(ModalScreen[bool]):
    """A question with what follows from it, whose answer is no unless ``y`` is pressed."""

    BINDINGS = [
        Binding("y", "answer(True)", show=False),
        Binding("n,escape,q,enter", "answer(False)", show=False),
    ]

    def __init__(self, paragraphs: Sequence[Paragraph]) -> None:
        super().__init__()
        self._paragraphs = paragraphs

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield _Text([*self._paragraphs, ("", ""), ("y yes   n no   esc no", "accent")])

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        take_layout(self)

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)


class _Choices(Panel, can_focus=True):
    DEFAULT_CSS = """
    _Choices { height: auto; max-height: 20; }
    """

    def __init__(self, rows: Callable[[], Sequence[Line]]) -> None:
        super().__init__()
        self._rows = rows
        self.place = 0

    def move(self, rows: int) -> None:
        self.place = max(0, min(self.place + rows, len(self._rows()) - 1))
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        rows = self._rows()
        top = max(0, min(self.place - height + 1, len(rows) - height)) if height < len(rows) else 0
        return [
            clip(
                Line(
                    (*line("▸ " if place == self.place else "  ").spans, *row.spans),
                    "select" if place == self.place else "",
                ),
                width,
            )
            for place, row in list(enumerate(rows))[top : top + height]
        ]


class ChoiceDialog(ModalScreen[Any]):
    """Answers the key of the chosen row; ``None`` if none was. With ``toggle`` rows are switched with
    space or enter until the person is done, and the answer is ``None``."""

    BINDINGS = [
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("enter,space", "choose", show=False),
        Binding("escape,q", "dismiss_none", show=False),
    ]

    def __init__(
        self,
        title: str,
        keys: Sequence[Any],
        rows: Callable[[], Sequence[Line]],
        *,
        toggle: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._keys = keys
        self._choices = _Choices(rows)
        self._toggle = toggle

    def compose(self) -> ComposeResult:
        hint = "space shows or hides   esc is done" if self._toggle else "enter goes there   esc stays"
        with Vertical(id="question"):
            yield _Text([(self._title, "strong"), ("", "")])
            yield self._choices
            yield _Text([("", ""), (hint, "dim")])

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        take_layout(self)
        self._choices.focus()

    def action_move(self, rows: int) -> None:
        """Select another row."""
        self._choices.move(rows)

    def action_choose(self) -> None:
        """Answer with the row, or switch it."""
        key = self._keys[self._choices.place]
        if self._toggle is None:
            self.dismiss(key)
        else:
            self._toggle(key)
            self._choices.redraw()

    def action_dismiss_none(self) -> None:
        """Close."""
        self.dismiss(None)
