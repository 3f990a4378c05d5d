"""The services' table as a panel: sorted, with the columns that a person wants, selected by name."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from textual import events
from textual.message import Message

from event_monitor.model import ServiceView
from event_monitor.widgets.hints import Key, hint
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.service_table import ordered, services, visible
from event_monitor.widgets.text import Line

_ACTING = (("reset", "reset"), ("open", "open"), ("close", "close"), ("overview_sort", "sort"))


class ServicesPanel(Panel, can_focus=True):
    """What is protected. The selection stays on a name, whatever the order of the rows."""

    BORDER_TITLE = "Services"

    class Opened(Message):
        """A service was clicked a second time."""

        def __init__(self, service: str) -> None:
            super().__init__()
            self.service = service

    def __init__(self, key: Key, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key = key
        self._told = ""
        self._given: tuple[ServiceView, ...] = ()
        self._views: tuple[ServiceView, ...] = ()
        self._chosen: str | None = None
        self._unwatched = 0
        self._order = ""
        self._hidden: Collection[str] = ()

    def choose(self, order: str, hidden: Collection[str]) -> None:
        """Sort by one of ``ORDERS``, or stand as configured, and leave columns out."""
        if self.has_focus:
            self._pin()
        self._order, self._hidden = order, hidden
        self._views = ordered(self._given, order)
        title = f"{self.BORDER_TITLE} by {order}" if order else self.BORDER_TITLE
        if self.border_title != title:
            self.border_title = title
        self.redraw()

    def show(self, views: tuple[ServiceView, ...], unwatched: int = 0) -> None:
        """Take the services' newest state, and how many declared servers nobody watches."""
        self._given = views
        self._views = ordered(views, self._order)
        self._unwatched = unwatched
        self._hint()
        self.redraw()

    def _hint(self) -> None:
        """Which keys work on what is selected."""
        first = ("details", "details") if self.has_focus else ("next_panel", "selects")
        parts = (hint(self._key, first), hint(self._key, *_ACTING))
        told = "   ".join(filter(None, parts)) if self._views else ""
        if self._told != told:
            self._told = self.border_subtitle = told

    def _pin(self) -> None:
        """Hold on to what is selected by default, so that no new order puts another in its place."""
        chosen = self.selected
        self._chosen = chosen.name if chosen is not None else None

    @property
    def selected(self) -> ServiceView | None:
        """The selected service; the first one while none was chosen."""
        found = next((view for view in self._views if view.name == self._chosen), None)
        return found or (self._views[0] if self._views else None)

    def move(self, rows: int) -> None:
        """Select another service."""
        if not self._views:
            return
        names = [view.name for view in self._views]
        chosen = self.selected
        place = names.index(chosen.name) if chosen is not None else 0
        self._chosen = names[min(max(place + rows, 0), len(names) - 1)]
        self.redraw()

    def move_page(self, pages: int) -> None:
        """Move by the height of the panel."""
        self.move(pages * max(1, self.size.height - 2))

    def move_to_end(self, last: bool) -> None:
        """Select the last or the first service."""
        self.move(len(self._views) if last else -len(self._views))

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show the selection only while the keys go here."""
        super().watch_has_focus(has_focus)
        if has_focus:
            self._pin()
        self._hint()
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Select the service under the pointer; open it on the second click."""
        offset = event.get_content_offset(self)
        chosen = self.selected
        if offset is None or chosen is None:
            return
        heading, shown = visible(self._views, *self.size, chosen.name)
        if heading <= offset.y < heading + len(shown):
            clicked = shown[offset.y - heading].name
            again, self._chosen = clicked == self._chosen, clicked
            self.redraw()
            if again:
                self.post_message(self.Opened(clicked))

    def lines(self, width: int, height: int) -> Sequence[Line]:
        chosen = self.selected
        name = chosen.name if chosen is not None and self.has_focus else None
        return services(self._views, width, height, name, unwatched=self._unwatched, hidden=self._hidden)
