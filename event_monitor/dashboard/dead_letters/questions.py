"""Asks before many things change at once: names how many, of what, and what follows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from event_monitor.dashboard.dialogs import take_layout
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line, plain

_ROWS = 4


class _Told(Panel):
    def __init__(self, question: str, follows: str) -> None:
        super().__init__(id="asked")
        self._question = question
        self._follows = follows

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [
            *_wrapped(self._question, width, "strong"),
            *_wrapped(self._follows, width, "dim"),
            Line(),
            line(("y", "key"), " yes   ", ("n", "key"), " no   ", ("esc", "key"), " no"),
        ]


def _wrapped(text: str, width: int, tone: str) -> list[Line]:
    rows = textwrap.wrap(plain(text), max(width, 10), max_lines=_ROWS, placeholder=" …")
    return [clip(line((row, tone)), width) for row in rows]


class Question(ModalScreen[bool]):
    """The answer is no unless ``y`` is pressed."""

    BINDINGS = [
        Binding("y", "answer(True)", show=False),
        Binding("n,escape,q,enter", "answer(False)", show=False),
    ]
    DEFAULT_CSS = "#asked { height: auto; }"

    def __init__(self, question: str, follows: str = "") -> None:
        super().__init__()
        self._told = (question, follows)

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield _Told(*self._told)

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        take_layout(self)

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)
