"""What event-cli prints: results on stdout, one line for an error on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Any

import msgspec

from event_monitor.cli import stdio
from event_monitor.errors import EventMonitorError, error_from_code
from event_monitor.grammar.json_lines import render_json
from event_monitor.grammar.text import plain, safe_json
from event_monitor.replies.general import Published

_BAD_INPUT = frozenset({"invalid_event", "invalid_request"})
_NO_BUS = frozenset({"no_bus", "bus_closed"})


_UNBOUNDED = 10_000
_USUAL_WIDTH = 80


class ReaderGone(Exception):
    """Nobody reads stdout any more."""


class Printer:
    """Prints replies on stdout as ``json`` or ``table``."""

    def __init__(self, output: str | None) -> None:
        self.terminal = os.isatty(1)
        self.json = (output or ("table" if self.terminal else "json")) == "json"

    @property
    def width(self) -> int:
        """Cells of the terminal; a table that goes elsewhere is not cut."""
        return terminal_width() if self.terminal else _UNBOUNDED

    def reply(self, reply: Any) -> None:
        """Print a reply. Raises ``ReaderGone``."""
        if self.json:
            self.lines(render_json(reply))
        else:
            from event_monitor.grammar.render import render_table

            self.text(render_table(reply, self.width))

    def lines(self, lines: Iterable[bytes]) -> None:
        """Print JSON lines; on a terminal with every unsafe character escaped. Raises ``ReaderGone``."""
        for line in lines:
            self._write((safe_json(line.decode()).encode() if self.terminal else line) + b"\n")

    def text(self, text: str) -> None:
        """Print text that is plain already. Raises ``ReaderGone``."""
        self._write(text.encode("utf-8", "replace") + b"\n")

    def clear(self) -> None:
        """Empty the terminal for a table that is shown again."""
        self._write(b"\x1b[H\x1b[J")

    def _write(self, data: bytes) -> None:
        if not stdio.write(1, data):
            raise ReaderGone


def terminal_width() -> int:
    """Cells of the terminal on stdout; 80 where there is none."""
    try:
        return os.get_terminal_size(1).columns or _USUAL_WIDTH
    except OSError:
        return _USUAL_WIDTH


def report(message: str) -> None:
    """One line on stderr, if anybody can read it."""
    with contextlib.suppress(OSError):
        stdio.write(2, f"event-cli: {plain(message)}\n".encode("utf-8", "replace"))


def report_error(error: EventMonitorError) -> int:
    """Report an error and return the exit status that stands for it."""
    report(str(error))
    return exit_status(error.code)


def report_failure(error: OSError | UnicodeError) -> int:
    """Report that a stream or a file failed, or that input was not text; return the exit status."""
    if isinstance(error, UnicodeError):
        report("the input is not UTF-8 text (convert it, for example with iconv)")
        return 2
    where = f"{error.filename}: " if error.filename else ""
    report(
        f"{where}{error.strerror or error} (see that input and output can be used and the disk is not full)"
    )
    return 1


def exit_status(code: str) -> int:
    """1 for what the bus refused or could not do, 2 for bad input, 3 where no bus is."""
    if code in _BAD_INPUT:
        return 2
    return 3 if code in _NO_BUS else 1


def report_refusal(error: bytes) -> int:
    """Report the error object of a refusal and return the exit status."""
    fields = msgspec.json.decode(error, type=dict[str, str])
    return report_error(error_from_code(fields["code"], fields["message"], fields.get("advice", "")))


def show_published(result: bytes, output: str) -> int:
    """Print the reply to ``publish``."""
    with contextlib.suppress(ReaderGone):
        Printer(output).reply(msgspec.json.decode(result, type=Published))
    return 0


def confirm(question: str) -> bool:
    """Ask on the terminal; anything but a yes is a no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
