"""Tells a person who may not be looking: bell, toasts and the terminal's title."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from event_monitor.config import DashboardSettings
from event_monitor.dashboard.alert_policy import AlertPolicy
from event_monitor.dashboard.title import TerminalTitle, title_of
from event_monitor.model import Snapshot

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp

BELL_GAP = 0.7
"""Seconds between the bells of one sound. tmux and terminals that flag a window do so at the first."""


class Announcer:
    """Does what the policy says of each picture. The settings say which of the ways are wanted."""

    def __init__(self, app: EventMonitorApp, settings: DashboardSettings, clock: Callable[[], float]) -> None:
        self._app = app
        self._policy = AlertPolicy(clock, bell=settings.bell, toast=settings.toast)
        self._title = TerminalTitle(self._write) if settings.title else None

    def show(self, snapshot: Snapshot, *, toasts: bool) -> None:
        """Announce what is new in a picture; without ``toasts`` where a banner says it and a toast would
        hide too much."""
        self._entitle(snapshot, lost=False)
        noise = self._policy.observe(snapshot)
        for number in range(noise.bells):
            if number:
                self._app.set_timer(number * BELL_GAP, self._ring)
            else:
                self._ring()
        for toast in noise.toasts if toasts else ():
            self._app.say(f"{toast.title}\n{toast.text}" if toast.text else toast.title, toast.severity)

    def lose(self) -> None:
        """The bus does not answer any more."""
        self._entitle(None, lost=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._title is not None:
            self._title.restore()

    def _ring(self) -> None:
        self._app.bell()

    def _entitle(self, snapshot: Snapshot | None, *, lost: bool) -> None:
        if self._title is not None:
            self._title.show(title_of(snapshot, lost=lost))

    def _write(self, sequence: str) -> None:
        driver = self._app._driver
        if driver is not None and not self._app.is_headless:
            driver.write(sequence)
