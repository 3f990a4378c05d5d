"""The details of the event that is shown, and the walk from it to its cause and its effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from event_monitor.errors import EventMonitorError
from event_monitor.messages import GetEvent
from event_monitor.model import Event
from event_monitor.redaction import redact
from event_monitor.replies.general import EventDetail
from event_monitor.summary import summarise
from event_monitor.widgets.text import Line, fit, line, plain, time_of_day

if TYPE_CHECKING:
    from event_monitor.dashboard.events.tab import EventsTab


class Walking:
    """``at`` is the event that a walk has come to, ``began_at`` the selected one from which it began;
    both are ``None`` while the details are those of the selected event."""

    def __init__(self, tab: EventsTab) -> None:
        self.at: int | None = None
        self.began_at: int | None = None
        self._tab = tab
        self._asked: int | None = None

    # --- details ----------------------------------------------------------------------------

    def show(self) -> None:
        """Ask for the details of what is shown now."""
        tab = self._tab
        wanted = tab.shown_id
        if wanted is None:
            tab.pane.show(None)
        elif tab.has_pane or tab.has_class("-reading"):
            self._asked = wanted
            tab.pane.await_event(wanted if wanted != tab.pane_id else None)
            tab.link.work(self._fetch(wanted))

    async def _fetch(self, wanted: int) -> None:
        tab = self._tab
        try:
            detail: EventDetail = await tab.link.request(GetEvent(event_id=wanted))
        except EventMonitorError as error:
            if wanted == self._asked:
                tab.pane.await_event(None)
                tab.pane.border_subtitle = plain(error.message)
            return
        if wanted == self._asked:
            tab.pane.await_event(None)
            tab.pane.show(detail)

    # --- the walk ---------------------------------------------------------------------------

    def to_cause(self) -> None:
        """Go to what caused the event that is shown."""
        self._tab.link.work(self._step(up=True))

    def to_effect(self) -> None:
        """Go to what it caused; of several a person chooses one."""
        self._tab.link.work(self._step(up=False))

    async def _step(self, *, up: bool) -> None:
        tab = self._tab
        shown = tab.shown_id
        if shown is None:
            tab.link.say("There is no event to go on from yet")
            return
        detail: EventDetail | None = await tab.link.ask(GetEvent(event_id=shown))
        if detail is None:
            return
        found = detail.causes[:1] if up else detail.effects
        if not found:
            tab.link.say(f"Event {shown} {_nothing(detail.event, up=up)}")
        elif len(found) == 1:
            self._go(found[0].id)
        else:
            self._choose(shown, found)

    def _choose(self, shown: int, found: list[Event]) -> None:
        from event_monitor.dashboard.events.prompts import ChoiceDialog

        def rows() -> list[Line]:
            return [self._row(event) for event in found]

        def answered(event_id: int | None) -> None:
            if event_id is not None:
                self._go(event_id)

        title = f"Event {shown} caused {len(found)} events" + (" or more" if len(found) >= 100 else "")
        self._tab.push(ChoiceDialog(title, [event.id for event in found], rows), answered)

    def _row(self, event: Event) -> Line:
        summary = plain(summarise(event.event_type, redact(event.payload, self._tab.link.mask)))
        return line(
            (f"#{event.id} ", "accent"),
            (f"{time_of_day(event.timestamp)} ", "dim"),
            fit(plain(event.event_type), 24),
            (f" {summary}", "dim"),
        )

    def _go(self, event_id: int) -> None:
        tab = self._tab
        shown = tab.shown_id
        if shown is not None:
            tab.pane.trail.append(shown)
        if self.at is None:
            self.began_at = tab.list.selected_id
        self.at = event_id
        tab.add_class("-reading")
        self.show()

    def back(self) -> None:
        """Go back one step; after the first, the selected event is shown again."""
        trail = self._tab.pane.trail
        if not trail:
            self._tab.link.say("There is nowhere to go back to: c and e follow causes and effects")
            return
        before = trail.pop()
        if trail:
            self.at = before
        else:
            self.end()
        self.show()

    def end(self) -> None:
        """The selected event is what is shown."""
        self.at = self.began_at = None
        self._tab.pane.trail.clear()


def _nothing(event: Event, *, up: bool) -> str:
    if not up:
        return "caused nothing"
    if event.causation_id is not None:
        return f"was caused by {event.causation_id}, which has passed the retention"
    return "was caused by no other"
