"""The top of the screen: name, state, uptime, clock, tabs and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.message import Message

from event_monitor.model import Snapshot
from event_monitor.widgets import content
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, Span, clip, duration, line, spread


@dataclass(frozen=True, slots=True)
class TabMark:
    """One tab's place in the header: its key, its label, and how many things wait there."""

    name: str
    key: str
    label: str
    count: int = 0
    active: bool = False

    @property
    def text(self) -> str:
        """What is shown."""
        return f"{self.key} {self.label}" + (f" {self.count:,}" if self.count else "")


class HeaderPanel(Panel):
    """Two rows: the name and the state, then the tabs and the alerts. In one row the state only."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot: Snapshot | None = None
        self._clock = ""
        self._tabs: tuple[TabMark, ...] = ()
        self._lost = False

    def show(
        self, snapshot: Snapshot | None, clock: str, tabs: tuple[TabMark, ...] = (), *, lost: bool = False
    ) -> None:
        """Take a snapshot and the time of day. ``lost`` says that the connection is gone."""
        self._snapshot, self._clock, self._tabs, self._lost = snapshot, clock, tabs, lost
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        tabs = tab_row(self._tabs, width)
        if self._snapshot is None:
            state = ("✖ NO CONNECTION", "bad-strong") if self._lost else ("starting …", "dim")
            return [clip(line(" ", ("event-monitor", "strong"), "  ", state), width), clip(tabs, width)]
        if height < 2:
            return [_one_row(self._snapshot, self._tabs, width, self._clock, self._lost)]
        first = content.header(self._snapshot, width, self._clock, self._lost)
        return [first, spread(tabs, content.header_notes(self._snapshot, width), width)]

    def on_click(self, event: events.Click) -> None:
        """Open the tab under the pointer."""
        if event.y != 1:
            return
        at = 1
        for tab in self._tabs:
            if at <= event.x < at + len(tab.text):
                self.post_message(self.Chosen(tab.name))
            at += len(tab.text) + 2


def tab_row(tabs: Sequence[TabMark], width: int) -> Line:
    """All tabs, the active one marked; where they do not fit, the others by their key alone."""
    full = sum(len(tab.text) + 2 for tab in tabs) <= width
    spans = [Span(" ")]
    for tab in tabs:
        tone = "tab" if tab.active else ("warn" if tab.count else "dim")
        spans += [Span(tab.text if full or tab.active else tab.key, tone), Span("  ")]
    return Line(tuple(spans))


def _one_row(snapshot: Snapshot, tabs: Sequence[TabMark], width: int, clock: str, lost: bool) -> Line:
    glyph, tone = content.STATE_GLYPHS[snapshot.state]
    state = (f"{glyph} {snapshot.state}", f"{tone}-strong") if not lost else ("✖ NO CONNECTION", "bad-strong")
    active = next((tab for tab in tabs if tab.active), None)
    place = f" {active.text}" if active is not None and active is not tabs[0] else ""
    up = f" {duration(snapshot.uptime).replace(' ', '')}" if not place else ""
    alerts = content.alert_count(snapshot.unacknowledged, short=width < 60)
    right = line(*alerts, "  " if alerts else "", (clock[:5], "dim"))
    return spread(line(state, up, (place, "tab") if place else ""), right, width)
