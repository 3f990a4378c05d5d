"""What a screen needs of the app: a way to the bus, to the person, and to what is remembered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any

from event_monitor.config import DashboardSettings
from event_monitor.control.client import Client
from event_monitor.dashboard.actions import BY_ID, key_of
from event_monitor.dashboard.memory import Memory
from event_monitor.errors import EventMonitorError
from event_monitor.messages import Message
from event_monitor.model import Alert, Severity, Snapshot
from event_monitor.replies.general import BreakerReport, StateReport

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp

logger = logging.getLogger(__name__)


class BusLink:
    """One for the whole app. Whatever the bus answers is said; nothing ends the app."""

    def __init__(self, app: EventMonitorApp, memory: Memory) -> None:
        self._app = app
        self.memory = memory

    # --- the bus ----------------------------------------------------------------------------

    async def request(self, message: Message) -> Any:
        """The bus's reply. Raises ``EventMonitorError``."""
        return await self._app.client.request(message)

    def apart(self, timeout: float) -> Client:
        """A client of its own for what takes long, so that no picture waits behind it. Close it."""
        return self._app.client.apart(timeout)

    async def ask(self, message: Message) -> Any:
        """The reply, or ``None`` after having said what was refused."""
        try:
            return await self.request(message)
        except EventMonitorError as error:
            self.say(str(error), Severity.WARNING)
        except Exception:
            logger.exception("%s failed", type(message).__name__)
            self.say("That failed: see logs/event-monitor.log", Severity.WARNING)
        return None

    def send(self, message: Message) -> None:
        """Send a command, say what came of it, and show the new picture at once."""

        async def send() -> None:
            reply = await self.ask(message)
            if reply is not None:
                self.say(_told(reply))
                self._app.refresh_soon()

        self.work(send())

    def work(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something beside the keys. What it raises is logged and said, and ends nothing else."""

        async def watched() -> None:
            try:
                await work
            except Exception:
                logger.exception("an action failed")
                self.say("That failed: see logs/event-monitor.log", Severity.WARNING)

        self._app.run_worker(watched(), exit_on_error=False)

    # --- the person -------------------------------------------------------------------------

    def say(self, text: str, severity: Severity = Severity.INFO) -> None:
        """A short message in the corner. It may hold anything: it is data."""
        self._app.say(text, severity)

    def confirm(self, question: str, then: Callable[[], None]) -> None:
        """Ask; ``then`` is done only after a yes."""
        from event_monitor.dashboard.dialogs import ConfirmDialog

        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self._app.push_screen(ConfirmDialog(question), answered)

    async def copy(self, text: str, told: str) -> None:
        """Copy ``text``; ``told`` names it when saying where it went."""
        from event_monitor.dashboard.clipboard import copy

        try:
            where = await copy(text, self._app.copy_to_clipboard)
        except (OSError, ValueError) as error:
            self.say(f"Not copied: {error}", Severity.WARNING)
        else:
            self.say(f"{told} {where}")

    @property
    def person(self) -> str:
        """Who decides here, for the record."""
        return self._app.person

    @property
    def read_only(self) -> bool:
        """Whether this view may change nothing."""
        return self._app.read_only

    @property
    def spool(self) -> str | None:
        """Where an event waits for this bus while it does not run; ``None`` if that cannot be reached from
        here."""
        return self._app.spool

    # --- what holds -------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The picture on the screen, once there is one."""
        return self._app.snapshot

    @property
    def settings(self) -> DashboardSettings:
        """The dashboard's settings."""
        return self._app.settings

    def key(self, action_id: str) -> str:
        """The key of an action of the table as people read it, remapped or not; empty if it has none."""
        return key_of(action_id, self._app.keys_of)

    @property
    def mask(self) -> tuple[str, ...]:
        """Parts of the names of keys whose values are never shown."""
        return self._app.mask

    def keys_of(self, action_id: str) -> tuple[str, ...]:
        """The keys that an action has here, those of the settings before its own."""
        return tuple(key for key in self._app.keys_of.get(action_id, BY_ID[action_id].keys).split(",") if key)

    def now(self) -> datetime:
        """The time of day here."""
        return self._app.now()

    def act(self, action_id: str) -> None:
        """Carry out an action of the table, on whichever tab it works."""
        self._app.action_act(action_id)

    def refresh_soon(self) -> None:
        """Have the next picture taken at once: something was changed from here."""
        self._app.refresh_soon()

    def open_alert(self, alert: Alert) -> None:
        """Show one alert with what to do about it."""
        from event_monitor.dashboard.alert_dialog import AlertDialog

        self._app.push_screen(AlertDialog(self, alert))

    def open_event(self, event_id: int) -> None:
        """Show all about an event."""
        self._app.commands.open_event(event_id)

    def open_replay(self, since: str, until: str, event_type: str = "") -> None:
        """Show what a replay of a span (ISO 8601) and a type pattern would do."""
        self.work(self._app.open_replay(since, until, event_type))

    def open_service(self, name: str) -> None:
        """Show all about a service or target."""
        self._app.commands.open_service(name)


def _told(reply: Any) -> str:
    """A command's reply in a sentence."""
    if isinstance(reply, BreakerReport):
        held = f", held {reply.forced}" if reply.forced else ""
        return f"{reply.service}: breaker {reply.state}{held}"
    if isinstance(reply, StateReport):
        return f"{reply.state}: {reply.reason}"
    return str(reply.message)
