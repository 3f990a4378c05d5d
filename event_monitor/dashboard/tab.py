"""The base of the dashboard's screens, which lie behind tabs."""

from __future__ import annotations

from typing import ClassVar

from textual.containers import Vertical

from event_monitor.dashboard.link import BusLink
from event_monitor.model import Snapshot


class Tab(Vertical, can_focus=True):
    """One screen. It is made when it is first opened and kept; hidden it is told nothing.

    Subclasses name themselves and say ``BINDINGS = bindings_of(ACTIONS)``: their keys work while the
    focus is inside them. Where their rules look at the layout's class, which is on the screen above, each
    says ``SCOPED_CSS = False`` itself: Textual does not inherit it."""

    NAME: ClassVar[str]

    def __init__(self, link: BusLink) -> None:
        super().__init__(id=f"tab-{self.NAME}")
        self.link = link

    def show(self, snapshot: Snapshot) -> None:
        """Take a picture; each of them while this tab is on the screen, and one when it comes there."""

    def opened(self) -> None:
        """It has come on the screen."""

    def closed(self) -> None:
        """It has left the screen: nothing is to be done until it is opened again."""

    def focus_main(self) -> None:
        """Put the focus where this tab's keys work."""
        self.focus()

    def run(self, action_id: str) -> None:
        """Carry out one of this tab's actions. Whether the view may do so was checked."""
        raise NotImplementedError

    def describe(self, action_id: str) -> str:
        """What holds now of an action, for the palette; empty if there is nothing to say."""
        return ""
