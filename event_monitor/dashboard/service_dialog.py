"""One service, live, with every action on it. Loaded when it is first opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen

from event_monitor.dashboard.dialogs import SCROLLING, old_line, take_layout
from event_monitor.dashboard.overrides import Override
from event_monitor.dashboard.service_lines import service_keys, service_lines, service_title
from event_monitor.errors import EventMonitorError
from event_monitor.replies.general import ServiceDetail
from event_monitor.widgets.document import Document
from event_monitor.widgets.text import Line

if TYPE_CHECKING:
    from event_monitor.dashboard.app import EventMonitorApp


class ServiceDialog(ModalScreen[None]):
    """Shows what ``fetch`` answers, anew with every picture that the app takes; ``act`` carries out an
    action of the table on what is shown."""

    app: EventMonitorApp

    BINDINGS = [
        *SCROLLING,
        Binding("escape,q,enter", "dismiss_none", "Close", show=False),
        Binding("r", "act('reset')", id="reset", show=False),
        Binding("o", "act('open')", id="open", show=False),
        Binding("c", "act('close')", id="close", show=False),
        Binding("h", "act('half_open')", id="half_open", show=False),
        Binding("R", "act('restart')", id="restart", show=False),
    ]

    def __init__(
        self,
        detail: ServiceDetail,
        *,
        fetch: Callable[[], Awaitable[ServiceDetail]],
        act: Callable[[Override, ServiceDetail], None],
    ) -> None:
        super().__init__()
        self._detail = detail
        self._fetch = fetch
        self._act = act
        self._lost = ""

    def compose(self) -> ComposeResult:
        document = Document(self._lines, id="document")
        document.add_class("dialog")
        document.border_title = service_title(self._detail)
        pairs = service_keys(self._detail, self.app.link.key)
        keys = "  ".join(f"{key} {word}" for key, word in pairs).replace("[", "\\[")
        document.border_subtitle = f"{keys}   esc closes"
        yield document

    def on_mount(self) -> None:
        """Take the layout of the screen beneath, and follow the app's pictures."""
        take_layout(self)
        self.app.followers.append(self.follow)

    def on_unmount(self) -> None:
        """Follow no more."""
        self.app.followers.remove(self.follow)

    async def follow(self) -> None:
        """Fetch again; what differs is painted. Without an answer the last one stays, marked as old."""
        try:
            self._detail = await self._fetch()
            self._lost = ""
        except EventMonitorError as error:
            self._lost = str(error)
        if self.is_attached:
            self.query_one(Document).update(self._lines)

    def _lines(self, width: int) -> list[Line]:
        lines = service_lines(self._detail, width, self.app.link.key)
        if self._lost:
            lines.insert(0, old_line(self._lost, width))
        return lines

    def action_act(self, action: Override) -> None:
        """Act on what is shown."""
        self._act(action, self._detail)

    def action_dismiss_none(self) -> None:
        """Close."""
        self.dismiss(None)

    def action_scroll(self, direction: str) -> None:
        """Scroll a line."""
        self.query_one(Document).scroll_relative(y=1 if direction == "down" else -1, animate=False)
