"""What the Console is made of besides the prompt: the output, the offers, the hint under the line."""

from __future__ import annotations

from collections.abc import Sequence

from event_monitor.dashboard.console.log import PROMPT
from event_monitor.grammar.known import Offer
from event_monitor.widgets.document import Document
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, fit, line, plain, spread

_MOST_OFFERS = 6


class OutputView(Document):
    """The output. It stays at its end while it was there, also when its height changes."""

    following = True

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """See whether the end is in view."""
        super().watch_scroll_y(old_value, new_value)
        self.following = new_value >= self.max_scroll_y - 1

    def on_resize(self) -> None:
        """Lay out for the new size."""
        following = self.following
        super().on_resize()
        if following:
            self.to_end()

    def to_end(self) -> None:
        """Go to the end once the new lines have their place."""
        self.following = True
        self.call_after_refresh(self.scroll_end, animate=False)


class OffersPanel(Panel):
    """What can stand at the cursor."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._offers: Sequence[Offer] = ()
        self._chosen: int | None = None

    def show(self, offers: Sequence[Offer], chosen: int | None) -> None:
        """Show offers, ``chosen`` marked."""
        self._offers, self._chosen = offers, chosen
        rows = min(len(offers), 1 if self.screen.has_class("-sliver") else _MOST_OFFERS)
        self.display = rows > 0
        self.styles.height = rows
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        offers, chosen = self._offers, self._chosen
        if height == 1 and len(offers) > 1:
            return [_in_a_row(offers, chosen, width)]
        first = min(max(0, (chosen or 0) - height + 1), max(0, len(offers) - height))
        column = min(40, max((len(offer.text) for offer in offers), default=0))
        rows = []
        for number, offer in enumerate(offers[first : first + height], first):
            mark = "▸ " if number == chosen else "  "
            name = (fit(plain(offer.text), column), "accent-strong" if number == chosen else "accent")
            row = line(" " * 5, mark, name, "  ", (plain(offer.note), "dim"))
            rows.append(clip(row, width))
        hidden = len(offers) - first - len(rows)
        if hidden and rows:
            rows[-1] = spread(rows[-1], line((f" {hidden} more", "dim")), width)
        return rows


def _in_a_row(offers: Sequence[Offer], chosen: int | None, width: int) -> Line:
    first = chosen or 0
    parts: list[tuple[str, str]] = []
    for number, offer in enumerate(offers[first : first + 12], first):
        parts.append((f" {plain(offer.text)} ", "accent-strong" if number == chosen else "accent"))
    return clip(line(*parts), width)


class HintPanel(Panel):
    """What belongs at the cursor, or what runs."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._left: tuple[str, str] = ("", "")
        self._right = ""

    def show(self, text: str, tone: str, right: str) -> None:
        """Show a text, and what can be pressed at the right."""
        self._left, self._right = (text, tone), right
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        text, tone = self._left
        right = line((f" {self._right} ", "dim"))
        left = clip(line((f" {plain(text)}", tone)), width)
        return [spread(left, right, width) if right.width * 2 < width else left]


class SignPanel(Panel):
    """Stands before what is typed."""

    def on_mount(self) -> None:
        """Be as wide as what stands here; the app's rules for panels say otherwise."""
        self.styles.width = len(PROMPT)

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [line((PROMPT, "accent-strong"))]
