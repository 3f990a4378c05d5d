"""The Console: the commands of event-cli, typed at a prompt, with what they answer above it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import TextArea

from event_monitor.dashboard.action import bindings_of
from event_monitor.dashboard.console.actions import ACTIONS
from event_monitor.dashboard.console.log import Log
from event_monitor.dashboard.console.offering import Offering
from event_monitor.dashboard.console.panels import HintPanel, OffersPanel, OutputView, SignPanel
from event_monitor.dashboard.console.prompt import PromptArea
from event_monitor.dashboard.console.runner import Runner
from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.tab import Tab
from event_monitor.grammar.repl.history import History
from event_monitor.model import Snapshot
from event_monitor.widgets.text import Line, clip, fit, line, plain

_SEARCHING = "enter takes  esc leaves"
_HISTORY_FILE = "console-history"
_WELCOME = (
    ("Type a command of event-cli: it goes to the bus that this dashboard shows.", ""),
    ("", ""),
    ('publish test.event {"hello": "world"}', "publish a test event"),
    ("events --follow", "watch what is published, until ctrl+c"),
    ("breaker", "every circuit breaker and how it stands"),
    ("replay --from -15m --dry-run", "what a replay would deliver where"),
    ("help", "every command; help COMMAND shows one"),
    ("", ""),
    ("tab completes, ↑ ↓ bring back what was typed,{search} esc leaves.", ""),
)


class ConsoleTab(Tab):
    """Commands are typed here."""

    NAME = "console"
    SCOPED_CSS = False
    BINDINGS: ClassVar[list[Any]] = bindings_of(ACTIONS)
    # The layout's classes are those of the screen.
    DEFAULT_CSS = """
    ConsoleTab { layout: vertical; }
    ConsoleTab #console-output {
        height: 1fr; border: round $border; border-title-color: $text-muted; border-title-style: bold;
        border-subtitle-color: $text-muted; background: $background; scrollbar-size-vertical: 1;
        overflow-x: hidden; scrollbar-background: $background; scrollbar-color: $border;
    }
    ConsoleTab #console-output:focus { border: round $accent; }
    ConsoleTab #console-offers { height: 1; display: none; }
    ConsoleTab #console-line { height: auto; max-height: 8; padding: 0 1; }
    ConsoleTab #console-hint { height: 1; }
    .-sliver ConsoleTab #console-output { border: none; }
    .-sliver ConsoleTab #console-line { padding: 0; }
    """

    def __init__(self, link: BusLink) -> None:
        super().__init__(link)
        self._log = Log()
        self._log.json = link.memory.get("console_json", False)
        self._history = History(link.memory.beside(_HISTORY_FILE), link.mask)
        self._output = OutputView(self._lines, id="console-output")
        self._output.border_title = "Console"
        self._offers = OffersPanel(id="console-offers")
        self._hint = HintPanel(id="console-hint")
        self._prompt = PromptArea(
            self._history,
            lambda: bool(self._runner.running),
            link.keys_of("console_search"),
            id="console-prompt",
        )
        self._offering = Offering(self._prompt, link, self._show_offers)
        self._runner = Runner(link, self._log, self._history, self._changed)
        self._on_screen = False
        self.loaded = False
        """Whether the history was read."""
        self._table: dict[str, Callable[[], Any]] = {
            "console_type": self._prompt.focus,
            "console_output": self._turn,
            "console_search": self._search,
            "console_copy": self._copy,
            "console_again": self._again,
            "console_stop": self._stop,
            "console_clear": self._clear,
            "console_down": lambda: self._scroll(1),
            "console_up": lambda: self._scroll(-1),
            "console_page_down": lambda: self._output.scroll_page_down(animate=False),
            "console_page_up": lambda: self._output.scroll_page_up(animate=False),
            "console_newest": lambda: self._output.scroll_end(animate=False),
            "console_oldest": lambda: self._output.scroll_home(animate=False),
        }

    def compose(self) -> ComposeResult:
        yield self._output
        yield self._offers
        with Horizontal(id="console-line"):
            yield SignPanel(id="console-sign")
            yield self._prompt
        yield self._hint

    # --- the tab ----------------------------------------------------------------------------

    def show(self, snapshot: Snapshot) -> None:
        self._runner.tick()

    def opened(self) -> None:
        self._on_screen = True
        self.link.work(self._load())
        self._changed()

    def closed(self) -> None:
        self._on_screen = False

    def focus_main(self) -> None:
        self._prompt.focus()

    def run(self, action_id: str) -> None:
        self._table[action_id]()

    def describe(self, action_id: str) -> str:
        if action_id == "console_output":
            return "now JSON" if self._log.json else "now tables"
        if action_id == "console_again":
            return plain(self._runner.last.split("\n")[0], 60)
        if action_id == "console_stop":
            return plain(self._runner.running, 60) or "nothing runs"
        return ""

    async def _load(self) -> None:
        await asyncio.to_thread(self._history.load)
        self.loaded = True

    # --- output -----------------------------------------------------------------------------

    def _lines(self, width: int) -> Sequence[Line]:
        if self._log.empty:
            wide = width >= 70
            key = self.link.key("console_search")
            search = f" {key} searches it," if key else ""
            return [
                clip(
                    line(" ", (fit(text, 40) if wide else text, "accent"), (f" {purpose}" * wide, "dim")),
                    width,
                )
                if purpose
                else clip(line((f" {text}".replace("{search}", search) if text else "", "dim")), width)
                for text, purpose in _WELCOME
            ]
        return self._log.lines(width)

    def _changed(self) -> None:
        """The output or what runs is another one. While nobody looks nothing is laid out."""
        if not (self._on_screen and self.is_attached):
            return
        output = self._output
        following = output.following
        output.update(self._lines)
        if self._log.empty:
            output.following = False
            output.scroll_home(animate=False)
        elif following:
            output.to_end()
        output.border_subtitle = "JSON" if self._log.json else "tables"
        self._show_hint()

    def _scroll(self, rows: int) -> None:
        self._output.scroll_relative(y=rows, animate=False)

    def _turn(self) -> None:
        self._log.json = not self._log.json
        self.link.memory.set("console_json", self._log.json)
        self._changed()

    def _clear(self) -> None:
        self._log.clear()
        self._changed()

    def _copy(self) -> None:
        last = self._log.last
        if last is None:
            self.link.say("There is no result to copy yet")
        else:
            self.link.work(self.link.copy(last.text(self._log.json), "The last result was"))

    # --- the prompt -------------------------------------------------------------------------

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Something was typed."""
        event.stop()
        self._look()

    def on_text_area_selection_changed(self, event: TextArea.SelectionChanged) -> None:
        """The cursor moved."""
        event.stop()
        self._look()

    def _look(self) -> None:
        # A search shows whole lines: nothing is completed in them.
        if self._prompt.search is None:
            self._offering.look()

    def on_prompt_area_complete(self, message: PromptArea.Complete) -> None:
        """Tab."""
        self._offering.step(message.step)

    def on_prompt_area_entered(self, message: PromptArea.Entered) -> None:
        """Enter."""
        if self._offering.chosen is not None:
            self._offering.take()
        elif self._runner.running:
            if not self._prompt.text:
                self._prompt.set_text(message.text)
            self.link.say(f"{plain(self._runner.running, 60)} still runs: ctrl+c stops it")
        elif message.text.strip():
            self._offering.put_away()
            self._output.to_end()
            self._runner.start(message.text)

    def on_prompt_area_left(self) -> None:
        """Esc: put the offers away, then leave the prompt."""
        if not self._offering.put_away():
            self._output.focus()

    def on_prompt_area_interrupted(self) -> None:
        """ctrl+c: stop what runs, or give up what is typed."""
        self._runner.stop()

    def on_prompt_area_searched(self) -> None:
        """A search in what was typed before."""
        if self._prompt.search is not None:
            self._offering.put_away()
        self._look()
        self._show_hint()

    def _search(self) -> None:
        self._prompt.focus()
        self._prompt.search_back()

    def on_prompt_area_scrolled(self, message: PromptArea.Scrolled) -> None:
        """A page of output."""
        self._scroll(message.pages * max(1, self._output.size.height - 1))

    def on_descendant_focus(self) -> None:
        """The hint says what can be pressed."""
        self._show_hint()

    def _again(self) -> None:
        if self._runner.last:
            self._runner.start(self._runner.last)
        else:
            self.link.say("Nothing was typed yet")

    def _stop(self) -> None:
        if not self._runner.stop():
            self.link.say("Nothing runs")

    def _show_offers(self) -> None:
        if self._offers.is_attached:
            self._offers.show(self._offering.offers, self._offering.chosen)
            self._show_hint()

    def _show_hint(self) -> None:
        hint, place, search = self._hint, self._offering.place, self._prompt.search
        if search is not None and self._prompt.has_focus:
            older = f"{key} older  " if (key := self.link.key("console_search")) else ""
            hint.show(search.told, "warn" if search.failed else "accent", f"{older}{_SEARCHING}")
        elif self._runner.running:
            hint.show(f"▸ {self._runner.running}", "busy", "ctrl+c stops")
        elif not self._prompt.has_focus:
            hint.show("the output has the focus", "dim", "i type   j k scroll   t tables or JSON")
        elif place is not None and self._prompt.text.strip():
            hint.show(place.about, "dim", "tab completes")
        else:
            searches = f"{key} searches   " if (key := self.link.key("console_search")) else ""
            hint.show("help shows what can be typed", "dim", f"{searches}esc leaves")
