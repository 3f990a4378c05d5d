"""A histogram of history with the span that is chosen on it: bars, a bracket, times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from textual import events
from textual.message import Message

from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, Span, clip, count, line

_BLOCKS = " ▁▂▃▄▅▆▇█"
_DAY = 86_400.0
# Seconds between two times under the bars, and how they are written.
_TICKS = (
    *((0.5, "%H:%M:%S.%f"), (1, "%H:%M:%S"), (2, "%H:%M:%S"), (5, "%H:%M:%S"), (10, "%H:%M:%S")),
    *((30, "%H:%M:%S"), (60, "%H:%M"), (120, "%H:%M"), (300, "%H:%M"), (600, "%H:%M"), (900, "%H:%M")),
    *((1_800, "%H:%M"), (3_600, "%H:%M"), (7_200, "%H:%M"), (10_800, "%H:%M"), (21_600, "%b %d %H:%M")),
    *((43_200, "%b %d %H:%M"), (_DAY, "%b %d"), (2 * _DAY, "%b %d"), (7 * _DAY, "%b %d")),
    *((30 * _DAY, "%b %d %Y"), (90 * _DAY, "%b %d %Y"), (365 * _DAY, "%Y")),
)


@dataclass(frozen=True, slots=True)
class History:
    """What is drawn: ``counts`` of columns that are ``bucket`` seconds long each, the first of which
    begins at ``since`` (epoch seconds); the chosen columns from ``first`` to before ``last``, which may lie
    outside; ``label`` says what is chosen. ``offset`` is local time less UTC, in seconds."""

    counts: tuple[int, ...]
    since: float
    bucket: float
    offset: float
    first: int
    last: int
    label: str
    short_label: str


def histogram_lines(history: History, width: int, height: int) -> list[Line]:
    """The picture on ``width`` by ``height`` cells; of two rows or fewer the bars alone have one."""
    rows = max(1, height - 2)
    lines = _bars(history, width, rows)
    if height > 1:
        lines.append(_bracket(history, width))
    if height > 2:
        lines.append(_axis(history, width))
    return [clip(one, width) for one in lines[:height]]


def _bars(history: History, width: int, rows: int) -> list[Line]:
    counts = history.counts[:width]
    highest = max(counts, default=0) or 1
    # A column in which anything happened shows it.
    heights = [-(-value * rows * 8 // highest) for value in counts]
    lines = []
    for row in range(rows - 1, -1, -1):
        cells = "".join(_BLOCKS[min(max(height - row * 8, 0), 8)] for height in heights)
        if row == 0:
            cells = "".join(cell if cell != " " else "·" for cell in cells)
        lines.append(Line(_toned(cells, history)))
    return lines


def _toned(cells: str, history: History) -> tuple[Span, ...]:
    first = min(max(history.first, 0), len(cells))
    last = min(max(history.last, first), len(cells))
    parts = ((cells[:first], "dim"), (cells[first:last], "accent"), (cells[last:], "dim"))
    return tuple(Span(text, tone) for text, tone in parts if text)


def _bracket(history: History, width: int) -> Line:
    """Which columns are chosen, and what that is; what lies outside is pointed at."""
    first, last = history.first, history.last
    if last <= 0:
        return clip(line(("← ", "accent"), (history.label, "accent-strong")), width)
    if first >= width:
        text = history.label if len(history.label) + 2 <= width else history.short_label
        return line(" " * max(0, width - len(text) - 2), (text, "accent-strong"), (" →", "accent"))
    begin, end = max(first, 0), min(last, width)
    room = end - begin
    opening, closing = "[" if first >= 0 else "←", "]" if last <= width else "→"
    for label in (history.label, history.short_label):
        if len(label) + 4 <= room:
            filled = f" {label} ".center(room - 2, "═")
            inner = filled.split(label)
            return line(
                " " * begin,
                (opening + inner[0], "accent"),
                (label, "accent-strong"),
                (inner[1] + closing, "accent"),
            )
    mark = (
        (opening + "═" * (room - 2) + closing)
        if room >= 2
        else ("█" if opening + closing == "[]" else opening)
    )
    return _beside(mark, begin, history, width)


def _beside(mark: str, begin: int, history: History, width: int) -> Line:
    """A bracket too narrow for its label, with the label where there is room."""
    right, left = width - begin - len(mark) - 1, begin - 1
    for label in (history.label, history.short_label):
        if len(label) <= right:
            return line(" " * begin, (mark, "accent"), " ", (label, "accent-strong"))
        if len(label) <= left:
            gap = " " * (begin - len(label) - 1)
            return line(gap, (label, "accent-strong"), " ", (mark, "accent"))
    return line(" " * begin, (mark, "accent"))


def _axis(history: History, width: int) -> Line:
    """Round times under the columns in which they lie."""
    seconds, form = _tick(history.bucket)
    end = history.since + history.bucket * min(width, len(history.counts))
    local = history.since + history.offset
    tick = -(-local // seconds) * seconds
    text = ""
    while tick - history.offset < end:
        label = "│" + _written(tick, form)
        column = round((tick - local) / history.bucket)
        if column + len(label) > width:
            break
        if column >= len(text):
            text = text.ljust(column) + label + " "
        tick += seconds
    return line((text.rstrip(), "dim"))


def _tick(bucket: float) -> tuple[float, str]:
    for seconds, form in _TICKS:
        sample = len(_written(0.0, form)) + 4
        if seconds >= bucket * sample:
            return seconds, form
    return _TICKS[-1]


def _written(local: float, form: str) -> str:
    moment = datetime(1970, 1, 1) + timedelta(seconds=round(local, 1))
    text = moment.strftime(form)
    return text[:-5] if form.endswith("%f") else text


class HistogramPanel(Panel):
    """Draws a ``History``; the mouse chooses columns by dragging and zooms with its wheel."""

    BORDER_TITLE = "History"

    class Dragged(Message):
        """The columns from ``first`` to ``last``, both included, are wanted."""

        def __init__(self, first: int, last: int) -> None:
            super().__init__()
            self.first, self.last = first, last

    class Zoomed(Message):
        """The wheel was turned over a column: ``steps`` finer, or coarser if negative."""

        def __init__(self, steps: int, column: int) -> None:
            super().__init__()
            self.steps, self.column = steps, column

    class Resized(Message):
        """So many columns can be drawn now."""

        def __init__(self, columns: int) -> None:
            super().__init__()
            self.columns = columns

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._history: History | None = None
        self._instead: tuple[Line, ...] = ()
        self._held: int | None = None

    def show(self, history: History | None, instead: Sequence[Line] = ()) -> None:
        """Take a picture, or lines to show while there is none."""
        self._history, self._instead = history, tuple(instead)
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if self._history is None:
            return [clip(one, width) for one in self._instead[:height]]
        return histogram_lines(self._history, width, height)

    def on_resize(self) -> None:
        """Say how many columns there are."""
        self.post_message(self.Resized(self.size.width))

    # --- mouse ------------------------------------------------------------------------------

    def _column(self, event: events.MouseEvent) -> int:
        offset = event.get_content_offset_capture(self)
        return min(max(offset.x, 0), max(0, self.size.width - 1))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to choose."""
        if event.button == 1 and self._history is not None:
            self.capture_mouse()
            self._held = self._column(event)
            self.post_message(self.Dragged(self._held, self._held))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Choose up to here."""
        if self._held is not None:
            here = self._column(event)
            self.post_message(self.Dragged(min(self._held, here), max(self._held, here)))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Have chosen."""
        self._held = None
        self.release_mouse()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Look closer."""
        event.stop()
        self.post_message(self.Zoomed(1, self._column(event)))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Look from further away."""
        event.stop()
        self.post_message(self.Zoomed(-1, self._column(event)))


def peak_text(counts: Sequence[int], bucket_text: str) -> str:
    """How high the highest bar is."""
    return f"peak {count(max(counts, default=0))} in {bucket_text}"
