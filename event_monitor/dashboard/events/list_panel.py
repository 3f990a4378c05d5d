"""The list of events: shows the part of a window around the selected event, which is kept by its id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from textual import events
from textual.message import Message

from event_monitor.dashboard.events import columns
from event_monitor.dashboard.events.marks import Marks
from event_monitor.dashboard.events.row_lines import heading, row_line, thumb
from event_monitor.dashboard.events.window import HistoryWindow
from event_monitor.replies.explorer import HistoryRow
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, Span, clip

_HEADED = 6


class EventList(Panel, can_focus=True):
    """``note`` stands under the last row, ``empty`` in place of rows where there are none. ``on_top``
    says that the newest event was selected, and so is to be selected when a newer one comes."""

    BORDER_TITLE = "Events"

    class Moved(Message):
        """Another event is selected, or another part of the window is on the screen."""

    class Opened(Message):
        """The selected event was clicked once more."""

    class Sought(Message):
        """A place on the scrollbar was clicked: ``event_id`` lies there, about."""

        def __init__(self, event_id: int) -> None:
            super().__init__()
            self.event_id = event_id

    def __init__(self, window: HistoryWindow, now: Callable[[], datetime], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.window = window
        self.marks = Marks()
        self.columns: tuple[str, ...] = columns.DEFAULT
        self.note: Line | None = None
        self.empty: Sequence[Line] = ()
        self.selected_id: int | None = None
        self.on_top = True
        self._now = now
        self._top = 0
        self._top_id: int | None = None
        self._centred = False

    # --- the selection ----------------------------------------------------------------------

    @property
    def selected(self) -> HistoryRow | None:
        """The selected event."""
        place = self.window.place(self.selected_id)
        return None if place is None else self.window.rows[place]

    @property
    def place(self) -> int | None:
        """Where the selected event stands among the rows."""
        return self.window.place(self.selected_id)

    @property
    def page_rows(self) -> int:
        """How many events are on the screen at once."""
        return max(1, self.size.height - self._heading_rows())

    def shown_rows(self) -> Sequence[HistoryRow]:
        """The events that are on the screen."""
        return self.window.rows[self._top : self._top + self.page_rows]

    def move(self, rows: int) -> None:
        """Move the selection down, or up if negative."""
        if not self.window.rows:
            return
        place = self.place
        target = 0 if place is None else place + rows
        self.select(self.window.rows[min(max(target, 0), len(self.window.rows) - 1)].id)

    def select(self, event_id: int) -> None:
        """Select an event of the window."""
        self.selected_id = event_id
        self.on_top = self.window.at_newest and self.place == 0
        self._centred = False
        self.keep_in_view()
        self.post_message(self.Moved())

    def expect(self, event_id: int | None) -> None:
        """Select an event that will be there soon, ``None`` for the newest."""
        self.selected_id = event_id
        self.on_top = event_id is None
        self._centred = False

    def follow(self) -> None:
        """Select the newest event."""
        self.selected_id = self.window.rows[0].id if self.window.rows else None

    def keep_in_view(self) -> None:
        """Show what holds now, with the selected event on the screen. One that is gone leaves the
        selection to its neighbour."""
        rows = self.window.rows
        if rows and self.selected_id is not None and self.place is None:
            self.selected_id = rows[min(self.window.nearest(self.selected_id), len(rows) - 1)].id
        elif rows and self.selected_id is None:
            self.selected_id = rows[0].id
        place = self.place or 0
        # Rows that came or went above leave the picture where it is.
        kept = self.window.place(self._top_id)
        top = place - self.page_rows // 2 if self._centred else self._top if kept is None else kept
        height = self.page_rows - (self.note is not None and place >= len(rows) - 1)
        top = min(max(top, place - max(1, height) + 1), place)
        self._top = max(0, min(top, len(rows) - 1))
        self._top_id = rows[self._top].id if rows else None
        self.redraw()

    def centre(self, event_id: int) -> None:
        """Select an event that is there, or soon will be, in the middle of the screen."""
        self.expect(event_id)
        self._centred = True
        self.keep_in_view()
        self.post_message(self.Moved())

    # --- what is drawn ----------------------------------------------------------------------

    def _heading_rows(self) -> int:
        return int(self.size.height >= _HEADED and heading(self.size.width, self.columns) is not None)

    def lines(self, width: int, height: int) -> Sequence[Line]:
        rows = self.window.rows
        if not rows:
            told = list(self.empty) + ([self.note] if self.note is not None else [])
            return [clip(one, width) for one in told[:height]]
        selected = self.selected
        lies = thumb(
            selected.id if selected is not None else None,
            self.window.oldest_id,
            self.window.newest_id,
            height - self._heading_rows(),
        )
        inner = width - (lies is not None)
        today = self._now()
        drawn = [
            row_line(
                row,
                inner,
                self.columns,
                today,
                selected=row.id == self.selected_id,
                marked=self.marks.holds(row.id, self.selected_id),
            )
            for row in self.shown_rows()
        ]
        if self.note is not None and len(drawn) < self.page_rows:
            drawn.append(clip(self.note, inner))
        if lies is not None:
            drawn = self._with_bar(drawn, inner, height - self._heading_rows(), lies)
        head = heading(inner, self.columns) if self._heading_rows() else None
        return [head, *drawn] if head is not None else drawn

    def _with_bar(self, drawn: list[Line], inner: int, height: int, lies: int) -> list[Line]:
        """A scrollbar over all of history beside the rows."""
        drawn += [Line()] * (height - len(drawn))
        barred = []
        for y, one in enumerate(drawn[:height]):
            gap = Span(" " * (inner - one.width))
            bar = Span("█", "accent") if y == lies else Span("│", "dim")
            barred.append(Line((*one.spans, *((gap,) if gap.text else ()), bar), one.row))
        return barred

    def on_resize(self) -> None:
        """More or fewer events are on the screen."""
        self.keep_in_view()
        self.post_message(self.Moved())

    def on_focus(self) -> None:
        """The heading may need its room again."""
        self.redraw()

    # --- mouse ------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Select what is under the pointer; open it on the second click; go to a place on the bar."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        y = offset.y - self._heading_rows()
        oldest, newest = self.window.oldest_id, self.window.newest_id
        height = self.size.height - self._heading_rows()
        if (
            offset.x == self.size.width - 1
            and oldest is not None
            and newest is not None
            and newest - oldest >= height > 1
        ):
            self.post_message(self.Sought(newest - round(y * (newest - oldest) / (height - 1))))
            return
        shown = self.shown_rows()
        if 0 <= y < len(shown):
            again = shown[y].id == self.selected_id
            self.select(shown[y].id)
            if again:
                self.post_message(self.Opened())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Towards older events."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Towards newer events."""
        event.stop()
        self.move(-3)
