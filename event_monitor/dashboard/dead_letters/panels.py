"""The panels of the Dead letters tab: the list and the retries that are under way."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from event_monitor.dashboard.dead_letters import lines as say
from event_monitor.dashboard.dead_letters.tree import DeadTree
from event_monitor.replies.dead_letters import RetryRun
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line


class DeadList(Panel, can_focus=True):
    """The rows of a tree; keeps the selected one in view."""

    BORDER_TITLE = "Dead letters"

    class Moved(Message):
        """Another row is selected; ``opened`` when it was clicked once more."""

        def __init__(self, opened: bool = False) -> None:
            super().__init__()
            self.opened = opened

    def __init__(self, tree: DeadTree, mask: Sequence[str]) -> None:
        super().__init__(id="dead-list")
        self.tree_ = tree
        self._mask = mask
        self._top = 0
        self.hints: Sequence[tuple[str, str]] = say.WAITING

    def lines(self, width: int, height: int) -> Sequence[Line]:
        rows, place = self.tree_.rows, self.tree_.place
        if place is None:
            return say.hint_lines(self.hints, width)[:height]
        self._top = min(self._top, max(0, len(rows) - height))
        if place < self._top:
            self._top = place
        elif place >= self._top + height:
            self._top = place - height + 1
        return [
            say.row_line(row, self.tree_, width, self._mask, selected=number == place)
            for number, row in enumerate(rows[self._top : self._top + height], self._top)
        ]

    def move(self, rows: int) -> None:
        """Move the selection down, or up if negative."""
        self.go((self.tree_.place or 0) + rows)

    def move_page(self, pages: int) -> None:
        """Move by the height of the list."""
        self.move(pages * max(1, self.size.height - 1))

    def go(self, place: int) -> None:
        """Select the row at a place, or the nearest."""
        self.tree_.select(place)
        self.redraw()
        self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        """Select the row under the pointer; open it on the second click."""
        offset = event.get_content_offset(self)
        if offset is None or not 0 <= self._top + offset.y < len(self.tree_.rows):
            return
        again = self.tree_.place == self._top + offset.y
        self.go(self._top + offset.y)
        if again:
            self.post_message(self.Moved(opened=True))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self.move(-3)


class RunsPanel(Panel):
    """The retries that are under way, the newest first."""

    def __init__(self) -> None:
        super().__init__(id="dead-runs")
        self._runs: Sequence[RetryRun] = ()

    def show(self, runs: Sequence[RetryRun]) -> None:
        """Take what is to be shown; without any the panel takes no room."""
        self._runs = runs
        if self.display != bool(runs):
            self.display = bool(runs)
        if self.styles.height is None or self.styles.height.value != len(runs):
            self.styles.height = len(runs)
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [say.run_line(run, width) for run in self._runs]
