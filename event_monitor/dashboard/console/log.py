"""What was typed in the console and what came of it, as lines. Bounded: the oldest goes first."""

from __future__ import annotations

import textwrap
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from event_monitor.dashboard.detail import highlighted
from event_monitor.grammar.render import event_line
from event_monitor.grammar.repl.pointing import caret_line
from event_monitor.grammar.steps import Show, json_of, text_of
from event_monitor.model import Event
from event_monitor.redaction import redact
from event_monitor.widgets.folding import wrapped
from event_monitor.widgets.text import Line, clip, line, plain

MAX_LINES = 2_000
MAX_STREAM = 500
MAX_KEPT_BYTES = 2_097_152
"""Results beyond it are kept as the lines that they are shown as."""
PROMPT = "event> "
_CONTINUED = "    …> "
_LONGEST = 8_192
_NARROWEST = 10
_FROZEN_WIDTH = 100


class Entry(Protocol):
    """A part of the output."""

    def lines(self, width: int, json: bool) -> Sequence[Line]:
        """What to show of it."""


class Typed:
    """A line as it was typed, secrets masked; ``place`` is the part of it that is wrong."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place: tuple[int, int] | None = None

    def lines(self, width: int, json: bool) -> Sequence[Line]:
        lines: list[Line] = []
        begin = 0
        for number, row in enumerate(self.text.split("\n")):
            before = (_CONTINUED if number else PROMPT, "dim")
            start, end = self._marked(begin, len(row))
            parts = (plain(row[:start]), (plain(row[start:end]), "bad-strong"), plain(row[end:]))
            lines += wrapped(line(before, *parts), width)
            begin += len(row) + 1
        if self.place is not None:
            row, carets = caret_line(self.text, *self.place)
            if len(PROMPT) + len(row) < width:
                last = self.text.count("\n", 0, self.place[0]) + 1
                lines.insert(last, line(" " * len(PROMPT), (carets, "bad-strong")))
        return lines

    def _marked(self, begin: int, length: int) -> tuple[int, int]:
        if self.place is None:
            return length, length
        start, end = (min(max(0, place - begin), length) for place in self.place)
        return start, end


class Text:
    """Lines of text: help, a refusal, a remark."""

    def __init__(self, text: str, tone: str = "") -> None:
        self.text = text
        self._tone = tone

    def lines(self, width: int, json: bool) -> Sequence[Line]:
        rows = [
            line((f"  {part}", self._tone))
            for row in self.text.split("\n")
            for part in _folded(plain(row), width - 2)
        ]
        # Wide characters and long words are broken where they must be.
        return [part for row in rows for part in wrapped(row, width)]


class Result:
    """What a command answered, as a table or as JSON; ``fixed`` is what was asked for with it."""

    def __init__(self, shown: Show, mask: Sequence[str], fixed: bool | None = None) -> None:
        self._shown = shown
        self._mask = mask
        self._fixed = fixed
        self._json = list(json_of(shown))
        self.size = sum(map(len, self._json))

    def lines(self, width: int, json: bool) -> Sequence[Line]:
        if json if self._fixed is None else self._fixed:
            return [part for row in self._json for part in _json_lines(row, self._mask, width)]
        rows = text_of(self._shown, max(20, width - 2), self._mask).split("\n")
        return [clip(line("  ", (plain(row), "dim" if row.isupper() else "")), width) for row in rows]

    def text(self, json: bool) -> str:
        """All of it, to be copied."""
        if json if self._fixed is None else self._fixed:
            return b"\n".join(self._json).decode()
        return text_of(self._shown, _LONGEST, self._mask)


class Stream:
    """Events as they come: the newest of them."""

    def __init__(self, mask: Sequence[str], fixed: bool | None = None) -> None:
        self._mask = mask
        self._fixed = fixed
        self._events: deque[tuple[str, bytes]] = deque(maxlen=MAX_STREAM)
        self.seen = 0

    def add(self, events: Sequence[Event]) -> None:
        """Take more, the newest last."""
        for event in events:
            encoded = msgspec.json.encode(redact(msgspec.to_builtins(event), self._mask))
            self._events.append((event_line(event, _LONGEST, self._mask), encoded[:_LONGEST]))
        self.seen += len(events)

    def skip(self, text: str) -> None:
        """Say that some are missing here."""
        self._events.append((text, msgspec.json.encode({"gap": text})))

    def lines(self, width: int, json: bool) -> Sequence[Line]:
        lines: list[Line] = []
        json = json if self._fixed is None else self._fixed
        left_out = self.seen - len(self._events)
        if left_out > 0:
            lines.append(line((f"  … {left_out:,} before are not shown any more", "dim")))
        for text, encoded in self._events:
            if json:
                lines += _json_row(encoded.decode(errors="replace"), width)
            else:
                lines.append(clip(line(f"  {plain(text)}"), width))
        return lines

    def text(self, json: bool) -> str:
        """All that is kept, to be copied."""
        json = json if self._fixed is None else self._fixed
        return "\n".join(encoded.decode(errors="replace") if json else text for text, encoded in self._events)


class _Laid:
    """An entry with its lines as they were last laid out."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._key: tuple[int, bool] | None = None
        self._lines: Sequence[Line] = ()

    def lines(self, width: int, json: bool) -> Sequence[Line]:
        """The lines for a width, laid out only if they have to be."""
        if self._key != (width, json):
            self._lines = self.entry.lines(max(_NARROWEST, width), json)
            self._key = (width, json)
        return self._lines

    def forget(self) -> None:
        """Lay out again."""
        self._key = None


class Log:
    """The output of a console."""

    def __init__(self) -> None:
        self.json = False
        self._laid: list[_Laid] = []

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self._laid

    @property
    def last(self) -> Result | Stream | None:
        """The last result."""
        entries = (laid.entry for laid in reversed(self._laid))
        return next((entry for entry in entries if isinstance(entry, Result | Stream)), None)

    def add(self, entry: Entry) -> None:
        """Show one more."""
        self._laid.append(_Laid(entry))
        kept = 0
        for laid in reversed(self._laid):
            result = laid.entry
            if isinstance(result, Result):
                kept += result.size
                if kept > MAX_KEPT_BYTES and result is not entry:
                    self._freeze(laid)

    def change(self, old: Entry, new: Entry) -> None:
        """Show ``new`` in the place of ``old``, or at the end if that is gone."""
        for place, laid in enumerate(self._laid):
            if laid.entry is old:
                self._laid[place] = _Laid(new)
                return
        self.add(new)

    def changed(self, entry: Entry) -> None:
        """An entry is to be laid out again."""
        for laid in self._laid:
            if laid.entry is entry:
                laid.forget()

    def clear(self) -> None:
        """Show nothing."""
        self._laid.clear()

    def lines(self, width: int) -> list[Line]:
        """All lines, the oldest first, at most ``MAX_LINES``. What does not fit any more is forgotten."""
        parts: list[Sequence[Line]] = []
        count = 0
        for laid in reversed(self._laid):
            rows = laid.lines(width, self.json)
            parts.append(rows)
            count += len(rows)
            if count >= MAX_LINES:
                break
        del self._laid[: len(self._laid) - len(parts)]
        return [row for rows in reversed(parts) for row in rows][-MAX_LINES:]

    def _freeze(self, laid: _Laid) -> None:
        rows = laid.lines(_FROZEN_WIDTH, self.json)[:MAX_LINES]
        laid.entry = Text("\n".join(row.text.removeprefix("  ") for row in rows))
        laid.forget()


def _folded(row: str, width: int) -> list[str]:
    """A row broken between its words, its indentation kept."""
    indent = " " * min(len(row) - len(row.lstrip()), width // 2)
    return textwrap.wrap(row, width, subsequent_indent=indent) or [""] if len(row) > width else [row]


def _json_lines(row: bytes, mask: Sequence[str], width: int) -> list[Line]:
    return _json_row(msgspec.json.encode(redact(msgspec.json.decode(row), mask)).decode(), width)


def _json_row(text: str, width: int) -> list[Line]:
    return wrapped(line("  ", *highlighted(plain(text, _LONGEST))), width)
