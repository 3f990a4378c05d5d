"""What the actions of the table do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from event_monitor.dashboard.filtering import parse_filter
from event_monitor.dashboard.overrides import Override, Overrides, held
from event_monitor.errors import EventMonitorError
from event_monitor.messages import (
    AcknowledgeAlerts,
    GetEvent,
    GetService,
    GetState,
    Message,
    QueryDiscovered,
    ReloadRules,
    RetryDeadLetters,
)
from event_monitor.model import Severity
from event_monitor.replies import BreakerReport, ServiceDetail, StateReport
from event_monitor.widgets.feed import FeedPanel
from event_monitor.widgets.overview import ServicesPanel

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp

logger = logging.getLogger(__name__)


class Commands:
    """Carries out actions for one app. Whatever the bus answers is said; nothing ends the app."""

    def __init__(self, app: EventMonitorApp) -> None:
        self._app = app
        self.overrides = Overrides(app, self._send)
        self._table: dict[str, Callable[[], Any]] = {
            "filter": self._filter,
            "freeze": self._freeze,
            "details": self._details,
            "acknowledge": lambda: self._send(AcknowledgeAlerts()),
            "copy": self._copy_selected,
            "help": self._help,
            "palette": app.action_command_palette,
            "quit": app.exit,
            "down": lambda: self._focused().move(1),
            "up": lambda: self._focused().move(-1),
            "next_panel": self._next_panel,
            "maintenance": self.overrides.toggle_maintenance,
            "maintenance_on": lambda: self.overrides.maintenance(True),
            "maintenance_off": lambda: self.overrides.maintenance(False),
            "resume": self.overrides.resume,
            "state_history": self._state_history,
            "reset": lambda: self._override("reset"),
            "open": lambda: self._override("open"),
            "close": lambda: self._override("close"),
            "page_down": lambda: app.feed.move_page(1),
            "page_up": lambda: app.feed.move_page(-1),
            "newest": lambda: app.feed.move_to_end(last=False),
            "oldest": lambda: app.feed.move_to_end(last=True),
            "clear": self._clear,
            "reload_rules": lambda: self._send(ReloadRules()),
            "retry_dead_letters": self._retry_dead_letters,
            "declared": self._declared,
            "screenshot": self._screenshot,
        }

    def run(self, action_id: str) -> None:
        """Carry out an action of the table."""
        self._table[action_id]()

    # --- the bus ----------------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        async def send() -> None:
            reply = await self._ask(message)
            if reply is not None:
                self._app.say(_told(reply))
                self._app.refresh_soon()

        self._work(send())

    async def _ask(self, message: Message) -> Any:
        """The reply, or ``None`` after having said what was refused."""
        try:
            return await self._app.client.request(message)
        except EventMonitorError as error:
            self._app.say(str(error), Severity.WARNING)
        except Exception:
            logger.exception("%s failed", type(message).__name__)
            self._app.say("That failed: see logs/event-monitor.log", Severity.WARNING)
        return None

    def _work(self, work: Any) -> None:
        self._app.run_worker(work, exit_on_error=False)

    def _retry_dead_letters(self) -> None:
        snapshot = self._app.snapshot
        dead = snapshot.queue.dead if snapshot else 0
        if not dead:
            self._app.say("There are no dead letters")
            return
        self._confirm(
            f"Queue all {dead:,} dead letters again?", lambda: self._send(RetryDeadLetters(all=True))
        )

    def _override(self, override: Override) -> None:
        """Act on the service that is selected now; its name is in the question and in the answer."""
        chosen = self._app.services.selected
        if chosen is None:
            self._app.say("There is no breaker to act on: all stand closed")
        else:
            self.overrides.on(chosen.name, override, held(chosen.forced, chosen.note))

    def _confirm(self, question: str, then: Callable[[], None]) -> None:
        from event_monitor.dashboard.dialogs import ConfirmDialog

        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self._app.push_screen(ConfirmDialog(question), answered)

    # --- services and state -----------------------------------------------------------------

    def open_service(self, name: str) -> None:
        """Show all that is known of a service or target, live."""

        async def show() -> None:
            from event_monitor.dashboard.service_dialog import ServiceDialog

            message = GetService(name=name)
            detail = await self._ask(message)
            if detail is not None:
                self._app.push_screen(
                    ServiceDialog(detail, fetch=lambda: self._app.client.request(message), act=self._act_on)
                )

        self._work(show())

    def _act_on(self, override: Override, detail: ServiceDetail) -> None:
        circuit = detail.circuit
        why = f"by {circuit.forced_by}: {circuit.forced_reason}".removesuffix(": ")
        self.overrides.on(detail.service, override, held(circuit.forced, why))

    def _state_history(self) -> None:
        async def show() -> None:
            from event_monitor.dashboard.dialogs import DocumentDialog
            from event_monitor.dashboard.state_lines import state_lines

            report = await self._ask(GetState(history=True))
            if report is not None:
                self._app.push_screen(
                    DocumentDialog("State history", lambda width: state_lines(report, width))
                )

        self._work(show())

    # --- events -----------------------------------------------------------------------------

    def _details(self) -> None:
        service = self._app.services.selected if self._app.services.has_focus else None
        if service is not None:
            self.open_service(service.name)
            return
        item = self._app.feed.selected
        if item is None:
            self._app.feed.move(0)
            item = self._app.feed.selected
        if item is None:
            self._app.say("There is no event to look at yet")
        else:
            self.open_event(item.id)

    def open_event(self, event_id: int) -> None:
        """Show all that is known of an event."""

        async def show() -> None:
            from event_monitor.dashboard.detail import detail_lines
            from event_monitor.dashboard.dialogs import DocumentDialog

            detail = await self._ask(GetEvent(event_id=event_id))
            if detail is None:
                return
            self._app.push_screen(
                DocumentDialog(
                    f"Event {event_id}",
                    lambda width: detail_lines(detail, width, self._app.mask),
                    hint="y copies   esc closes",
                    on_copy=lambda: self._copy(detail.event),
                )
            )

        self._work(show())

    def _copy_selected(self) -> None:
        item = self._app.feed.selected
        if item is None:
            self._app.say("Select an event first: j and k move")
            return

        async def fetch() -> None:
            detail = await self._ask(GetEvent(event_id=item.id))
            if detail is not None:
                await self._copy_now(detail.event)

        self._work(fetch())

    def _copy(self, event: Any) -> None:
        self._work(self._copy_now(event))

    async def _copy_now(self, event: Any) -> None:
        from event_monitor.dashboard.clipboard import copy

        try:
            where = await copy(msgspec.json.encode(event).decode(), self._app.copy_to_clipboard)
        except (OSError, ValueError) as error:
            self._app.say(f"Not copied: {error}", Severity.WARNING)
        else:
            self._app.say(f"Event {event.id} {where}")

    def _focused(self) -> ServicesPanel | FeedPanel:
        return self._app.services if self._app.services.has_focus else self._app.feed

    def _next_panel(self) -> None:
        panel = self._app.feed if self._app.services.has_focus else self._app.services
        panel.focus()

    # --- the view ---------------------------------------------------------------------------

    def _freeze(self) -> None:
        feed = self._app.feed
        feed.freeze(not feed.frozen)

    def _filter(self) -> None:
        from event_monitor.dashboard.filter_input import FilterInput

        existing = self._app.screen_stack[0].query(FilterInput)
        if existing:
            existing.first().focus()
            return
        field = FilterInput(id="filter-field")
        self._app.screen_stack[0].mount(field, before="#footer")
        field.focus()

    def apply_filter(self, text: str) -> None:
        """Show only events that pass, as the person types."""
        self._app.feed.filter(text, parse_filter(text))

    def _clear(self) -> None:
        from event_monitor.dashboard.filter_input import FilterInput

        fields = self._app.screen_stack[0].query(FilterInput)
        if fields:
            fields.first().remove()
            self.apply_filter("")
            self._app.feed.focus()
        elif not self._app.feed.clear_selection() and self._app.feed.frozen:
            self._freeze()

    def _help(self) -> None:
        from event_monitor.dashboard.dialogs import help_dialog

        self._app.push_screen(help_dialog(self._app.keys_of))

    def _declared(self) -> None:
        async def show() -> None:
            from event_monitor.dashboard.declared import declared_lines
            from event_monitor.dashboard.dialogs import DocumentDialog

            found = await self._ask(QueryDiscovered())
            if found is not None:
                dialog = DocumentDialog(
                    "MCP servers your assistant declares", lambda width: declared_lines(found, width)
                )
                self._app.push_screen(dialog)

        self._work(show())

    def _screenshot(self) -> None:
        async def save() -> None:
            await asyncio.sleep(0)
            path = Path.cwd() / f"event-monitor-{self._app.now_text()}.svg"
            try:
                path.write_text(self._app.export_screenshot(), encoding="utf-8")
            except OSError as error:
                self._app.say(f"Not saved: {error}", Severity.WARNING)
            else:
                self._app.say(f"Saved {path}")

        self._work(save())


def _told(reply: Any) -> str:
    """A command's reply in a sentence."""
    if isinstance(reply, BreakerReport):
        held = f", held {reply.forced}" if reply.forced else ""
        return f"{reply.service}: breaker {reply.state}{held}"
    if isinstance(reply, StateReport):
        return f"{reply.state}: {reply.reason}"
    return str(reply.message)
