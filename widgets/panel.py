"""The base of all panels: draws lines, and repaints only those that changed.

A panel is a widget on Textual's line API. It is told its data, works out its lines for its size,
compares them with those on the screen, and repaints the difference: nothing at all when nothing
changed, and nothing while it is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from event_monitor.widgets.text import Line
from event_monitor.widgets.tones import Tones


class Panel(Widget):
    """Shows ``lines(width, height)``. Subclasses say what these are; ``redraw`` makes them so."""

    DEFAULT_CSS = "Panel { height: 1; width: 1fr; background: $background; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._drawn: list[Line] = []
        self._strips: dict[int, Strip] = {}
        self._laid_out = Size(0, 0)
        self._tones = Tones(self)

    def on_mount(self) -> None:
        """Follow the theme: a tone may change where nothing else of this panel does."""
        self.app.theme_changed_signal.subscribe(self, lambda theme: self._repaint())

    def lines(self, width: int, height: int) -> Sequence[Line]:
        """What to show on ``width`` by ``height`` cells."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Work the lines out again and repaint those that differ."""
        width, height = self.size
        if not (width and height and self.is_attached and self.display):
            return
        if self.size != self._laid_out:
            self._lay_out()
            self.refresh()
            return
        wanted = list(self.lines(width, height))[:height]
        for y in range(max(len(wanted), len(self._drawn))):
            new = wanted[y] if y < len(wanted) else None
            if y >= len(self._drawn) or new != self._drawn[y]:
                self._strips.pop(y, None)
                self.refresh(Region(0, y, width, 1))
        self._drawn = wanted

    def _lay_out(self) -> None:
        self._laid_out = self.size
        self._strips.clear()
        self._drawn = list(self.lines(*self.size))[: self.size.height]

    def render_line(self, y: int) -> Strip:
        if self.size != self._laid_out:
            # A new size is painted before it is told: waiting for that shows a frame of nothing.
            self._lay_out()
        strip = self._strips.get(y)
        if strip is None:
            drawn = self._drawn[y] if y < len(self._drawn) else Line()
            strip = self._strips[y] = self._strip(drawn, self.size.width)
        return strip

    def _strip(self, drawn: Line, width: int) -> Strip:
        base = self.rich_style
        row = self._tones[drawn.row] if drawn.row else Style()
        segments = [
            Segment(span.text, base + row + self._tones[span.tone] + Style(bgcolor=row.bgcolor))
            if span.tone
            else Segment(span.text, base + row)
            for span in drawn.spans
        ]
        length = sum(cell_len(span.text) for span in drawn.spans)
        return Strip(segments, length).adjust_cell_length(width, base + row)

    def _repaint(self) -> None:
        self._strips.clear()
        self.refresh()

    def notify_style_update(self) -> None:
        self._strips.clear()
        super().notify_style_update()

    def on_resize(self) -> None:
        """Lay the lines out for the new size, unless they were painted in it already."""
        self.redraw()

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(list(self.lines(width, 1_000)))
