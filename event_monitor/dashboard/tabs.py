"""The stack of tabs: makes each when it is first opened and shows one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from textual.containers import Vertical

from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.tab import Tab


@dataclass(frozen=True, slots=True)
class TabInfo:
    """Where a tab is found. Its module is loaded when it is first opened."""

    name: str
    label: str
    module: str
    kind: str


TABS = (
    TabInfo("overview", "Overview", "event_monitor.dashboard.overview.tab", "OverviewTab"),
    TabInfo("events", "Events", "event_monitor.dashboard.events.tab", "EventsTab"),
    TabInfo("replay", "Replay", "event_monitor.dashboard.replay.tab", "ReplayTab"),
    TabInfo("dead_letters", "Dead letters", "event_monitor.dashboard.dead_letters.tab", "DeadLettersTab"),
    TabInfo("console", "Console", "event_monitor.dashboard.console.tab", "ConsoleTab"),
)
_INFO = {info.name: info for info in TABS}


class TabStack(Vertical):
    """Holds the tabs that were opened; ``active`` is on the screen."""

    def __init__(self, link: BusLink, first: Tab) -> None:
        super().__init__(first, id="tabs")
        self._link = link
        self._tabs: dict[str, Tab] = {first.NAME: first}
        self._turn = asyncio.Lock()
        self.active = first

    def get(self, name: str) -> Tab | None:
        """A tab that was opened before."""
        return self._tabs.get(name)

    @property
    def made(self) -> Sequence[Tab]:
        """All that were opened."""
        return tuple(self._tabs.values())

    async def open(self, name: str) -> Tab:
        """Bring a tab on the screen, with the focus in it; the one that was asked for last stays there,
        however long each takes to be made."""
        async with self._turn:
            return self.active if name == self.active.NAME else await self._open(name)

    async def _open(self, name: str) -> Tab:
        tab = self._tabs.get(name)
        if tab is None:
            info = _INFO[name]
            tab = getattr(import_module(info.module), info.kind)(self._link)
            assert isinstance(tab, Tab)
            tab.display = False
            await self.mount(tab)
            self._tabs[name] = tab
        left, self.active = self.active, tab
        left.display = False
        tab.display = True
        left.closed()
        tab.opened()
        tab.focus_main()
        if self._link.snapshot is not None:
            tab.show(self._link.snapshot)
        return tab
