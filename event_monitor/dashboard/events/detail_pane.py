"""All about one event, beside the list or in its place, and the way along its causes and effects."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding

from event_monitor.dashboard.detail import detail_lines
from event_monitor.model import Status
from event_monitor.replies.general import EventDetail
from event_monitor.widgets.document import Document
from event_monitor.widgets.text import Line, clip, line

_OPEN = {Status.PENDING, Status.DEAD}


class DetailPane(Document):
    """Shows the last detail that it was given. ``trail`` are the events that a walk along causes and
    effects came through; while it is not empty the list's selection is not what is shown."""

    BINDINGS = [
        Binding("j,down", "by(1)", show=False),
        Binding("k,up", "by(-1)", show=False),
    ]

    def __init__(self, mask: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(lambda width: [clip(line((" Select an event.", "dim")), width)], id=id)
        self.detail: EventDetail | None = None
        self.trail: list[int] = []
        self._mask = mask

    @property
    def unsettled(self) -> bool:
        """Whether what is shown may still change."""
        return self.detail is not None and self.detail.event.status in _OPEN

    def show(self, detail: EventDetail | None) -> None:
        """Take a detail; ``None`` if there is nothing to show. The same event keeps its place."""
        same = detail is not None and self.detail is not None and detail.event.id == self.detail.event.id
        self.detail = detail
        if detail is None:
            self.replace(lambda width: [clip(line((" No event is selected.", "dim")), width)])
        elif same:
            self.update(lambda width: self._of(detail, width))
        else:
            self.replace(lambda width: self._of(detail, width))
        title = f"Event {detail.event.id}" if detail is not None else "Event"
        if self.trail:
            title += f" · {len(self.trail)} back"
        if self.border_title != title:
            self.border_title = title

    def _of(self, detail: EventDetail, width: int) -> Sequence[Line]:
        return detail_lines(detail, width, self._mask)

    def await_event(self, event_id: int | None) -> None:
        """Say that another event is on its way, or that none is."""
        told = f"#{event_id} is on its way" if event_id is not None else ""
        if self.border_subtitle != told:
            self.border_subtitle = told

    def action_by(self, rows: int) -> None:
        """Scroll."""
        self.scroll_relative(y=rows, animate=False)
