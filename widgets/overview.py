"""The panels of the Overview. Each is given a snapshot and keeps what it shows of it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.message import Message

from event_monitor.model import QueueView, RateView, Snapshot, TypeRate
from event_monitor.widgets import content
from event_monitor.widgets.hints import Key, hint
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.state_path import last_transition, system
from event_monitor.widgets.text import Line, clip, time_of_day
from event_monitor.widgets.type_rates import type_rates


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
    """Events per second, of all together or of each type."""

    BORDER_TITLE = "Events per second"

    def __init__(self, key: Key, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key = key
        self._view = RateView()
        self._types: tuple[TypeRate, ...] = ()
        self.by_type = False

    def on_mount(self) -> None:
        """Name the key."""
        self._hint()

    def show(self, view: RateView, types: tuple[TypeRate, ...]) -> None:
        """Take the newest figures."""
        self._view, self._types = view, types
        self.redraw()

    def choose(self, by_type: bool) -> None:
        """Show the event types, or all events together."""
        self.by_type = by_type
        self.border_title = "Event types now" if by_type else self.BORDER_TITLE
        self._hint()
        self.redraw()

    def _hint(self) -> None:
        word = "all together" if self.by_type else "by type"
        self.border_subtitle = hint(self._key, ("overview_types", word))

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if self.by_type:
            return type_rates(self._types, width, height)
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


class SystemPanel(Panel):
    """The system state and how it came about."""

    BORDER_TITLE = "System"

    class Opened(Message):
        """The state was clicked."""

    def __init__(self, key: Key, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key = key
        self._snapshot: Snapshot | None = None

    def on_mount(self) -> None:
        """Name the key."""
        self.border_subtitle = hint(self._key, ("state_history", "history"))

    def show(self, snapshot: Snapshot) -> None:
        """Take a snapshot."""
        self._snapshot = snapshot
        title = f"{self.BORDER_TITLE} · {snapshot.state} since {time_of_day(snapshot.state_since)}"
        if self.border_title != title:
            self.border_title = title
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if self._snapshot is None:
            return []
        if height < 2:
            return last_transition(self._snapshot, width)
        return system(self._snapshot, width, height)

    def on_click(self) -> None:
        """Ask for the whole history."""
        self.post_message(self.Opened())
