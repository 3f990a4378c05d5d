"""The Events tab: the list, the details beside it, the filter above, and what each key does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer

from event_monitor.dashboard.action import bindings_of
from event_monitor.dashboard.events import columns
from event_monitor.dashboard.events.acting import Acting
from event_monitor.dashboard.events.actions import ACTIONS
from event_monitor.dashboard.events.detail_pane import DetailPane
from event_monitor.dashboard.events.filter_line import FilterBar, FilterField
from event_monitor.dashboard.events.list_panel import EventList
from event_monitor.dashboard.events.loader import Loader
from event_monitor.dashboard.events.status import NOTHING_WANTED, Shown, StatusLine, empty, note
from event_monitor.dashboard.events.walking import Walking
from event_monitor.dashboard.events.window import PAGE, HistoryWindow
from event_monitor.dashboard.events.writing import Writing
from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.tab import Tab
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.event_filter import parse_filter, parse_moment
from event_monitor.messages import FindMoment, HistoryFilter
from event_monitor.model import Snapshot
from event_monitor.replies.explorer import Moment

SETTLE = 0.08
"""Seconds without a move after which the details of the selected event are asked for."""


class EventsTab(Tab):
    """The whole history."""

    NAME = "events"
    SCOPED_CSS = False
    BINDINGS: ClassVar[list[Any]] = bindings_of(ACTIONS)
    DEFAULT_CSS = """
    EventsTab #events-body { height: 1fr; }
    EventsTab #events-list { width: 8fr; height: 1fr; border: round $border; }
    EventsTab #events-pane { width: 5fr; height: 1fr; border: round $border; background: $background;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable; overflow-x: hidden; }
    EventsTab #events-list, EventsTab #events-pane { border-title-color: $text-muted;
        border-title-style: bold; border-subtitle-color: $text-muted; }
    EventsTab #events-list:focus, EventsTab #events-pane:focus { border: round $accent; }
    EventsTab.-alone #events-pane { display: none; }
    .-compact EventsTab #events-pane, .-sliver EventsTab #events-pane { display: none; }
    EventsTab.-reading #events-pane { display: block; }
    .-compact EventsTab.-reading #events-list, .-sliver EventsTab.-reading #events-list { display: none; }
    .-compact EventsTab.-reading #events-pane, .-sliver EventsTab.-reading #events-pane {
        display: block; width: 1fr; }
    .-sliver EventsTab #events-list, .-sliver EventsTab #events-pane,
    .-sliver EventsTab #events-list:focus, .-sliver EventsTab #events-pane:focus { border: none; }
    """

    def __init__(self, link: BusLink) -> None:
        super().__init__(link)
        self.window = HistoryWindow()
        self.list = EventList(self.window, link.now, id="events-list")
        self.pane = DetailPane(link.mask, id="events-pane")
        self.bar = FilterBar()
        self.status = StatusLine()
        self.loader = Loader(link, self.window, self._changed)
        self.acting = Acting(link, self._push, self._published)
        self.walking = Walking(self)
        self.writing = Writing(self)
        self.follow: bool = link.memory.get("events.follow", True)
        self.list.columns = columns.chosen(link.memory.get("events.columns", list(columns.DEFAULT)))
        self.set_class(not link.memory.get("events.pane", True), "-alone")
        self._begun = False
        self._due: Timer | None = None
        self._pictured: tuple[int, ...] = ()
        self._table: dict[str, Callable[[], Any]] = {
            "filter": self._filter,
            "details": self._details,
            "follow": self._follow,
            "go_to": self._go_to,
            "copy": lambda: self._on_shown(lambda one: self.acting.copy(one, command=False)),
            "copy_command": lambda: self._on_shown(lambda one: self.acting.copy(one, command=True)),
            "mark": self.writing.mark,
            "range": self.writing.range,
            "export": self.writing.write,
            "publish": lambda: self._on_shown(lambda one: self.acting.publish(one, edit=False)),
            "edit": lambda: self._on_shown(lambda one: self.acting.publish(one, edit=True)),
            "replay": lambda: self._on_shown(self.acting.replay),
            "cause": self.walking.to_cause,
            "effect": self.walking.to_effect,
            "back": self.walking.back,
            "related": self._related,
            "pane": self._switch_pane,
            "columns": self._columns,
            "search_on": self.loader.go_on,
            "next_panel": self._next_panel,
            "down": lambda: self._move(1),
            "up": lambda: self._move(-1),
            "page_down": lambda: self._move_page(1),
            "page_up": lambda: self._move_page(-1),
            "newest": self._newest,
            "oldest": self._oldest,
            "clear": self._clear,
        }

    def compose(self) -> ComposeResult:
        yield self.bar
        with Horizontal(id="events-body"):
            yield self.list
            yield self.pane
        yield self.status

    # --- as a tab ---------------------------------------------------------------------------

    def opened(self) -> None:
        if not self._begun:
            self._begun = True
            text = self.link.memory.get("events.filter", "")
            if text:
                self.bar.remove_class("-none")
                with self.bar.field.prevent(FilterField.Changed):
                    self.bar.field.value = text
            self.loader.activate(True)
            self._apply(text)
        else:
            self.loader.activate(True)
            self._look()

    def closed(self) -> None:
        self.loader.activate(False)

    def focus_main(self) -> None:
        self.list.focus()

    def show(self, snapshot: Snapshot) -> None:
        if self.loader.error is not None:
            self.loader.go_on()
        totals, queue = snapshot.totals, snapshot.queue
        picture = (
            *(totals.published, totals.delivered, totals.dead, totals.expired, totals.sampled),
            *(queue.parked, queue.retrying, queue.dead),
        )
        if picture != self._pictured or self.pane.unsettled:
            self._pictured = picture
            self._look()

    def run(self, action_id: str) -> None:
        self._table[action_id.removeprefix("events_")]()

    def describe(self, action_id: str) -> str:
        what = action_id.removeprefix("events_")
        if what == "follow":
            return "following" if self.follow else "not following"
        if what == "filter":
            return self.bar.field.value or "no filter"
        if what == "export":
            return f"{self.writing.running}" or ("the marked events" if self.list.marks else "all that pass")
        if what == "columns":
            return ", ".join(self.list.columns)
        shown = self.shown_id
        return f"event {shown}" if shown is not None and what in _OF_ONE else ""

    # --- what is shown ----------------------------------------------------------------------

    @property
    def shown_id(self) -> int | None:
        """The event that keys act on: where a walk along causes has come to, else the selected one."""
        if self.pane.trail and self.walking.at is not None:
            return self.walking.at
        return self.list.selected_id

    @property
    def has_pane(self) -> bool:
        """Whether the details are on the screen."""
        return bool(self.pane.display and self.pane.size.width)

    def redraw(self) -> None:
        """Show what holds now."""
        self.list.note = note(self.window, self.loader)
        self.list.empty = empty(self.window, self.loader)
        self.list.keep_in_view()
        self.status.show(
            self.window,
            self.loader,
            self.list.marks,
            Shown(self.follow, self.list.on_top, self.list.selected, self.writing.running),
        )

    def _changed(self) -> None:
        """The window or its loading is not what it was."""
        if self.following:
            self.list.follow()
        before = self.list.selected_id
        self.redraw()
        self._want_more()
        if before != self.pane_id:
            self._detail_soon()

    @property
    def following(self) -> bool:
        """Whether the newest event is to be selected as it comes."""
        return self.follow and self.window.at_newest and self.list.on_top

    @property
    def pane_id(self) -> int | None:
        """The event whose details are shown."""
        return self.pane.detail.event.id if self.pane.detail is not None else None

    def _want_more(self) -> None:
        """Have a page and a screen ready in either direction."""
        place, rows = self.list.place or 0, len(self.window.rows)
        ahead = PAGE + self.list.page_rows
        self.loader.want(max(0, ahead - place), max(0, ahead - (rows - place)))

    def _look(self) -> None:
        shown = tuple(row.id for row in self.list.shown_rows())
        follow = (self.follow and self.list.on_top) or not self.window.rows
        self.loader.look(shown, follow=follow)
        if self.pane.unsettled and self.has_pane:
            self._detail_soon()

    def on_event_list_moved(self) -> None:
        """Another event is selected."""
        self._want_more()
        if self.walking.at is not None and self.list.selected_id != self.walking.began_at:
            self.walking.end()
        self.redraw_status()
        if self.list.selected_id != self.pane_id:
            self._detail_soon()

    def redraw_status(self) -> None:
        """Show in the status line where the cursor is."""
        self.status.show(
            self.window,
            self.loader,
            self.list.marks,
            Shown(self.follow, self.list.on_top, self.list.selected, self.writing.running),
        )

    def on_event_list_opened(self) -> None:
        """The selected event was clicked once more."""
        self._details()

    def on_event_list_sought(self, message: EventList.Sought) -> None:
        """The scrollbar was clicked."""
        self.go_to(message.event_id)

    def _detail_soon(self) -> None:
        """Ask for the details when the cursor rests."""
        if self._due is not None:
            self._due.stop()
        self._due = self.set_timer(SETTLE, self.show_details)

    def show_details(self) -> None:
        """Ask for the details of what is shown; an answer that comes too late is not taken."""
        self.walking.show()

    # --- moving -----------------------------------------------------------------------------

    def _move(self, rows: int) -> None:
        if self.has_class("-reading") and not self.list.display:
            self.pane.action_by(rows)
        else:
            self.list.move(rows)

    def _move_page(self, pages: int) -> None:
        if self.pane.has_focus:
            self.pane.scroll_relative(y=pages * max(1, self.pane.size.height - 1), animate=False)
        else:
            self.list.move(pages * max(1, self.list.page_rows - 1))

    def _newest(self) -> None:
        if self.window.at_newest and self.window.rows:
            self.list.select(self.window.rows[0].id)
            self._look()
        else:
            self.list.expect(None)
            self.loader.begin()

    def _oldest(self) -> None:
        self.list.expect(0)
        self.loader.begin_oldest()

    def go_to(self, event_id: int) -> None:
        """Select an event, or the nearest older one that passes the filter."""
        if self.window.place(event_id) is None:
            self.loader.begin_at(event_id)
        self.list.centre(event_id)

    def _go_to(self) -> None:
        from event_monitor.dashboard.events.prompts import PromptDialog

        def check(text: str) -> None:
            if not _number(text):
                parse_moment(text, self.link.now())

        def answered(text: str | None) -> None:
            if text is None:
                return
            number = _number(text)
            if number:
                self.go_to(number)
            else:
                self.link.work(self._to_moment(parse_moment(text, self.link.now())))

        hint = "14:30, -2h, 2026-11-23T15:42:07Z, epoch seconds, or #123"
        self._push(PromptDialog("Go to which time, or which event?", hint, check=check), answered)

    async def _to_moment(self, at: str) -> None:
        found: Moment | None = await self.link.ask(FindMoment(at=at))
        if found is None:
            return
        if found.event_id is None:
            self.link.say("There is no event to go to yet")
        else:
            self.go_to(found.event_id)

    def _follow(self) -> None:
        self.follow = not self.follow
        self.link.memory.set("events.follow", self.follow)
        self.loader.forget_missed()
        if self.follow:
            self._newest()
        self.redraw()

    # --- the filter -------------------------------------------------------------------------

    def _filter(self) -> None:
        self.bar.open()

    def on_filter_field_typed(self, message: FilterField.Typed) -> None:
        """The filter changed, or the person is done with it."""
        message.stop()
        understood = self._apply(message.text)
        if message.leave and understood:
            if not message.text.strip():
                self.bar.close()
            self.list.focus()

    def on_filter_field_given_up(self) -> None:
        """The filter is to go away."""
        self._drop_filter()

    def _drop_filter(self) -> None:
        self.bar.close()
        self._apply("")
        self.list.focus()

    def _apply(self, text: str) -> bool:
        """Show what passes. False if the text cannot be understood: then nothing changes."""
        try:
            where = parse_filter(text, self.link.now())
        except EventMonitorError as error:
            self.bar.mistake.show(error)
            if not self.window.rows and self.window.head is None:
                self.loader.begin(NOTHING_WANTED)
            return False
        self.bar.mistake.show(None)
        self.link.memory.set("events.filter", text)
        self.filter_by(where)
        return True

    def filter_by(self, where: HistoryFilter) -> None:
        """Show the newest events that pass; ranges that were marked are of another filter then."""
        if where == self.window.where and (self.window.rows or self.window.head is not None):
            return
        if self.list.marks.ranges or self.list.marks.anchor is not None:
            self.list.marks.ranges.clear()
            self.list.marks.anchor = None
            self.link.say("The marked ranges belonged to the other filter and are dropped")
        self.list.expect(None)
        self.walking.end()
        self.loader.begin(where)

    def _related(self) -> None:
        detail = self.pane.detail
        if detail is None or detail.event.id != self.shown_id:
            self.link.say("Its details are on their way: try again")
        elif detail.event.correlation_id is None:
            self.link.say(f"Event {detail.event.id} has no correlation: c and e follow causes and effects")
        else:
            name = detail.event.correlation_id
            quoted = f'"{name}"' if any(one.isspace() for one in name) else name
            self.bar.remove_class("-none")
            self.bar.field.value = f"correlation:{quoted}"

    # --- details and columns ----------------------------------------------------------------

    def _details(self) -> None:
        if self.shown_id is None:
            self.link.say("There is no event to look at yet")
            return
        self.add_class("-reading")
        self.show_details()
        self.call_after_refresh(self.pane.focus)

    def _switch_pane(self) -> None:
        alone = not self.has_class("-alone")
        self.set_class(alone, "-alone")
        self.link.memory.set("events.pane", not alone)
        if alone:
            self._leave_details()
        else:
            self._detail_soon()

    def _leave_details(self) -> None:
        self.remove_class("-reading")
        self.call_after_refresh(self.list.focus)

    def _next_panel(self) -> None:
        if self.pane.has_focus:
            self._leave_details()
        else:
            self._details()

    def _columns(self) -> None:
        from event_monitor.dashboard.events.prompts import ChoiceDialog
        from event_monitor.widgets.text import Line, fit, line

        def rows() -> list[Line]:
            return [
                line(
                    ("✔ " if column.name in self.list.columns else "· ", "accent"),
                    fit(column.name, 10),
                    (column.help, "dim"),
                )
                for column in columns.COLUMNS
            ]

        def toggle(name: str) -> None:
            shown = set(self.list.columns) ^ {name}
            self.list.columns = tuple(one for one in columns.NAMES if one in shown)
            self.link.memory.set("events.columns", list(self.list.columns))
            self.redraw()

        self._push(ChoiceDialog("Columns", columns.NAMES, rows, toggle=toggle), lambda answer: None)

    # --- the rest ---------------------------------------------------------------------------

    def _clear(self) -> None:
        if self.has_class("-reading"):
            self._leave_details()
        elif self.walking.at is not None:
            self.walking.end()
            self.show_details()
        elif self.loader.searching is not None and self.window.where != NOTHING_WANTED:
            self.loader.pause()
        elif self.list.marks:
            self.list.marks.clear()
            self.redraw()
        elif not self.bar.has_class("-none"):
            self._drop_filter()

    def _on_shown(self, act: Callable[[int], None]) -> None:
        shown = self.shown_id
        if shown is None:
            self.link.say("There is no event to act on yet")
        else:
            act(shown)

    def _published(self) -> None:
        self.app.call_later(self._look)

    def _push(self, dialog: Any, then: Callable[[Any], None]) -> None:
        self.app.push_screen(dialog, then)

    def push(self, dialog: Any, then: Callable[[Any], None]) -> None:
        """Bring a dialog on the screen; ``then`` gets its answer."""
        self._push(dialog, then)


_OF_ONE = {"details", "copy", "copy_command", "publish", "edit", "replay", "cause", "effect", "related"}


def _number(text: str) -> int:
    """The number of ``#123``; 0 if it is none."""
    digits = text[1:] if text.startswith("#") else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else 0
