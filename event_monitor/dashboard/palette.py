"""The command palette: every action of the table, and the themes, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from event_monitor.dashboard.actions import ACTIONS, key_name

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp


class ActionProvider(Provider):
    """Offers actions with their key and the present state in the description."""

    @property
    def _monitor(self) -> EventMonitorApp:
        from event_monitor.dashboard.app import EventMonitorApp

        assert isinstance(self.app, EventMonitorApp)
        return self.app

    def _entries(self) -> list[tuple[str, str, str]]:
        """(action call, name, description)."""
        app = self._monitor
        entries = []
        for action in ACTIONS:
            if not action.palette:
                continue
            keys = app.keys_of.get(action.id, action.keys)
            state = app.describe(action.id)
            blocked = "not in a read-only view" if app.read_only and action.changes else ""
            key = f"key {key_name(keys.split(',')[0])}" if keys else ""
            entries.append(
                (
                    f"act('{action.id}')",
                    action.label,
                    " · ".join(filter(None, (action.help, state, key, blocked))),
                )
            )
        for theme in sorted(app.available_themes):
            now = "in use" if theme == app.theme else ""
            entries.append((f"use_theme('{theme}')", f"Theme {theme}", now))
        return entries

    async def discover(self) -> Hits:
        for call, name, description in self._entries():
            yield DiscoveryHit(name, self._run(call), help=description)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for call, name, description in self._entries():
            score = matcher.match(f"{name} {description}")
            if score > 0:
                yield Hit(score, matcher.highlight(name), self._run(call), help=description)

    def _run(self, call: str):  # type: ignore[no-untyped-def]
        async def run() -> None:
            await self._monitor.run_action(f"app.{call}")

        return run
