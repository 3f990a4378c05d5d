"""The command palette: every action of the table, every override by name, and the themes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from event_monitor.dashboard.action import key_name
from event_monitor.dashboard.actions import ACTIONS
from event_monitor.dashboard.overrides import LABELS, TARGET, held
from event_monitor.errors import EventMonitorError
from event_monitor.messages import QueryBreakers
from event_monitor.replies.general import BreakerReport
from event_monitor.widgets.text import plain

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp


Run = Callable[[], Awaitable[None]]

_BLOCKED = "not in a read-only view"
_PATIENCE = 1.0
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class _Entry:
    """``name`` and ``told`` may hold anything: they are data. ``rare`` ones are found by searching only."""

    run: Run
    name: str
    told: str
    rare: bool = False

    @property
    def help(self) -> str:
        """The palette takes its descriptions for markup."""
        return self.told.replace("[", "\\[")


class ActionProvider(Provider):
    """Offers actions with their key and the present state in the description."""

    _others: tuple[BreakerReport, ...] = ()

    @property
    def _monitor(self) -> EventMonitorApp:
        from event_monitor.dashboard.app import EventMonitorApp

        assert isinstance(self.app, EventMonitorApp)
        return self.app

    async def startup(self) -> None:
        """Learn of the breakers that the Overview leaves out: targets that stand closed."""
        try:
            async with asyncio.timeout(_PATIENCE):
                reply = await self._monitor.client.request(QueryBreakers())
        except (EventMonitorError, TimeoutError):
            return
        self._others = tuple(reply.breakers)

    def _entries(self) -> Iterator[_Entry]:
        app = self._monitor
        for action in ACTIONS:
            if not action.palette:
                continue
            keys = app.keys_of.get(action.id, action.keys)
            state = app.describe(action.id)
            blocked = _BLOCKED if app.read_only and action.changes else ""
            key = f"key {key_name(keys.split(',')[0])}" if keys else ""
            told = " · ".join(filter(None, (action.help, state, key, blocked)))
            yield _Entry(_command(app.action_act, action.id), action.title, told)
        yield from self._overrides()
        yield from self._alerts()
        for theme in sorted(app.available_themes):
            now = "in use" if theme == app.theme else ""
            yield _Entry(_command(app.action_use_theme, theme), f"Theme {theme}", now)

    def _overrides(self) -> Iterator[_Entry]:
        services = self._monitor.snapshot.services if self._monitor.snapshot is not None else ()
        for service in services:
            yield from self._of(service.name, service.breaker, held(service.forced, service.note))
        shown = {service.name for service in services}
        for report in self._others:
            if report.service not in shown:
                why = f"by {report.forced_by}"
                yield from self._of(report.service, report.state, held(report.forced, why), rare=True)

    def _alerts(self) -> Iterator[_Entry]:
        """Those that wait to be seen, each by its name."""
        from event_monitor.dashboard.alert_dialog import acknowledge

        app = self._monitor
        for alert in app.snapshot.alerts if app.snapshot is not None else ():
            if alert.acknowledged:
                continue
            title, told = plain(alert.title, _LONGEST), plain(alert.detail, _LONGEST)
            blocked = f" · {_BLOCKED}" if app.read_only else ""
            yield _Entry(_command(app.link.open_alert, alert), f"Alert {title}", told)
            run = _command(acknowledge, app.link, alert)
            yield _Entry(run, f"Acknowledge {title}", told + blocked, rare=True)

    def _of(self, name: str, state: str, why: str, *, rare: bool = False) -> Iterator[_Entry]:
        app = self._monitor
        told = plain(f"breaker {state}" + (f", {why}" if why else ""))
        blocked = f" · {_BLOCKED}" if app.read_only else ""
        yield _Entry(_command(app.commands.open_service, name), f"Details {plain(name)}", told, rare)
        for override, label in LABELS.items():
            if override == "restart" and name.startswith(TARGET):
                continue
            run = _command(app.commands.overrides.on, name, override, why)
            yield _Entry(run, f"{label} {plain(name)}", told + blocked, rare)

    async def discover(self) -> Hits:
        for entry in self._entries():
            if not entry.rare:
                yield DiscoveryHit(Content(entry.name), entry.run, text=entry.name, help=entry.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for entry in self._entries():
            # What a thing is called counts for more than what is told of it.
            score = 2 * matcher.match(entry.name) or matcher.match(f"{entry.name} {entry.told}")
            if score > 0:
                shown = Content(entry.name) if "[" in entry.name else matcher.highlight(entry.name)
                yield Hit(score, shown, entry.run, text=entry.name, help=entry.help)


def _command(func: Callable[..., object], *arguments: object) -> Run:
    async def run() -> None:
        func(*arguments)

    return run
