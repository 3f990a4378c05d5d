"""The prompt of ``event-cli repl``. Loaded on a terminal only: prompt_toolkit takes its time."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import completion_is_selected, has_completions, is_searching
from prompt_toolkit.history import History as PromptHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.bindings.search import abort_search
from prompt_toolkit.shortcuts import PromptSession
from prompt_toolkit.styles import Style

from event_monitor import __version__
from event_monitor.cli.connection import Connection
from event_monitor.cli.output import ReaderGone, report
from event_monitor.cli.repl import PROMPT, Leave, Session, point
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.known import Offer
from event_monitor.grammar.repl.history import History
from event_monitor.grammar.repl.offers import Place, offers_at, place_at
from event_monitor.grammar.repl.words import LineError, Unfinished, split
from event_monitor.grammar.text import clip, plain
from event_monitor.messages import GetStats, Message
from event_monitor.paths import HomePaths

_ASK_SECONDS = 0.5
_KEPT_SECONDS = 5.0
_TOOLBAR_SECONDS = 1.0
_NOTE_WIDTH = 60
# Seconds after a signal in which all is to be left in order.
_GRACE = 3.0
_STYLE = Style.from_dict({"bottom-toolbar": "noreverse", "prompt": "bold"})


def converse(session: Session) -> int:
    """Read commands until the person leaves."""
    session.history.load()
    status = _Status(session.paths)
    prompt = _prompt(session, status)
    sys.stdout.write(
        f"event-monitor {__version__}, {plain(session.paths.home)}. help shows what can be typed.\n"
    )
    with _ending_in_order(), status:
        while True:
            try:
                text = prompt.prompt()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return 0
            session.history.add(text)
            try:
                session.run(text, point)
            except Unfinished as error:
                point(text, error)
            except KeyboardInterrupt:
                sys.stderr.write("\ninterrupted\n")
            except (Leave, ReaderGone):
                return 0
            if session.history.trouble:
                report(session.history.trouble)
                session.history.trouble = None


def _prompt(session: Session, status: _Status) -> PromptSession[str]:
    return PromptSession(
        message=[("class:prompt", PROMPT)],
        prompt_continuation=lambda width, line, wrapped: " " * (width - 3) + "…> ",
        multiline=True,
        history=_Remembered(session.history),
        completer=ThreadedCompleter(_Completer(session.paths)),
        complete_while_typing=True,
        auto_suggest=AutoSuggestFromHistory(),
        key_bindings=_keys(),
        bottom_toolbar=status.text,
        refresh_interval=_TOOLBAR_SECONDS,
        style=_STYLE,
        enable_open_in_editor=False,
    )


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=has_completions & completion_is_selected)
    def take(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    # In a search enter keeps its own meaning: it takes what was found.
    @keys.add("enter", filter=~is_searching & ~(has_completions & completion_is_selected))
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if _is_finished(buffer):
            buffer.validate_and_handle()
        else:
            buffer.newline()

    @keys.add("escape", eager=True, filter=has_completions)
    def put_away(event: KeyPressEvent) -> None:
        event.current_buffer.cancel_completion()

    # As in the dashboard's console: what was typed before the search comes back.
    keys.add("escape", eager=True, filter=is_searching)(abort_search)

    return keys


def _is_finished(buffer: Buffer) -> bool:
    try:
        split(buffer.text)
    except Unfinished:
        # An empty last line says that nothing more will come: the mistake is shown.
        return buffer.text.endswith("\n") and buffer.document.is_cursor_at_the_end
    except LineError:
        return True
    return True


class _Remembered(PromptHistory):
    """The history of the home as prompt_toolkit wants it, the newest entry first."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history

    def load_history_strings(self) -> Iterable[str]:
        return reversed(self._history.entries)

    def append_string(self, string: str) -> None:
        # A line that is not to be remembered does not come back with the arrow either.
        if string and not string[0].isspace():
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """It is stored when the line is carried out."""


class _Completer(Completer):
    """Offers what the grammar and the running bus know. Runs on a thread of its own."""

    def __init__(self, paths: HomePaths) -> None:
        self._paths = paths
        self._known: dict[Message, tuple[float, Any]] = {}

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        place = place_at(document.text, document.cursor_position)
        if place is None:
            return
        for offer in self._offers(place):
            yield Completion(
                offer.text + _after(offer),
                start_position=place.start - document.cursor_position,
                display=offer.text,
                display_meta=clip(offer.note, _NOTE_WIDTH),
            )

    def _offers(self, place: Place) -> list[Offer]:
        return offers_at(place, list(self._replies(place)))

    def _replies(self, place: Place) -> Iterator[Any]:
        """What the bus answers, or answered a moment ago; nothing without a bus."""
        now = time.monotonic()
        self._known = {m: known for m, known in self._known.items() if now - known[0] < _KEPT_SECONDS}
        wanted = [message for message in place.asks if message not in self._known]
        if wanted:
            with contextlib.suppress(EventMonitorError), Connection(self._paths, _ASK_SECONDS) as connection:
                for message in wanted:
                    self._known[message] = (now, connection.request(message))
        for message in place.asks:
            if message in self._known:
                yield self._known[message][1]


def _after(offer: Offer) -> str:
    """A space where a whole word was completed."""
    return "" if offer.text.endswith((" ", ":", "{}")) else " "


class _Status:
    """The state of the bus under the prompt, looked at once a second on a thread of its own."""

    def __init__(self, paths: HomePaths) -> None:
        self._paths = paths
        self._text = "…"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="status", daemon=True)

    def __enter__(self) -> _Status:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(2 * _ASK_SECONDS)

    def text(self) -> str:
        """What the toolbar shows."""
        return self._text

    def _look(self) -> None:
        while True:
            self._text = self._ask()
            if self._over.wait(_TOOLBAR_SECONDS):
                return

    def _ask(self) -> str:
        try:
            with Connection(self._paths, _ASK_SECONDS) as connection:
                stats = connection.request(GetStats())
        except EventMonitorError as error:
            return plain(f" ✖ {error}")
        parts = (
            f" {stats.state}",
            f"{stats.events_per_second:,.1f}/s",
            f"queue {stats.queue_depth:,}",
            f"dead {stats.dead:,}",
            f"parked {stats.parked:,}",
        )
        return "   ".join(parts)


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let the end by a signal go through the same doors as any other, so that the terminal is left as it
    was found; and end in any case, where what the signal raised was lost in one of them."""

    def leave(number: int, frame: object) -> None:
        os.write(tell, bytes([number]))
        raise SystemExit(128 + number)

    def see_to_it() -> None:
        number = os.read(told, 1)
        if number and not over.wait(_GRACE):
            _restore(found, termios.TCSANOW)
            os._exit(128 + number[0])

    found = termios.tcgetattr(0)
    told, tell = os.pipe()
    over = threading.Event()
    watching = threading.Thread(target=see_to_it, name="end", daemon=True)
    watching.start()
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        # A signal between two steps of the prompt's own cleaning up would leave the terminal raw.
        _restore(found)
        over.set()
        os.close(tell)
        watching.join()
        os.close(told)


def _restore(found: list[Any], when: int = termios.TCSADRAIN) -> None:
    with contextlib.suppress(termios.error):
        termios.tcsetattr(0, when, found)
