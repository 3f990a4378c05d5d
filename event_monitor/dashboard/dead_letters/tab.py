"""The Dead letters tab: groups and their letters, details, and what can be done about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from textual.app import ComposeResult

from event_monitor.dashboard.action import bindings_of
from event_monitor.dashboard.dead_letters import lines as say
from event_monitor.dashboard.dead_letters.actions import ACTIONS
from event_monitor.dashboard.dead_letters.deciding import Decisions
from event_monitor.dashboard.dead_letters.panels import DeadList, RunsPanel
from event_monitor.dashboard.dead_letters.questions import Question
from event_monitor.dashboard.dead_letters.reading import Reader
from event_monitor.dashboard.dead_letters.tree import DeadTree, Row
from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.tab import Tab
from event_monitor.model import Snapshot
from event_monitor.widgets.document import Document
from event_monitor.widgets.text import Line, count

_FILTER = "dead_letters.filter"


class DeadLettersTab(Tab):
    """What could not be delivered."""

    NAME = "dead_letters"
    SCOPED_CSS = False
    BINDINGS: ClassVar[list[Any]] = bindings_of(ACTIONS)
    DEFAULT_CSS = """
    #dead-list, #dead-detail {
        border: round $border; border-title-color: $text-muted; border-title-style: bold;
        border-subtitle-color: $text-muted; height: 1fr;
    }
    #dead-list:focus, #dead-detail:focus { border: round $accent; }
    #dead-detail {
        scrollbar-size-vertical: 1; overflow-x: hidden; scrollbar-gutter: stable; background: $background;
    }
    #dead-runs { height: 0; display: none; }
    .-compact DeadLettersTab #dead-list { height: 3fr; }
    .-compact DeadLettersTab #dead-detail { height: 2fr; }
    .-sliver DeadLettersTab #dead-list, .-sliver DeadLettersTab #dead-list:focus { border: none; }
    .-sliver DeadLettersTab #dead-detail { display: none; }
    """

    def __init__(self, link: BusLink) -> None:
        super().__init__(link)
        self.tree_ = DeadTree()
        self.list = DeadList(self.tree_, link.mask)
        self.detail = Document(self._detail_lines, id="dead-detail")
        self.runs = RunsPanel()
        self.reader = Reader(link, self.tree_, self._refresh)
        self.decisions = Decisions(link, self.tree_, self.reader, self._ask)
        self._filter: str = link.memory.get(_FILTER, "")
        self._described: tuple[Any, ...] = ()
        self._table: dict[str, Callable[[], Any]] = {
            "retry": lambda: self.decisions.retry(self.tree_.selected),
            "edit": self._edit,
            "drop": lambda: self.decisions.drop(self.tree_.selected),
            "open": self._open,
            "filter": self._type_filter,
            "retry_group": lambda: self.decisions.retry_group(self.tree_.selected),
            "retry_all": self.decisions.retry_all,
            "drop_group": lambda: self.decisions.drop_group(self.tree_.selected),
            "drop_all": self.decisions.drop_all,
            "slower": lambda: self._change_rate(-1),
            "faster": lambda: self._change_rate(1),
            "stop": self.decisions.stop,
            "runs": self._show_runs,
            "copy": self._copy,
            "panel": self._next_panel,
            "down": lambda: self._move(1),
            "up": lambda: self._move(-1),
            "page_down": lambda: self._move_page(1),
            "page_up": lambda: self._move_page(-1),
            "first": lambda: self.list.go(0),
            "last": lambda: self.list.go(len(self.tree_.rows)),
            "unfold": self._unfold,
            "fold": self._fold,
            "clear": self._clear,
        }

    def compose(self) -> ComposeResult:
        yield self.runs
        yield self.list
        yield self.detail

    # --- what the app calls -----------------------------------------------------------------

    def opened(self) -> None:
        self.reader.filter(self._filter)
        self._say()

    def show(self, snapshot: Snapshot) -> None:
        self.reader.notice(snapshot)

    def focus_main(self) -> None:
        self.list.focus()

    def run(self, action_id: str) -> None:
        self._table[action_id.removeprefix("dead_letters_")]()

    def describe(self, action_id: str) -> str:
        row, found = self.tree_.selected, self.tree_.found
        letters = say.letters_word(found.letters) if found is not None else ""
        one = ""
        if row is not None:
            one = f"#{row.letter.id} → {row.letter.target}" if row.letter is not None else say.way(row.group)
        live = self.reader.live
        rate = f"now {say.rate_word(self.decisions.rate)}"
        return {
            "retry": one,
            "edit": one if row is not None and row.letter is not None else "select a letter first",
            "drop": one,
            "open": one,
            "filter": f"now {self._filter}" if self._filter else "",
            "retry_group": say.way(row.group) if row is not None else "",
            "drop_group": say.way(row.group) if row is not None else "",
            "retry_all": f"{letters}, {rate.removeprefix('now ')}",
            "drop_all": letters,
            "slower": rate,
            "faster": rate,
            "stop": f"retry {live[0].id}, {live[0].retried:,} of {live[0].letters:,}" if live else "none now",
            "runs": f"{len(live)} under way",
            "copy": one,
        }.get(action_id.removeprefix("dead_letters_"), "")

    # --- what is shown ----------------------------------------------------------------------

    def _refresh(self) -> None:
        """Something was read: show it."""
        if not self.is_attached:
            return
        if self.tree_.found is not None:
            self.list.hints = say.NONE_FIT if self._filter else say.EMPTY
        elif self.reader.error:
            self.list.hints = ((f"✖ {self.reader.error}", "bad"),)
        self.list.redraw()
        self.runs.show(self.reader.shown_runs)
        self._say()
        self._describe()

    def _say(self) -> None:
        """Counts and rate stand in the list's border."""
        found = self.tree_.found
        title = "Dead letters"
        if found is not None and found.letters:
            groups = f"{count(found.total)} group{'' if found.total == 1 else 's'}"
            title = f"Dead letters: {count(found.letters)} in {groups}"
            if found.total > len(found.groups):
                title += f", the largest {len(found.groups)} here"
        parts = [f"filter: {self._filter}"] if self._filter else []
        keys = " ".join(filter(None, map(self.link.key, ("dead_letters_slower", "dead_letters_faster"))))
        parts.append(f"rate {say.rate_word(self.decisions.rate)}" + (f"  {keys} change" if keys else ""))
        # A border takes its text for markup.
        self.list.border_title = title
        subtitle = " · ".join(parts).replace("[", "\\[")
        if self.list.border_subtitle != subtitle:
            self.list.border_subtitle = subtitle

    def _describe(self) -> None:
        """Show the details of what is selected; of the same thing at the same place."""
        row = self.tree_.selected
        about = (row.key if row is not None else None,)
        if about == self._described:
            self.detail.update(self._detail_lines)
        else:
            self._described = about
            self.detail.replace(self._detail_lines)

    def _detail_lines(self, width: int) -> list[Line]:
        row = self.tree_.selected
        if row is None:
            return []
        if row.letter is None:
            return say.group_lines(row.group, width)
        return say.letter_lines(row.letter, width, self.link.mask)

    def on_dead_list_moved(self, message: DeadList.Moved) -> None:
        """Another row is selected."""
        message.stop()
        self._describe()
        if message.opened:
            self._open()
        number = self.tree_.near_end()
        if number is not None:
            self.reader.read_more(number)

    # --- moving -----------------------------------------------------------------------------

    def _move(self, rows: int) -> None:
        if self.detail.has_focus:
            self.detail.scroll_relative(y=rows, animate=False)
        else:
            self.list.move(rows)

    def _move_page(self, pages: int) -> None:
        if self.detail.has_focus:
            self.detail.scroll_relative(y=pages * max(1, self.detail.size.height - 1), animate=False)
        else:
            self.list.move_page(pages)

    def _next_panel(self) -> None:
        (self.list if self.detail.has_focus or not self.detail.display else self.detail).focus()

    def _open(self) -> None:
        row = self.tree_.selected
        if row is None:
            return
        if row.letter is not None:
            self.link.open_event(row.letter.id)
        elif row.group.id in self.tree_.members:
            self._fold()
        else:
            self._unfold()

    def _unfold(self) -> None:
        row = self.tree_.selected
        if row is not None and row.group.id not in self.tree_.members:
            self.tree_.unfold(row.group.id)
            self.reader.read(row.group.id)
            self.list.redraw()

    def _fold(self) -> None:
        row = self.tree_.selected
        if row is not None and row.group.id in self.tree_.members:
            self.tree_.fold(row.group.id)
            self._refresh()

    # --- acting -----------------------------------------------------------------------------

    def _ask(self, question: Question, then: Callable[[], None]) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self.app.push_screen(question, answered)

    def _change_rate(self, steps: int) -> None:
        self.decisions.change_rate(steps)
        self._say()

    def _edit(self) -> None:
        row = self.tree_.selected
        if row is None or row.letter is None:
            self.link.say("Select a letter first: enter unfolds a group")
            return
        from event_monitor.dashboard.dead_letters.editor import LetterEditor

        letter = row.letter

        def answered(done: Any) -> None:
            if done is not None:
                self.decisions.corrected(letter, done)

        self.app.push_screen(LetterEditor(letter, self.link), answered)

    def _show_runs(self) -> None:
        from event_monitor.dashboard.dialogs import DocumentDialog

        self.app.push_screen(
            DocumentDialog("Retries of dead letters", lambda width: say.runs_lines(self.reader.runs, width))
        )

    def _copy(self) -> None:
        row = self.tree_.selected
        if row is None:
            self.link.say("There is nothing to copy")
            return
        text = msgspec.json.encode(row.letter or row.group).decode()
        self.link.work(self.link.copy(text, _named(row)))

    # --- the filter -------------------------------------------------------------------------

    def _type_filter(self) -> None:
        from event_monitor.dashboard.overview.filter_input import FilterInput

        existing = self.query(FilterInput)
        field = existing.first() if existing else FilterInput(id="dead-filter")
        if not existing:
            field.value = self._filter
            self.mount(field)
        field.focus()

    def _set_filter(self, text: str) -> None:
        self._filter = text.strip()
        self.link.memory.set(_FILTER, self._filter)
        self.reader.filter(self._filter)
        self._say()

    def _clear(self) -> None:
        from event_monitor.dashboard.overview.filter_input import FilterInput

        for field in self.query(FilterInput):
            field.remove()
        if self._filter:
            self._set_filter("")
        self.list.focus()

    def on_filter_input_typed(self, message: Any) -> None:
        """The filter changed."""
        self._set_filter(message.text)

    def on_filter_input_left(self, message: Any) -> None:
        """Back to the list; an empty filter goes away."""
        if not message.text:
            self._clear()
        self.list.focus()

    def on_filter_input_cleared(self) -> None:
        """The filter is given up."""
        self._clear()


def _named(row: Row) -> str:
    return f"Dead letter #{row.letter.id}" if row.letter is not None else f"Group {row.group.id}"
