"""The Overview as a tab: gives each picture to its panels, and carries out its keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from event_monitor.dashboard.action import bindings_of
from event_monitor.dashboard.filtering import parse_filter
from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.overrides import Override, Overrides, held
from event_monitor.dashboard.overview.actions import ACTIONS
from event_monitor.dashboard.overview.layout import PANELS, known, only, toggled
from event_monitor.dashboard.tab import Tab
from event_monitor.messages import GetEvent
from event_monitor.model import Alert, Snapshot
from event_monitor.widgets.alerts_panel import AlertsPanel
from event_monitor.widgets.feed import FeedPanel
from event_monitor.widgets.overview import QueuePanel, RatePanel, SystemPanel
from event_monitor.widgets.service_table import COLUMN_KEYS, ORDERS
from event_monitor.widgets.services_panel import ServicesPanel
from event_monitor.widgets.text import plain

_ORDER, _COLUMNS, _PANELS = "overview.sort", "overview.columns", "overview.panels"


class OverviewTab(Tab):
    """What happens now."""

    NAME = "overview"
    BINDINGS: ClassVar[list[Any]] = bindings_of(ACTIONS)

    def __init__(self, link: BusLink, overrides: Overrides) -> None:
        super().__init__(link)
        self._overrides = overrides
        self.feed = FeedPanel(id="feed")
        self.services = ServicesPanel(link.key, id="services")
        self.alerts = AlertsPanel(link.key, id="alerts")
        self.rate = RatePanel(link.key, id="rate")
        memory = link.memory
        self._order: str = memory.get(_ORDER, "")
        self._columns = frozenset(map(str, memory.get(_COLUMNS, []))) & set(COLUMN_KEYS)
        self._hidden = known(memory.get(_PANELS, []))
        self._table: dict[str, Callable[[], Any]] = {
            "filter": self._filter,
            "freeze": lambda: self.feed.freeze(not self.feed.frozen),
            "details": self._details,
            "copy": self._copy,
            "down": lambda: self._focused().move(1),
            "up": lambda: self._focused().move(-1),
            "next_panel": lambda: self._focus_next(1),
            "previous_panel": lambda: self._focus_next(-1),
            "reset": lambda: self._override("reset"),
            "open": lambda: self._override("open"),
            "close": lambda: self._override("close"),
            "page_down": lambda: self._focused().move_page(1),
            "page_up": lambda: self._focused().move_page(-1),
            "newest": lambda: self._focused().move_to_end(last=False),
            "oldest": lambda: self._focused().move_to_end(last=True),
            "clear": self._clear,
            "overview_acknowledge_all": lambda: link.act("acknowledge_all"),
            "overview_types": lambda: self._show_types(not self.rate.by_type),
            "overview_sort": self._next_order,
            "overview_zoom": self._zoom,
            "overview_all": lambda: self._lay_out(frozenset()),
        }
        for by in ORDERS:
            self._table[f"overview_sort_{by}"] = partial(self._sort, by)
        for key in COLUMN_KEYS:
            self._table[f"overview_column_{key}"] = partial(self._toggle_column, key)
        for name in PANELS:
            self._table[f"overview_only_{name}"] = partial(self._only, name)
            self._table[f"overview_panel_{name}"] = partial(self._toggle_panel, name)

    def compose(self) -> ComposeResult:
        with Horizontal(id="figures"):
            yield self.rate
            yield QueuePanel(id="queue")
        with Horizontal(id="middle"):
            yield self.services
            with Vertical(id="side"):
                yield SystemPanel(self.link.key, id="system")
                yield self.alerts
        yield self.feed

    def on_mount(self) -> None:
        """Lay out as it was left the last time."""
        self.services.choose(self._order, self._columns)
        self._apply_layout()

    def show(self, snapshot: Snapshot) -> None:
        self.rate.show(snapshot.rate, snapshot.types)
        self.query_one(QueuePanel).show(snapshot.queue)
        self.services.show(snapshot.services, snapshot.unwatched)
        self.query_one("#middle").set_class(bool(snapshot.services), "has-services")
        self.query_one(SystemPanel).show(snapshot)
        self.alerts.show(snapshot.alerts)

    def focus_main(self) -> None:
        panels = (self.feed, self.services, self.alerts)
        next((panel for panel in panels if _on_screen(panel)), self).focus()

    def run(self, action_id: str) -> None:
        self._table[action_id]()

    def describe(self, action_id: str) -> str:
        if action_id == "freeze":
            return f"frozen, {self.feed.waiting} waiting" if self.feed.frozen else "running"
        if action_id in ("reset", "open", "close"):
            chosen = self.services.selected
            return f"{plain(chosen.name)}: breaker {chosen.breaker}" if chosen is not None else ""
        if action_id == "overview_types":
            return "by type now" if self.rate.by_type else "all together now"
        _, _, kind = action_id.partition("overview_")
        kind, _, name = kind.partition("_")
        if kind == "sort":
            now = f"now by {self._order}" if self._order else "now as configured"
            return now if not name or name == self._order else ""
        if kind == "column":
            return "hidden" if name in self._columns else "shown where there is room"
        if kind == "panel":
            return "hidden" if name in self._hidden else "shown"
        if kind == "all":
            return f"{len(self._hidden)} hidden"
        return ""

    @property
    def chosen_alert(self) -> Alert | None:
        """The alert that is selected, while the focus is on the alerts."""
        return self.alerts.selected if self.alerts.has_focus else None

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
        if self.alerts.has_focus:
            if self.alerts.selected is not None:
                self.link.open_alert(self.alerts.selected)
            else:
                self.link.say("There is no alert: nothing to report")
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

    def _focused(self) -> ServicesPanel | AlertsPanel | FeedPanel:
        panels = (self.services, self.alerts)
        return next((panel for panel in panels if panel.has_focus), self.feed)

    def _focus_next(self, way: int) -> None:
        """On to the next of the panels that are on the screen."""
        panels = [panel for panel in (self.services, self.alerts, self.feed) if _on_screen(panel)]
        if panels:
            focused = self._focused()
            place = panels.index(focused) if focused in panels else -1
            panels[(place + way) % len(panels)].focus()

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

    # --- services ---------------------------------------------------------------------------

    def _next_order(self) -> None:
        orders = ["", *ORDERS]
        place = orders.index(self._order) if self._order in orders else 0
        self._sort(orders[(place + 1) % len(orders)])

    def _sort(self, by: str) -> None:
        """Sort by it; by what they are sorted already, stand as configured again."""
        self._order = "" if by == self._order else by
        self.link.memory.set(_ORDER, self._order)
        self.services.choose(self._order, self._columns)

    def _toggle_column(self, key: str) -> None:
        self._columns ^= {key}
        self.link.memory.set(_COLUMNS, sorted(self._columns))
        self.services.choose(self._order, self._columns)

    # --- layout -----------------------------------------------------------------------------

    def _show_types(self, by_type: bool) -> None:
        if by_type and "figures" in self._hidden:
            self._lay_out(self._hidden - {"figures"})
        self.rate.choose(by_type)
        self.set_class(by_type, "-types")

    def _zoom(self) -> None:
        """One panel alone, or all again."""
        if self._hidden:
            self._lay_out(frozenset())
            return
        panel = self._focused()
        self._only("side" if panel is self.alerts else panel.id or "feed")

    def _only(self, panel: str) -> None:
        self._lay_out(only(panel))

    def _toggle_panel(self, panel: str) -> None:
        wanted = toggled(self._hidden, panel)
        if wanted == self._hidden:
            self.link.say("It is the only panel that is shown")
        self._lay_out(wanted)

    def _lay_out(self, hidden: frozenset[str]) -> None:
        self._hidden = hidden
        self.link.memory.set(_PANELS, sorted(hidden))
        self._apply_layout()
        if not _on_screen(self._focused()):
            self.focus_main()

    def _apply_layout(self) -> None:
        for name in PANELS:
            self.query_one(f"#{name}").set_class(name in self._hidden, "-hidden")
            self.set_class(name in self._hidden, f"-no-{name}")
        self.query_one("#middle").set_class({"services", "side"} <= self._hidden, "-hidden")

    # --- mouse ------------------------------------------------------------------------------

    def on_feed_panel_opened(self, message: FeedPanel.Opened) -> None:
        """The feed was clicked."""
        self.link.open_event(message.event_id)

    def on_alerts_panel_opened(self, message: AlertsPanel.Opened) -> None:
        """An alert was clicked."""
        self.link.open_alert(message.alert)

    def on_services_panel_opened(self, message: ServicesPanel.Opened) -> None:
        """A service was clicked."""
        self.link.open_service(message.service)

    def on_system_panel_opened(self) -> None:
        """The state was clicked."""
        self.link.act("state_history")


def _on_screen(panel: Widget) -> bool:
    """Whether the layout leaves it a place."""
    return all(widget.display for widget in (panel, *panel.ancestors) if isinstance(widget, Widget))
