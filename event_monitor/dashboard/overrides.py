"""What a person decides about breakers, services and the whole: asked about, with a reason, and sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from event_monitor.messages import Message, RestartService, Resume, SetBreaker, SetMaintenance
from event_monitor.model import Severity, SystemState

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp

Setting = Literal["reset", "open", "close", "half_open"]
Override = Literal[Setting, "restart"]
LABELS: dict[Override, str] = {
    "reset": "Reset",
    "open": "Open",
    "close": "Close",
    "half_open": "Half-open",
    "restart": "Restart",
}
TARGET = "target:"


class Overrides:
    """Asks before it holds, stops or lets go what somebody holds; the answer's reason is sent along with
    who. ``send`` carries a message to the bus and says what came of it."""

    def __init__(self, app: EventMonitorApp, send: Callable[[Message], None]) -> None:
        self._app = app
        self._send = send

    def on(self, name: str, override: Override, held: str = "") -> None:
        """Override what goes on with a service or target. ``held`` says who holds its breaker and why."""
        if self._refused(name):
            return
        if override == "restart":
            self._restart(name)
        elif override == "open":
            self._ask(
                f"Open the breaker of {name}?",
                "Nothing goes to it until it is reset.",
                "open",
                lambda reason: self._breaker(name, "open", reason),
            )
        elif override == "close":
            self._ask(
                f"Hold the breaker of {name} closed?",
                "Everything goes to it, however often it fails, until it is reset.",
                "close",
                lambda reason: self._breaker(name, "close", reason),
            )
        elif override == "reset" and held:
            self._ask(
                f"Reset the breaker of {name}?",
                f"It is {held}. It works by itself again.",
                "reset",
                lambda reason: self._breaker(name, "reset", reason),
            )
        else:
            self._breaker(name, override, "")

    def maintenance(self, on: bool) -> None:
        """Begin or end planned downtime."""
        if self._refused("Maintenance"):
            return
        snapshot = self._app.snapshot
        if not on and snapshot is not None and snapshot.state is not SystemState.MAINTENANCE:
            self._app.say(f"There is no maintenance to end: the state is {snapshot.state}")
            return
        by = self._app.person
        if on:
            question, follows = "Begin maintenance?", "Events are stored; all but CRITICAL ones wait."
        else:
            question, follows = "End maintenance?", "All is checked afresh; what waited is delivered."
        self._ask(
            question,
            follows,
            "begin" if on else "end",
            lambda reason: self._send(SetMaintenance(on=on, reason=reason, by=by)),
        )

    def toggle_maintenance(self) -> None:
        """Begin it, or end it if it is on."""
        snapshot = self._app.snapshot
        self.maintenance(snapshot is None or snapshot.state is not SystemState.MAINTENANCE)

    def resume(self) -> None:
        """Go on after the kill switch."""
        if self._refused("Resume"):
            return
        if self._app.snapshot is not None and not self._app.snapshot.kill_switch:
            self._app.say("There is nothing to resume: the kill switch is not engaged")
            return
        by = self._app.person
        self._ask(
            "Resume after the kill switch?",
            "All events are dispatched again, and the breakers that it opened are given back.",
            "resume",
            lambda reason: self._send(Resume(reason=reason, by=by)),
        )

    def _restart(self, name: str) -> None:
        if name.startswith(TARGET):
            self._app.say(f"{name} has no process to restart: it is a target")
            return
        by = self._app.person
        self._ask(
            f"Restart {name}?",
            "A process is ended and started again, a connection made anew.",
            "restart",
            lambda reason: self._send(RestartService(service=name, reason=reason, by=by)),
        )

    def _breaker(self, name: str, action: Setting, reason: str) -> None:
        self._send(SetBreaker(name=name, action=action, reason=reason, by=self._app.person))

    def _refused(self, what: str) -> bool:
        if self._app.read_only:
            self._app.say(f"{what}: this view is read-only", Severity.WARNING)
        return self._app.read_only

    def _ask(self, text: str, consequence: str, verb: str, then: Callable[[str], None]) -> None:
        from event_monitor.dashboard.asking import Question, ReasonDialog

        def answered(reason: str | None) -> None:
            if reason is not None:
                then(reason)

        self._app.push_screen(ReasonDialog(Question(text, consequence, verb)), answered)


def held(forced: str | None, why: str) -> str:
    """Who holds a breaker and why, in words; empty while nobody does."""
    return f"held {forced} {why}".strip() if forced else ""
