"""The live feed: the newest events on top, filtered, frozen, and selected by number, not by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.message import Message

from event_monitor.model import FeedItem
from event_monitor.widgets import content
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line


class FeedPanel(Panel, can_focus=True):
    """Keeps the selection on an event while others come and go."""

    BORDER_TITLE = "Live"

    class Opened(Message):
        """The details of an event are wanted."""

        def __init__(self, event_id: int) -> None:
            super().__init__()
            self.event_id = event_id

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._newest: tuple[FeedItem, ...] = ()
        self._shown: tuple[FeedItem, ...] = ()
        self._matching: list[FeedItem] = []
        self._predicate: Callable[[FeedItem], bool] | None = None
        self._filter_text = ""
        self._selected: int | None = None
        self._top = 0
        self.frozen = False

    # --- what is shown ----------------------------------------------------------------------

    def show(self, items: tuple[FeedItem, ...]) -> None:
        """Take the feed, the oldest first. While frozen it only waits."""
        self._newest = items
        if not self.frozen:
            self._shown = items
            self._choose()
        self._say()

    def freeze(self, frozen: bool) -> None:
        """Hold the picture still, or catch up."""
        self.frozen = frozen
        self.show(self._newest)

    def filter(self, text: str, predicate: Callable[[FeedItem], bool] | None) -> None:
        """Show only what passes; ``text`` is what the person typed."""
        self._filter_text, self._predicate = text, predicate
        self._choose()
        self._say()

    @property
    def waiting(self) -> int:
        """Events that came while the feed was frozen."""
        newest_shown = self._shown[-1].id if self._shown else 0
        return sum(item.id > newest_shown for item in self._newest) if self.frozen else 0

    @property
    def selected(self) -> FeedItem | None:
        """The selected event."""
        return next((item for item in self._matching if item.id == self._selected), None)

    def _choose(self) -> None:
        passes = self._predicate
        self._matching = [item for item in reversed(self._shown) if passes is None or passes(item)]
        if self._selected is not None and self.selected is None:
            self._selected = None
        self._keep_in_view()
        self.redraw()

    def _say(self) -> None:
        """What holds for the feed stands in its border."""
        parts = []
        if self.frozen:
            parts.append(f"■ frozen, {self.waiting} waiting")
        if self._filter_text:
            parts.append(f"filter: {len(self._matching)} of {len(self._shown)}")
        title = " · ".join(parts)
        if self.border_subtitle != title:
            self.border_subtitle = title

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if not self._matching:
            if self._filter_text:
                return [line((" No event of the last ones passes the filter. esc clears it.", "dim"))]
            hints = [clip(line(" ", part), width) for part in content.NO_EVENTS]
            return hints[:height]
        visible = self._matching[self._top : self._top + height]
        return [content.feed_item(item, width, selected=item.id == self._selected) for item in visible]

    # --- selection --------------------------------------------------------------------------

    def move(self, rows: int) -> None:
        """Move the selection down, or up if negative."""
        if not self._matching:
            return
        place = self._place()
        target = 0 if place is None else place + rows
        self._select(min(max(target, 0), len(self._matching) - 1))

    def move_page(self, pages: int) -> None:
        """Move by the height of the panel."""
        self.move(pages * max(1, self.size.height - 1))

    def move_to_end(self, last: bool) -> None:
        """Select the oldest (``last``) or the newest event."""
        if self._matching:
            self._select(len(self._matching) - 1 if last else 0)

    def clear_selection(self) -> bool:
        """Follow the newest events again. False if nothing was selected."""
        had = self._selected is not None
        self._selected = None
        self._top = 0
        self.redraw()
        return had

    def _place(self) -> int | None:
        return next((place for place, item in enumerate(self._matching) if item.id == self._selected), None)

    def _select(self, place: int) -> None:
        self._selected = self._matching[place].id
        self._keep_in_view()
        self.redraw()

    def _keep_in_view(self) -> None:
        place = self._place()
        height = max(1, self.size.height)
        if place is None:
            self._top = 0
        elif place < self._top:
            self._top = place
        elif place >= self._top + height:
            self._top = place - height + 1

    # --- mouse ------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Select the event under the pointer; open it on the second click."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place = self._top + offset.y
        if 0 <= place < len(self._matching):
            again = self._matching[place].id == self._selected
            self._select(place)
            if again:
                self.post_message(self.Opened(self._matching[place].id))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll towards older events."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll towards newer events."""
        event.stop()
        self.move(-3)
