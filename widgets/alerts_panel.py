"""The alerts as a panel: those that wait to be seen first, selected by their number."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from event_monitor.model import Alert
from event_monitor.widgets.alert_list import alerts, first_row, in_order
from event_monitor.widgets.hints import Key, hint
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line


class AlertsPanel(Panel, can_focus=True):
    """Alerts, those that wait to be seen first. The selection stays on an alert while others come."""

    BORDER_TITLE = "Alerts"

    class Opened(Message):
        """An alert was clicked a second time."""

        def __init__(self, alert: Alert) -> None:
            super().__init__()
            self.alert = alert

    def __init__(self, key: Key, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key = key
        self._told = ""
        self._alerts: list[Alert] = []
        self._chosen: int | None = None

    def show(self, found: Sequence[Alert]) -> None:
        """Take the alerts, the newest first."""
        self._alerts = in_order(found)
        self._hint()
        self.redraw()

    def _hint(self) -> None:
        waiting = any(not alert.acknowledged for alert in self._alerts)
        keys = [("details", "look")] if self.has_focus and self._alerts else []
        keys += [("acknowledge", "acknowledge")] if waiting else []
        keys += [("overview_acknowledge_all", "all")] if waiting and not self.has_focus else []
        told = hint(self._key, *keys)
        if self._told != told:
            self._told = self.border_subtitle = told

    @property
    def selected(self) -> Alert | None:
        """The selected alert; the first one while none was chosen."""
        found = next((alert for alert in self._alerts if alert.id == self._chosen), None)
        return found or (self._alerts[0] if self._alerts else None)

    def move(self, rows: int) -> None:
        """Select another alert."""
        chosen = self.selected
        if chosen is None:
            return
        ids = [alert.id for alert in self._alerts]
        place = ids.index(chosen.id) + rows
        self._chosen = ids[min(max(place, 0), len(ids) - 1)]
        self.redraw()

    def move_page(self, pages: int) -> None:
        """Move by the height of the panel."""
        self.move(pages * max(1, self.size.height - 1))

    def move_to_end(self, last: bool) -> None:
        """Select the last or the first alert."""
        self.move(len(self._alerts) if last else -len(self._alerts))

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show the selection only while the keys go here."""
        super().watch_has_focus(has_focus)
        self._hint()
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Select the alert under the pointer; open it on the second click."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        top = first_row(self._alerts, self.size.height, self._marked)
        place = top + offset.y
        if 0 <= place < len(self._alerts):
            clicked = self._alerts[place]
            again, self._chosen = clicked.id == self._chosen, clicked.id
            self.redraw()
            if again:
                self.post_message(self.Opened(clicked))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll towards older alerts."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll towards newer alerts."""
        event.stop()
        self.move(-3)

    @property
    def _marked(self) -> int | None:
        chosen = self.selected
        return chosen.id if chosen is not None and self.has_focus else None

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return alerts(self._alerts, width, height, self._marked)
