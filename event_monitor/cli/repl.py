"""``event-cli repl``: commands at a prompt, or a command a line from a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import msgspec

from event_monitor.cli.app import carry_out
from event_monitor.cli.output import (
    Printer,
    exit_status,
    report,
    report_failure,
    terminal_width,
)
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.help import help_text
from event_monitor.grammar.parser import HelpWanted
from event_monitor.grammar.repl.history import History
from event_monitor.grammar.repl.line import place_of, understand
from event_monitor.grammar.repl.pointing import caret_line, line_and_column
from event_monitor.grammar.repl.table import REPL
from event_monitor.grammar.repl.words import Unfinished
from event_monitor.grammar.spec import Invocation
from event_monitor.grammar.text import plain
from event_monitor.paths import HomePaths

PROMPT = "event> "
_INTERRUPTED = 130
_SHOWN_BEFORE = 20
_HELP_WIDTH = 100


class Leave(Exception):
    """The person wants to go."""


class Session:
    """Carries lines out on one home, and keeps what holds from one to the next."""

    def __init__(self, paths: HomePaths, output: str | None, history: History) -> None:
        self.paths = paths
        self.output = output
        self.history = history

    def run(self, text: str, on_error: Callable[[str, EventMonitorError], None]) -> int:
        """Carry one line out and answer its exit status; ``on_error`` says what is wrong with it. Raises
        ``Leave``, and ``Unfinished`` for a line that a further one could complete."""
        try:
            invocation = understand(text)
            return self._carry_out(invocation) if invocation is not None else 0
        except HelpWanted as wanted:
            return self._help(wanted.path)
        except Unfinished:
            raise
        except EventMonitorError as error:
            on_error(text, error)
            return exit_status(error.code)
        except (OSError, UnicodeError) as error:
            return report_failure(error)

    def _carry_out(self, invocation: Invocation) -> int:
        path, values = invocation.command.path, invocation.values
        if path == ("exit",):
            raise Leave
        if path == ("help",):
            return self._help(tuple(values["command"]))
        if path == ("history",):
            return self._show(self.history.shown(values["count"] or _SHOWN_BEFORE))
        if path == ("set", "output"):
            self.output = values["format"]
            return 0
        if path == ("clear",):
            if (printer := Printer("table")).terminal:
                printer.clear()
            return 0
        # The home stays the one that the prompt was opened for, whatever the environment says.
        return carry_out(
            msgspec.structs.replace(invocation, output=invocation.output or self.output, home=self.paths.home)
        )

    def _help(self, path: tuple[str, ...]) -> int:
        known = any(command.path[: len(path)] == path for command in REPL.commands)
        if not known:
            report(f"no command is named {' '.join(path)} (help shows all)")
            return 2
        return self._show([help_text(path, min(terminal_width(), _HELP_WIDTH), REPL)])

    def _show(self, texts: list[str]) -> int:
        printer = Printer("table")
        for text in texts:
            printer.text("\n".join(plain(line) for line in text.split("\n")))
        return 0


def repl(paths: HomePaths, output: str | None) -> int:
    """Carry out what is typed until the end of input. Answers 0 from a terminal, else the status of the
    first command that failed."""
    session = Session(paths, output, History(paths.console_history))
    if os.isatty(0) and os.isatty(1) and os.environ.get("TERM") != "dumb":
        from event_monitor.cli.prompt import converse

        return converse(session)
    return run_script(session, _lines())


def run_script(session: Session, lines: Iterator[str]) -> int:
    """Carry out lines of which a command may take several."""
    status = number = 0
    text = ""
    began = 1

    def complain(text: str, error: EventMonitorError) -> None:
        place = place_of(text, error)
        row, column = line_and_column(text, place[0] if place else 0)
        where = f"line {began + row - 1}, column {column}" if place else f"line {began}"
        report(f"{where}: {error}")

    for line in lines:
        number += 1
        if not text:
            began = number
        text += line
        try:
            outcome = session.run(text.removesuffix("\n"), complain)
        except Unfinished:
            continue
        except Leave:
            return status
        except KeyboardInterrupt:
            return _INTERRUPTED
        text = ""
        status = status or outcome
    if text:
        try:
            understand(text)
        except Unfinished as error:
            complain(text, error)
        status = status or 2
    return status


def point(text: str, error: EventMonitorError, indent: int = len(PROMPT)) -> None:
    """Say what is wrong with a line that stands above, and mark the place in it."""
    place = place_of(text, error)
    if place is not None:
        row, carets = caret_line(text, *place)
        whole = "\n" not in text and indent + len(row) <= terminal_width()
        shown = [" " * indent + carets] if whole else [row, carets]
        sys.stderr.write("".join(f"{one}\n" for one in shown))
    sys.stderr.write(f"{plain(str(error))}\n")
    sys.stderr.flush()


def _lines() -> Iterator[str]:
    # Line by line, so that a program that writes to the pipe is answered at once.
    while line := sys.stdin.readline():
        yield line
