"""The command palette: every action of the table, and the themes, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from textual.command import DiscoveryHit, Hit, Hits, Provider

from event_monitor.dashboard.actions import ACTIONS, key_name
from event_monitor.widgets.text import plain

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp


Run = Callable[[], Awaitable[None]]

_OVERRIDES: tuple[Literal["reset", "open", "close"], ...] = ("reset", "open", "close")
_BLOCKED = "not in a read-only view"


class ActionProvider(Provider):
    """Offers actions with their key and the present state in the description."""

    @property
    def _monitor(self) -> EventMonitorApp:
        from event_monitor.dashboard.app import EventMonitorApp

        assert isinstance(self.app, EventMonitorApp)
        return self.app

    def _entries(self) -> list[tuple[Run, str, str]]:
        """(what to run, name, description)."""
        app = self._monitor
        entries: list[tuple[Run, str, str]] = []
        for action in ACTIONS:
            if not action.palette:
                continue
            keys = app.keys_of.get(action.id, action.keys)
            state = app.describe(action.id)
            blocked = _BLOCKED if app.read_only and action.changes else ""
            key = f"key {key_name(keys.split(',')[0])}" if keys else ""
            told = " · ".join(filter(None, (action.help, state, key, blocked)))
            entries.append((_command(app.action_act, action.id), action.label, told))
        for service in app.snapshot.services if app.snapshot is not None else ():
            for word in _OVERRIDES:
                told = f"breaker {service.breaker}" + (f", held {service.forced}" if service.forced else "")
                entries.append(
                    (
                        _command(app.override, service.name, word),
                        f"{word.capitalize()} {plain(service.name)}",
                        told,
                    )
                )
        for theme in sorted(app.available_themes):
            now = "in use" if theme == app.theme else ""
            entries.append((_command(app.action_use_theme, theme), f"Theme {theme}", now))
        return entries

    async def discover(self) -> Hits:
        for run, name, description in self._entries():
            yield DiscoveryHit(name, run, help=description)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for run, name, description in self._entries():
            score = matcher.match(f"{name} {description}")
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, help=description)


def _command(func: Callable[..., object], *arguments: object) -> Run:
    async def run() -> None:
        func(*arguments)

    return run
