"""What the actions do that work on every tab."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.overrides import Override, Overrides, held
from event_monitor.dashboard.tabs import TABS
from event_monitor.messages import (
    AcknowledgeAlerts,
    GetEvent,
    GetService,
    GetState,
    QueryAlerts,
    QueryDiscovered,
    ReloadRules,
    RetryDeadLetters,
)
from event_monitor.model import Event, Severity
from event_monitor.replies.general import ServiceDetail
from event_monitor.widgets.content import foremost

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp


class Commands:
    """Carries out actions for one app."""

    def __init__(self, app: EventMonitorApp, link: BusLink) -> None:
        self._app = app
        self._link = link
        self.overrides = Overrides(app, link.send)
        self._table: dict[str, Callable[[], Any]] = {
            **{f"tab_{info.name}": self._opener(info.name) for info in TABS},
            "acknowledge": self._acknowledge,
            "acknowledge_all": lambda: link.send(AcknowledgeAlerts()),
            "alerts": self._alerts,
            "help": self._help,
            "palette": app.action_command_palette,
            "quit": app.exit,
            "maintenance": self.overrides.toggle_maintenance,
            "maintenance_on": lambda: self.overrides.maintenance(True),
            "maintenance_off": lambda: self.overrides.maintenance(False),
            "resume": self.overrides.resume,
            "state_history": self._state_history,
            "reload_rules": lambda: link.send(ReloadRules()),
            "retry_dead_letters": self._retry_dead_letters,
            "declared": self._declared,
            "screenshot": self._screenshot,
        }

    def run(self, action_id: str) -> None:
        """Carry out an action of the table."""
        self._table[action_id]()

    def _opener(self, tab: str) -> Callable[[], None]:
        return lambda: self._link.work(self._app.open_tab(tab))

    def _retry_dead_letters(self) -> None:
        snapshot = self._app.snapshot
        dead = snapshot.queue.dead if snapshot else 0
        if not dead:
            self._link.say("There are no dead letters")
            return
        self._link.confirm(
            f"Queue all {dead:,} dead letters again?",
            lambda: self._link.send(RetryDeadLetters(all=True)),
        )

    # --- services and state -----------------------------------------------------------------

    def open_service(self, name: str) -> None:
        """Show all that is known of a service or target, live."""

        async def show() -> None:
            from event_monitor.dashboard.service_dialog import ServiceDialog

            message = GetService(name=name)
            detail = await self._link.ask(message)
            if detail is not None:
                self._app.push_screen(
                    ServiceDialog(detail, fetch=lambda: self._link.request(message), act=self._act_on)
                )

        self._link.work(show())

    def _act_on(self, override: Override, detail: ServiceDetail) -> None:
        circuit = detail.circuit
        why = f"by {circuit.forced_by}: {circuit.forced_reason}".removesuffix(": ")
        self.overrides.on(detail.service, override, held(circuit.forced, why))

    def _state_history(self) -> None:
        async def show() -> None:
            from event_monitor.dashboard.dialogs import DocumentDialog
            from event_monitor.dashboard.state_lines import state_lines

            report = await self._link.ask(GetState(history=True))
            if report is None:
                return

            async def follow() -> None:
                nonlocal report
                report = await self._link.request(GetState(history=True))

            self._app.push_screen(
                DocumentDialog("State history", lambda width: state_lines(report, width), follow=follow)
            )

        self._link.work(show())

    # --- alerts -----------------------------------------------------------------------------

    def _acknowledge(self) -> None:
        from event_monitor.dashboard.alert_dialog import acknowledge

        snapshot = self._app.snapshot
        banner = foremost(snapshot) if snapshot is not None else None
        acknowledge(self._link, self._app.chosen_alert or banner)

    def _alerts(self) -> None:
        async def show() -> None:
            from event_monitor.dashboard.alert_dialog import MOST, AlertsDialog

            reply = await self._link.ask(QueryAlerts(limit=MOST))
            if reply is not None:
                self._app.push_screen(AlertsDialog(self._link, reply.alerts))

        self._link.work(show())

    # --- events -----------------------------------------------------------------------------

    def open_event(self, event_id: int) -> None:
        """Show all that is known of an event."""

        async def show() -> None:
            from event_monitor.dashboard.detail import detail_lines
            from event_monitor.dashboard.dialogs import DocumentDialog

            detail = await self._link.ask(GetEvent(event_id=event_id))
            if detail is None:
                return

            async def follow() -> None:
                nonlocal detail
                detail = await self._link.request(GetEvent(event_id=event_id))

            self._app.push_screen(
                DocumentDialog(
                    f"Event {event_id}",
                    lambda width: detail_lines(detail, width, self._link.mask),
                    hint="y copies   esc closes",
                    on_copy=lambda: self._copy(detail.event),
                    follow=follow,
                )
            )

        self._link.work(show())

    def _copy(self, event: Event) -> None:
        self._link.work(self._link.copy(msgspec.json.encode(event).decode(), f"Event {event.id}"))

    # --- the view ---------------------------------------------------------------------------

    def _help(self) -> None:
        from event_monitor.dashboard.help_dialog import help_dialog

        self._app.push_screen(help_dialog(self._app.keys_of, self._app.tabs.active.NAME))

    def _declared(self) -> None:
        async def show() -> None:
            from event_monitor.dashboard.declared import declared_lines
            from event_monitor.dashboard.dialogs import DocumentDialog

            found = await self._link.ask(QueryDiscovered())
            if found is not None:
                dialog = DocumentDialog(
                    "MCP servers your assistant declares", lambda width: declared_lines(found, width)
                )
                self._app.push_screen(dialog)

        self._link.work(show())

    def _screenshot(self) -> None:
        async def save() -> None:
            await asyncio.sleep(0)
            path = Path.cwd() / f"event-monitor-{self._app.now_text()}.svg"
            try:
                path.write_text(self._app.export_screenshot(), encoding="utf-8")
            except OSError as error:
                self._link.say(f"Not saved: {error}", Severity.WARNING)
            else:
                self._link.say(f"Saved {path}")

        self._link.work(save())
