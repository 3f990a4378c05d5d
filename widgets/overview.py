"""The panels of the Overview. Each is given a snapshot and keeps what it shows of it."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from event_monitor.model import QueueView, RateView, ServiceView, Snapshot
from event_monitor.widgets import content
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, Span, clip


class BannerPanel(Panel):
    """One loud line while something is wrong; gone while all is well."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._line: Line | None = None

    def show(self, banner: Line | None) -> None:
        """Show a line, or hide."""
        self._line = banner
        if self.display != (banner is not None):
            self.display = banner is not None
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [clip(self._line, width)] if self._line is not None else []


class RatePanel(Panel):
    """Events per second."""

    BORDER_TITLE = "Events per second"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._view = RateView()

    def show(self, view: RateView) -> None:
        """Take the newest figures."""
        self._view = view
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return content.rate(self._view, width, height)


class QueuePanel(Panel):
    """Queue depth."""

    BORDER_TITLE = "Queue depth"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._view = QueueView()

    def show(self, view: QueueView) -> None:
        """Take the newest figures."""
        self._view = view
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return content.queue(self._view, width, height)


class ServicesPanel(Panel, can_focus=True):
    """What is protected. The selection stays on a name, whatever the order of the rows."""

    BORDER_TITLE = "Services"

    class Opened(Message):
        """A service was clicked a second time."""

        def __init__(self, service: str) -> None:
            super().__init__()
            self.service = service

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._views: tuple[ServiceView, ...] = ()
        self._name: str | None = None
        self._unwatched = 0

    def show(self, views: tuple[ServiceView, ...], unwatched: int = 0) -> None:
        """Take the services' newest state, and how many declared servers nobody watches."""
        self._views = views
        self._unwatched = unwatched
        self._hint()
        self.redraw()

    def _hint(self) -> None:
        """Which keys work on what is selected."""
        first = "enter details" if self.has_focus else "tab selects"
        hint = f"{first}   r reset  o open  c close" if self._views else ""
        if self.border_subtitle != hint:
            self.border_subtitle = hint

    @property
    def selected(self) -> ServiceView | None:
        """The selected service; the first one while none was chosen."""
        found = next((view for view in self._views if view.name == self._name), None)
        return found or (self._views[0] if self._views else None)

    def move(self, rows: int) -> None:
        """Select another service."""
        if not self._views:
            return
        names = [view.name for view in self._views]
        chosen = self.selected
        place = names.index(chosen.name) if chosen is not None else 0
        self._name = names[min(max(place + rows, 0), len(names) - 1)]
        self.redraw()

    def on_focus(self) -> None:
        """Show the selection."""
        self._hint()
        self.redraw()

    def on_blur(self) -> None:
        """Show no selection: the keys go elsewhere."""
        self._hint()
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Select the service under the pointer; open it on the second click."""
        offset = event.get_content_offset(self)
        chosen = self.selected
        if offset is None or chosen is None:
            return
        heading, shown = content.visible_services(self._views, *self.size, chosen.name)
        if heading <= offset.y < heading + len(shown):
            clicked = shown[offset.y - heading].name
            again, self._name = clicked == self._name, clicked
            self.redraw()
            if again:
                self.post_message(self.Opened(clicked))

    def lines(self, width: int, height: int) -> Sequence[Line]:
        chosen = self.selected
        name = chosen.name if chosen is not None and self.has_focus else None
        return content.services(self._views, width, height, name, unwatched=self._unwatched)


class SystemPanel(Panel):
    """The system state and how it came about."""

    BORDER_TITLE = "System"
    BORDER_SUBTITLE = "s history"

    class Opened(Message):
        """The state was clicked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Take a snapshot."""
        self._snapshot = snapshot
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if self._snapshot is None:
            return []
        if height < 2:
            return content.last_transition(self._snapshot, width)
        return content.system(self._snapshot, width, height)

    def on_click(self) -> None:
        """Ask for the whole history."""
        self.post_message(self.Opened())


class AlertsPanel(Panel):
    """Alerts, those that wait to be seen first."""

    BORDER_TITLE = "Alerts"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Take a snapshot."""
        self._snapshot = snapshot
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return content.alerts(self._snapshot.alerts if self._snapshot else (), width, height)


class FooterPanel(Panel):
    """The keys that work here. A click on one is its action."""

    class Chosen(Message):
        """A key's label was clicked."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._entries: tuple[tuple[str, str, str, bool], ...] = ()
        self._places: list[tuple[int, int, str]] = []

    def show(self, entries: tuple[tuple[str, str, str, bool], ...]) -> None:
        """Take (action, key, label, available) for each entry, the most important first."""
        self._entries = entries
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        spans: list[Span] = [Span(" ")]
        self._places = []
        at = 1
        for action, key, label, available in self._entries:
            text = f"{key} {label}"
            if at + len(text) + 1 > width:
                break
            spans += [
                Span(key, "key" if available else "dim"),
                Span(f" {label}", "" if available else "dim"),
                Span("  "),
            ]
            self._places.append((at, at + len(text), action))
            at += len(text) + 2
        return [clip(Line(tuple(spans)), width)]

    def on_click(self, event: events.Click) -> None:
        """Turn a click into the action under it."""
        for start, end, action in self._places:
            if start <= event.x < end:
                self.post_message(self.Chosen(action))
