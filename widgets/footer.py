"""The bottom line: the keys that work where the focus is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.message import Message

from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, Span, clip

_GAP = 2


@dataclass(frozen=True, slots=True)
class FooterKey:
    """A key and what it does. ``action`` is a Textual action; where not all keys have room those of a
    higher ``rank`` are left out first."""

    action: str
    key: str
    label: str
    available: bool = True
    rank: int = 0

    @property
    def width(self) -> int:
        """The cells that it takes."""
        return len(self.key) + 1 + len(self.label)


def that_fit(keys: Sequence[FooterKey], width: int) -> list[FooterKey]:
    """The most important keys that have room beside one another, in the order given."""
    left = width
    chosen = set()
    for number, key in sorted(enumerate(keys), key=lambda item: item[1].rank):
        if key.width <= left:
            chosen.add(number)
            left -= key.width + _GAP
    return [key for number, key in enumerate(keys) if number in chosen]


class FooterPanel(Panel):
    """A click on a key's label is its action."""

    class Chosen(Message):
        """A key's label was clicked."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: tuple[FooterKey, ...] = ()
        self._places: list[tuple[int, int, str]] = []

    def show(self, keys: tuple[FooterKey, ...]) -> None:
        """Take the keys in the order in which they are to stand."""
        self._keys = keys
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        spans: list[Span] = []
        self._places = []
        at = 1
        for key in that_fit(self._keys, width - 2):
            spans += [
                Span(" " * (_GAP if spans else 1)),
                Span(key.key, "key" if key.available else "dim"),
                Span(f" {key.label}", "" if key.available else "dim"),
            ]
            self._places.append((at, at + key.width, key.action))
            at += key.width + _GAP
        return [clip(Line(tuple(spans)), width)]

    def on_click(self, event: events.Click) -> None:
        """Turn a click into the action under it."""
        for start, end, action in self._places:
            if start <= event.x < end:
                self.post_message(self.Chosen(action))
