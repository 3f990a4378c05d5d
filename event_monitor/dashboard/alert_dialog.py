"""Alerts at length: the list of all, and one with what to do about it. Loaded when first opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen

from event_monitor.dashboard.alert_lines import Leads, alert_lines, leads
from event_monitor.dashboard.dialogs import SCROLLING, old_line, take_layout
from event_monitor.errors import EventMonitorError
from event_monitor.messages import AcknowledgeAlerts, QueryAlerts
from event_monitor.model import Alert, Severity
from event_monitor.widgets.alerts_panel import AlertsPanel
from event_monitor.widgets.document import Document
from event_monitor.widgets.text import Line, count

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp
    from event_monitor.dashboard.link import BusLink

MOST = 200
# The keys of the list of all alerts are its own.
_KEYS = {"details": "enter", "acknowledge": "a", "overview_acknowledge_all": "A"}


def acknowledge(link: BusLink, alert: Alert | None, then: Callable[[], None] = lambda: None) -> None:
    """Mark one alert as seen and say which."""
    if link.read_only:
        link.say("Acknowledge: this view is read-only", Severity.WARNING)
        return
    if alert is None or alert.acknowledged:
        link.say("There is no alert to acknowledge")
        return

    async def send() -> None:
        if await link.ask(AcknowledgeAlerts(alert_id=alert.id)) is not None:
            link.say(f"Acknowledged: {alert.title}")
            link.refresh_soon()
            then()

    link.work(send())


class AlertDialog(ModalScreen[None]):
    """One alert, followed live. What is done from here closes it."""

    app: EventMonitorApp

    BINDINGS = [
        *SCROLLING,
        Binding("escape,q,enter", "dismiss_none", "Close", show=False),
        Binding("a", "acknowledge", show=False),
        Binding("s", "subject", show=False),
        Binding("e", "event", show=False),
        Binding("d", "dead_letters", show=False),
    ]

    def __init__(self, link: BusLink, alert: Alert) -> None:
        super().__init__()
        self._link = link
        self._alert = alert
        self._lost = ""
        snapshot = link.snapshot
        services = {view.name for view in snapshot.services} if snapshot is not None else set()
        self._leads: Leads = leads(alert, services)

    def compose(self) -> ComposeResult:
        document = Document(self._lines, id="document")
        document.add_class("dialog")
        document.border_title = f"Alert {self._alert.id}"
        document.border_subtitle = "esc closes"
        yield document

    def on_mount(self) -> None:
        """Take the layout of the screen beneath, and follow the app's pictures."""
        take_layout(self)
        self.app.followers.append(self.follow)

    def on_unmount(self) -> None:
        """Follow no more."""
        self.app.followers.remove(self.follow)

    async def follow(self) -> None:
        """Ask again: it may have come once more, or somebody else has seen to it."""
        try:
            found: Sequence[Alert] = (await self._link.request(QueryAlerts(limit=MOST))).alerts
            self._alert = next((one for one in found if one.id == self._alert.id), self._alert)
            self._lost = ""
        except EventMonitorError as error:
            self._lost = str(error)
        if self.is_attached:
            self.query_one(Document).update(self._lines)

    def _lines(self, width: int) -> Sequence[Line]:
        lines = alert_lines(self._alert, self._leads, width)
        return [old_line(self._lost, width), *lines] if self._lost else lines

    def action_dismiss_none(self) -> None:
        """Close."""
        self.dismiss(None)

    def action_scroll(self, direction: str) -> None:
        """Scroll a line."""
        self.query_one(Document).scroll_relative(y=1 if direction == "down" else -1, animate=False)

    def action_acknowledge(self) -> None:
        """Mark it as seen."""
        acknowledge(self._link, self._alert, lambda: self._leave(lambda: None))

    def action_subject(self) -> None:
        """Go to the service or target that it is about."""
        name = self._leads.subject
        if name is not None:
            self._leave(lambda: self._link.open_service(name))

    def action_event(self) -> None:
        """Go to the event that raised it."""
        event_id = self._leads.event_id
        if event_id is not None:
            self._leave(lambda: self._link.open_event(event_id))

    def action_dead_letters(self) -> None:
        """Go to the dead letters."""
        if self._leads.dead_letters:
            for _ in self.app.screen_stack[1:]:
                self.app.pop_screen()
            self._link.act("tab_dead_letters")

    def _leave(self, then: Callable[[], None]) -> None:
        if self.is_current:
            self.dismiss(None)
        then()


class AlertsDialog(ModalScreen[None]):
    """The newest ``MOST`` alerts, followed live. The keys act on the selected one."""

    app: EventMonitorApp

    BINDINGS = [
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home,g", "end(False)", show=False),
        Binding("end,G", "end(True)", show=False),
        Binding("enter", "look", show=False),
        Binding("a", "acknowledge", show=False),
        Binding("A", "acknowledge_all", show=False),
        Binding("escape,q,exclamation_mark", "dismiss_none", "Close", show=False),
    ]

    def __init__(self, link: BusLink, found: Sequence[Alert]) -> None:
        super().__init__()
        self._link = link
        self.panel = AlertsPanel(_KEYS.__getitem__, id="alert-list")
        self.panel.add_class("dialog")
        self._found = found

    def compose(self) -> ComposeResult:
        yield self.panel

    def on_mount(self) -> None:
        """Take the layout of the screen beneath, and follow the app's pictures."""
        take_layout(self)
        self.panel.focus()
        self._show(self._found)
        self.app.followers.append(self.follow)

    def on_unmount(self) -> None:
        """Follow no more."""
        self.app.followers.remove(self.follow)

    async def follow(self) -> None:
        """Ask again; without an answer the list stays, and the screen beneath says why."""
        try:
            self._show((await self._link.request(QueryAlerts(limit=MOST))).alerts)
        except EventMonitorError:
            self.panel.border_title = "Alerts ✖ this is old: no connection"

    def _show(self, found: Sequence[Alert]) -> None:
        waiting = sum(not alert.acknowledged for alert in found)
        self.panel.border_title = f"Alerts · {count(waiting)} of {count(len(found))} wait to be seen"
        self.panel.show(found)

    def action_move(self, rows: int) -> None:
        """Select another one."""
        self.panel.move(rows)

    def action_page(self, pages: int) -> None:
        """Select one a page away."""
        self.panel.move_page(pages)

    def action_end(self, last: bool) -> None:
        """Select the first or the last one."""
        self.panel.move_to_end(last)

    def action_look(self) -> None:
        """Show the selected one with what to do."""
        chosen = self.panel.selected
        if chosen is not None:
            self.app.push_screen(AlertDialog(self._link, chosen))

    def on_alerts_panel_opened(self, message: AlertsPanel.Opened) -> None:
        """An alert was clicked."""
        self.app.push_screen(AlertDialog(self._link, message.alert))

    def action_acknowledge(self) -> None:
        """Mark the selected one as seen."""
        acknowledge(self._link, self.panel.selected)

    def action_acknowledge_all(self) -> None:
        """Mark all as seen."""
        self._link.act("acknowledge_all")

    def action_dismiss_none(self) -> None:
        """Close."""
        self.dismiss(None)
