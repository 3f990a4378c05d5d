"""A scrollable document of lines, for details and help."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from event_monitor.widgets.text import Line
from event_monitor.widgets.tones import Tones


class Document(ScrollView, can_focus=True):
    """Shows what ``compose_lines(width)`` answers, laid out anew when the width changes."""

    def __init__(self, compose_lines: Callable[[int], Sequence[Line]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._compose_lines = compose_lines
        self._lines: Sequence[Line] = ()
        self._laid_out = 0
        self._tones = Tones(self)

    def replace(self, compose_lines: Callable[[int], Sequence[Line]]) -> None:
        """Show something else, from its top."""
        self._compose_lines, self._laid_out = compose_lines, 0
        self._lay_out()
        self.scroll_home(animate=False)

    def update(self, compose_lines: Callable[[int], Sequence[Line]]) -> None:
        """Show something else at the same place; only the rows that differ are painted."""
        self._compose_lines = compose_lines
        width = self.scrollable_content_region.width
        if not width:
            return
        old, self._lines, self._laid_out = self._lines, compose_lines(width), width
        if len(self._lines) != len(old):
            self.virtual_size = Size(width, len(self._lines))
        for y in range(max(len(old), len(self._lines))):
            if old[y : y + 1] != self._lines[y : y + 1]:
                self.refresh_line(y)

    def on_resize(self) -> None:
        """Lay out for the new width."""
        self._lay_out()

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width
        if width:
            if width != self._laid_out:
                self._fill(width)
            self.virtual_size = Size(width, len(self._lines))
            self.refresh()

    def _fill(self, width: int) -> None:
        self._lines, self._laid_out = self._compose_lines(width), width

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if width != self._laid_out:
            # A new size is painted before it is told: waiting for that shows a frame of nothing.
            self._fill(width)
        place = y + self.scroll_offset.y
        base = self.rich_style
        shown = self._lines[place] if place < len(self._lines) else Line()
        segments = [
            Segment(span.text, base + self._tones[span.tone]) if span.tone else Segment(span.text, base)
            for span in shown.spans
        ]
        length = sum(cell_len(span.text) for span in shown.spans)
        return Strip(segments, length).adjust_cell_length(width, base)
