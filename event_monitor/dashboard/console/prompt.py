"""The place where commands are typed: several lines, the history and a search in it, and a shadow of what was
typed before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from event_monitor.dashboard.console.searching import Search
from event_monitor.grammar.repl.history import History
from event_monitor.grammar.repl.words import LineError, Unfinished, split
from event_monitor.widgets.text import plain

_LONGEST = 262_144
# They change the line, or the place in it: a search has found what was wanted.
_TAKING = frozenset(
    {"left", "right", "home", "end", "delete", "tab", "ctrl+a", "ctrl+e", "ctrl+j", "alt+enter"}
)


class PromptArea(TextArea):
    """Says what the person wants; what to do about it is the tab's."""

    DEFAULT_CSS = """
    PromptArea, PromptArea:focus {
        border: none; padding: 0; height: auto; max-height: 8; background: $background;
        scrollbar-size: 0 0;
    }
    PromptArea .text-area--cursor-line { background: $background; }
    """

    # Enter, tab, esc and ctrl+c are taken in `_on_key`; here they are for the footer, and for a click there.
    BINDINGS: ClassVar[list[Any]] = [
        Binding("enter", "enter", "Run"),
        Binding("tab", "complete(1)", "Complete"),
        Binding("escape", "leave", "Leave"),
        Binding("ctrl+c", "interrupt", "Stop"),
        Binding("ctrl+j,alt+enter", "new_line", show=False),
        Binding("pageup", "scroll_output(-1)", show=False),
        Binding("pagedown", "scroll_output(1)", show=False),
    ]

    class Entered(Message):
        """A line is to be carried out."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Complete(Message):
        """The next offer is wanted, or with ``step`` -1 the one before."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    class Left(Message):
        """The person wants to leave the prompt."""

    class Interrupted(Message):
        """What runs is to be stopped, or what is typed given up."""

    class Searched(Message):
        """A search began, went on or ended."""

    class Scrolled(Message):
        """The output is to be scrolled by pages."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    def __init__(
        self,
        history: History,
        busy: Callable[[], bool],
        search_keys: Sequence[str] = (),
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(
            id=id, soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, tab_behavior="focus"
        )
        self.cursor_blink = False
        self.match_cursor_bracket = False
        self.engaged = False
        """Whether an offer is chosen: enter takes it then."""
        self.busy = busy
        """Whether a command runs."""
        self.search: Search | None = None
        """The search that is under way."""
        self._history = history
        self._at_once: dict[str, Callable[[], None]] = {
            "enter": self.action_enter,
            "tab": lambda: self.action_complete(1),
            "shift+tab": lambda: self.action_complete(-1),
            "escape": self.action_leave,
            "ctrl+c": self.action_interrupt,
            "up": self.action_cursor_up,
            "down": self.action_cursor_down,
            **dict.fromkeys(search_keys, self.search_back),
        }
        self._searching: dict[str, Callable[[], None]] = {
            "enter": self._end_search,
            "escape": lambda: self._end_search(take=False),
            "ctrl+c": lambda: self._end_search(take=False),
            "backspace": lambda: self._look(Search.widen),
            "up": self.search_back,
            "down": lambda: self._look(lambda search: search.step(-1)),
        }
        self._back = 0
        self._draft = ""

    def set_text(self, text: str) -> None:
        """Show other text, the cursor at its end."""
        self.text = clean(text)
        self.move_cursor(self.document.end)

    @property
    def cursor_index(self) -> int:
        """Where the cursor is in the text."""
        row, column = self.cursor_location
        return sum(len(line) + 1 for line in self.text.split("\n")[:row]) + column

    def replace_before_cursor(self, start: int, text: str) -> None:
        """Put ``text`` in the place of what stands from ``start`` to the cursor."""
        self.replace(text, self._location(start), self.cursor_location, maintain_selection_offset=False)

    # --- keys -------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        # A binding is looked up only after the event has gone up through all parents: letters that are
        # typed fast would overtake it.
        act = self._at_once.get(event.key)
        if self.search is not None:
            if event.key in _TAKING:
                self._end_search()
            elif event.is_printable and event.character:
                act = partial(self._narrow, event.character)
            else:
                act = self._searching.get(event.key, act)
        if act is not None:
            event.stop()
            event.prevent_default()
            act()
        else:
            if event.is_printable:
                self.engaged = False
            await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        # A clipboard may hold anything: what a terminal would obey is made visible first.
        text = clean(event.text)
        if self.search is not None:
            self._narrow(text.split("\n")[0])
        else:
            self._replace_via_keyboard(text, *self.selection)
        event.stop()
        event.prevent_default()

    def action_enter(self) -> None:
        """Carry out what is typed, unless more is to come."""
        if self.engaged or self._is_finished():
            self._back, self._draft = 0, ""
            text = self.text
            if not self.engaged and not self.busy():
                # At once: what is typed next is the beginning of another command.
                self.set_text("")
            self.post_message(self.Entered(text))
        else:
            self.action_new_line()

    def _is_finished(self) -> bool:
        try:
            split(self.text)
        except Unfinished:
            # An empty last line says that nothing more will come: the mistake is shown.
            return self.text.endswith("\n")
        except LineError:
            return True
        return True

    def action_new_line(self) -> None:
        """Begin another line of the same command."""
        self._replace_via_keyboard("\n", *self.selection)

    def action_complete(self, step: int) -> None:
        """Ask for an offer."""
        self.post_message(self.Complete(step))

    def action_leave(self) -> None:
        """Leave the prompt."""
        self.post_message(self.Left())

    def action_interrupt(self) -> None:
        """Stop, or give up."""
        if not self.busy():
            self.set_text("")
        self.post_message(self.Interrupted())

    def action_scroll_output(self, pages: int) -> None:
        """Scroll the output."""
        self.post_message(self.Scrolled(pages))

    # --- history ----------------------------------------------------------------------------

    def action_cursor_up(self, select: bool = False) -> None:
        if select or not self.navigator.is_first_wrapped_line(self.cursor_location):
            super().action_cursor_up(select)
        else:
            self._recall(1)

    def action_cursor_down(self, select: bool = False) -> None:
        if select or not self.navigator.is_last_wrapped_line(self.cursor_location):
            super().action_cursor_down(select)
        else:
            self._recall(-1)

    def _recall(self, step: int) -> None:
        entries = self._history.entries
        if self._back == 0:
            self._draft = self.text
        back = min(max(0, self._back + step), len(entries))
        if back != self._back:
            self._back = back
            self.set_text(entries[-back] if back else self._draft)

    def search_back(self) -> None:
        """Begin to search in what was typed before, or go on to an older line."""
        if self.search is None:
            self.engaged = False
            self.search = Search(self._history.entries, self.text)
            self.post_message(self.Searched())
        else:
            self._look(lambda search: search.step(1))

    def _narrow(self, text: str) -> None:
        self._look(lambda search: search.narrow(text))

    def _look(self, change: Callable[[Search], None]) -> None:
        search = self.search
        if search is None:
            return
        change(search)
        self.set_text(search.text)
        start = self.text.lower().find(search.wanted.lower()) if search.age else -1
        if start >= 0:
            self.selection = Selection(self._location(start), self._location(start + len(search.wanted)))
        self.post_message(self.Searched())

    def _end_search(self, *, take: bool = True) -> None:
        """Go on with the line that was found, or with what was typed before."""
        search, self.search = self.search, None
        if search is None:
            return
        if take and search.age:
            # The arrows go on from there.
            self._back, self._draft = search.age, search.draft
        self.set_text(search.text if take else search.draft)
        self.post_message(self.Searched())

    def _location(self, index: int) -> tuple[int, int]:
        before = self.text[:index]
        return before.count("\n"), index - before.rfind("\n") - 1

    def update_suggestion(self) -> None:
        """Show the rest of the last line that began like this one."""
        if self.search is not None:
            self.suggestion = ""
            return
        text = self.text
        at_end = self.cursor_location == self.document.end
        found = ""
        if text.strip() and at_end:
            found = next((entry for entry in reversed(self._history.entries) if entry.startswith(text)), "")
        self.suggestion = plain(found[len(text) :].split("\n")[0]) if len(found) > len(text) else ""


def clean(text: str) -> str:
    """Text that is safe to show, its line ends kept."""
    rows = text[:_LONGEST].replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
    return "\n".join(plain(row, _LONGEST) for row in rows)
