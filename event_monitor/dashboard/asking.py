"""Asks for a reason before something is held, stopped or let go. Loaded when it is first used."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from event_monitor.widgets.line_input import LineInput
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line, plain

LONGEST = 200
_ROWS = 3


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the question itself, what follows from it, and what enter does, in a word."""

    text: str
    consequence: str
    verb: str


class _Told(Panel):
    def __init__(self, question: Question) -> None:
        super().__init__(id="told")
        self._question = question

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [
            *_wrapped(self._question.text, width, "strong"),
            *_wrapped(self._question.consequence, width, "dim"),
        ]


def _wrapped(text: str, width: int, tone: str) -> list[Line]:
    """At most three rows: the answer must have its place on the smallest screen."""
    rows = textwrap.wrap(plain(text), max(width, 10), max_lines=_ROWS, placeholder=" …")
    return [clip(line((row, tone)), width) for row in rows]


class _Hint(Panel):
    def __init__(self, verb: str) -> None:
        super().__init__(id="hint")
        self._verb = verb

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [clip(line(("enter", "key"), f" {self._verb}   ", ("esc", "key"), " cancel"), width)]


class ReasonDialog(ModalScreen[str | None]):
    """Answers the reason that was typed, empty if none was; ``None`` if the person thought better."""

    BINDINGS = [Binding("escape", "cancel", show=False)]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield _Told(self._question)
            yield LineInput(placeholder="Reason (optional)", max_length=LONGEST, id="reason")
            yield _Hint(self._question.verb)

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        self.set_class(self.app.screen_stack[0].has_class("-sliver"), "-sliver")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter confirms."""
        event.stop()
        self.dismiss(event.value.strip())

    def action_cancel(self) -> None:
        """Close and change nothing."""
        self.dismiss(None)
