"""The Overview as a tab: gives each picture to its panels, and carries out its keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from event_monitor.dashboard.action import bindings_of
from event_monitor.dashboard.filtering import parse_filter
from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.overrides import Override, Overrides, held
from event_monitor.dashboard.overview.actions import ACTIONS
from event_monitor.dashboard.tab import Tab
from event_monitor.messages import GetEvent
from event_monitor.model import Snapshot
from event_monitor.widgets.feed import FeedPanel
from event_monitor.widgets.overview import AlertsPanel, QueuePanel, RatePanel, ServicesPanel, SystemPanel


class OverviewTab(Tab):
    """What happens now."""

    NAME = "overview"
    BINDINGS: ClassVar[list[Any]] = bindings_of(ACTIONS)

    def __init__(self, link: BusLink, overrides: Overrides) -> None:
        super().__init__(link)
        self._overrides = overrides
        self.feed = FeedPanel(id="feed")
        self.services = ServicesPanel(id="services")
        self._table: dict[str, Callable[[], Any]] = {
            "filter": self._filter,
            "freeze": lambda: self.feed.freeze(not self.feed.frozen),
            "details": self._details,
            "copy": self._copy,
            "down": lambda: self._focused().move(1),
            "up": lambda: self._focused().move(-1),
            "next_panel": self._next_panel,
            "reset": lambda: self._override("reset"),
            "open": lambda: self._override("open"),
            "close": lambda: self._override("close"),
            "page_down": lambda: self.feed.move_page(1),
            "page_up": lambda: self.feed.move_page(-1),
            "newest": lambda: self.feed.move_to_end(last=False),
            "oldest": lambda: self.feed.move_to_end(last=True),
            "clear": self._clear,
        }

    def compose(self) -> ComposeResult:
        with Horizontal(id="figures"):
            yield RatePanel(id="rate")
            yield QueuePanel(id="queue")
        with Horizontal(id="middle"):
            yield self.services
            with Vertical(id="side"):
                yield SystemPanel(id="system")
                yield AlertsPanel(id="alerts")
        yield self.feed

    def show(self, snapshot: Snapshot) -> None:
        self.query_one(RatePanel).show(snapshot.rate)
        self.query_one(QueuePanel).show(snapshot.queue)
        self.services.show(snapshot.services, snapshot.unwatched)
        self.query_one("#middle").set_class(bool(snapshot.services), "has-services")
        self.query_one(SystemPanel).show(snapshot)
        self.query_one(AlertsPanel).show(snapshot)

    def focus_main(self) -> None:
        self.feed.focus()

    def run(self, action_id: str) -> None:
        self._table[action_id]()

    def describe(self, action_id: str) -> str:
        if action_id == "freeze":
            return f"frozen, {self.feed.waiting} waiting" if self.feed.frozen else "running"
        return ""

    def _override(self, override: Override) -> None:
        """Act on the service that is selected now; its name is in the question and in the answer."""
        chosen = self.services.selected
        if chosen is None:
            self.link.say("There is no breaker to act on: all stand closed")
        else:
            self._overrides.on(chosen.name, override, held(chosen.forced, chosen.note))

    # --- the feed ---------------------------------------------------------------------------

    def _details(self) -> None:
        service = self.services.selected if self.services.has_focus else None
        if service is not None:
            self.link.open_service(service.name)
            return
        item = self.feed.selected
        if item is None:
            self.feed.move(0)
            item = self.feed.selected
        if item is None:
            self.link.say("There is no event to look at yet")
        else:
            self.link.open_event(item.id)

    def _copy(self) -> None:
        item = self.feed.selected
        if item is None:
            self.link.say("Select an event first: j and k move")
            return

        async def fetch() -> None:
            detail = await self.link.ask(GetEvent(event_id=item.id))
            if detail is not None:
                text = msgspec.json.encode(detail.event).decode()
                await self.link.copy(text, f"Event {detail.event.id}")

        self.link.work(fetch())

    def _focused(self) -> ServicesPanel | FeedPanel:
        return self.services if self.services.has_focus else self.feed

    def _next_panel(self) -> None:
        (self.feed if self.services.has_focus else self.services).focus()

    def _filter(self) -> None:
        from event_monitor.dashboard.overview.filter_input import FilterInput

        existing = self.query(FilterInput)
        if existing:
            existing.first().focus()
            return
        field = FilterInput(id="filter-field")
        self.mount(field)
        field.focus()

    def apply_filter(self, text: str) -> None:
        """Show only events that pass, as the person types."""
        self.feed.filter(text, parse_filter(text))

    def _clear(self) -> None:
        from event_monitor.dashboard.overview.filter_input import FilterInput

        fields = self.query(FilterInput)
        if fields:
            fields.first().remove()
            self.apply_filter("")
            self.feed.focus()
        elif not self.feed.clear_selection() and self.feed.frozen:
            self.feed.freeze(False)

    def on_filter_input_typed(self, message: Any) -> None:
        """The filter changed."""
        self.apply_filter(message.text)

    def on_filter_input_left(self, message: Any) -> None:
        """Back to the feed; an empty filter goes away."""
        if not message.text:
            self._clear()
        self.feed.focus()

    def on_filter_input_cleared(self) -> None:
        """The filter is given up."""
        self._clear()

    # --- mouse ------------------------------------------------------------------------------

    def on_feed_panel_opened(self, message: FeedPanel.Opened) -> None:
        """The feed was clicked."""
        self.link.open_event(message.event_id)

    def on_services_panel_opened(self, message: ServicesPanel.Opened) -> None:
        """A service was clicked."""
        self.link.open_service(message.service)

    def on_system_panel_opened(self) -> None:
        """The state was clicked."""
        self.link.act("state_history")
