"""The one-line grammar in which history is filtered, and times as people type them.

``command.# priority:high,critical -source:hook since:-2h until:14:30 /exit_code":[1-9]/ "two words"``
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from event_monitor.clock import parse_time, to_iso
from event_monitor.errors import InvalidRequest
from event_monitor.messages import HistoryFilter, HistoryTerms
from event_monitor.model import PRIORITIES, Status
from event_monitor.topics import TopicPattern

FIELDS = ("type", "status", "priority", "source", "since", "until", "correlation", "cause")
_FIELD = re.compile(r"([a-z_]+):(.*)", re.DOTALL)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_NUMBER = re.compile(r"#(\d{1,18})")
_ONCE = {"since", "until", "correlation", "cause"}


class FilterMistake(InvalidRequest):
    """A word of a filter that cannot be understood: it stands from ``start`` to before ``end``."""

    def __init__(self, message: str, advice: str, start: int, end: int) -> None:
        super().__init__(message, advice)
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class _Word:
    """One word as it stands in the text. ``quoted`` has no other meaning than its own letters."""

    text: str
    start: int
    end: int
    quoted: bool = False
    regex: bool = False
    negated: bool = False

    def mistake(self, message: str, advice: str) -> FilterMistake:
        return FilterMistake(message, advice, self.start, self.end)


@dataclass(slots=True)
class _Terms:
    types: list[str] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    priorities: list[Any] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    regexes: list[str] = field(default_factory=list)

    def frozen(self) -> dict[str, Any]:
        return {name: tuple(dict.fromkeys(getattr(self, name))) for name in self.__slots__}


def parse_filter(text: str, now: datetime) -> HistoryFilter:
    """The filter that a line means. Raises ``FilterMistake``.

    A word with ``*`` or ``#`` is a topic pattern, ``/.../`` a regular expression, ``#123`` an event;
    ``type:``, ``status:``, ``priority:``, ``source:``, ``since:``, ``until:``, ``correlation:`` and
    ``cause:`` name a field, with commas between alternatives; ``-`` before a word leaves out what fits
    it. Anything else is looked for in type, source and payload, whatever its case."""
    reader = _Reader(now)
    for word in _words(text):
        reader.take(word)
    return HistoryFilter(
        **reader.wanted.frozen(), without=HistoryTerms(**reader.without.frozen()), **reader.once
    )


def parse_moment(text: str, now: datetime) -> str:
    """A time as ISO 8601 in UTC: what ``event-cli`` takes, or a time of day (``14:30``), which is the
    last at which the clock here showed it. Raises ``InvalidRequest``."""
    word = text.strip()
    clock = _CLOCK.fullmatch(word)
    if clock is None:
        return to_iso(parse_time(word, now.timestamp()))
    hour, minute, second = (int(part or 0) for part in clock.groups())
    local = now.astimezone() if now.tzinfo is not None else now
    moment = local.replace(hour=hour, minute=minute, second=second, microsecond=0)
    if moment > local:
        moment -= timedelta(days=1)
    return to_iso(moment.timestamp())


class _Reader:
    """Gathers what the words mean."""

    def __init__(self, now: datetime) -> None:
        self.wanted = _Terms()
        self.without = _Terms()
        self.once: dict[str, Any] = {}
        self._now = now
        self._fields: dict[str, Callable[[_Word, str, _Terms], None]] = {
            "type": self._type,
            "status": self._status,
            "priority": self._priority,
            "source": lambda word, value, terms: terms.sources.append(value),
            "since": self._time("since"),
            "until": self._time("until"),
            "correlation": lambda word, value, terms: self._set(word, "correlation", value),
            "cause": self._cause,
        }

    def take(self, word: _Word) -> None:
        terms = self.without if word.negated else self.wanted
        if word.regex:
            terms.regexes.append(word.text)
            return
        named = _FIELD.fullmatch(word.text) if not word.quoted else None
        if named is not None and named[1] in self._fields:
            self._take_field(word, named[1], named[2], terms)
            return
        if named is not None:
            close = difflib.get_close_matches(named[1], FIELDS, 1, 0.75)
            if close:
                raise word.mistake(f"no field is named {named[1]}:", f"did you mean {close[0]}:")
        number = _NUMBER.fullmatch(word.text) if not (word.quoted or word.negated) else None
        if number is not None:
            self._set(word, "event_id", int(number[1]))
        elif not word.quoted and ("*" in word.text or "#" in word.text) and _is_pattern(word.text):
            terms.types.append(word.text)
        else:
            terms.words.append(word.text)

    def _take_field(self, word: _Word, name: str, value: str, terms: _Terms) -> None:
        if name in _ONCE and word.negated:
            raise word.mistake(f"{name}: cannot be left out", "write it without the minus")
        values = [value] if name in _ONCE else value.split(",")
        if not all(values):
            raise word.mistake(f"{name}: wants a value", f"such as {_EXAMPLES[name]}")
        for one in values:
            self._fields[name](word, one, terms)

    def _set(self, word: _Word, name: str, value: Any) -> None:
        if name in self.once:
            raise word.mistake(f"{word.text[:40]} is the second of its kind", "leave one of them out")
        self.once[name] = value

    def _type(self, word: _Word, value: str, terms: _Terms) -> None:
        if not _is_pattern(value):
            raise word.mistake(f"{value[:40]!r} is no topic pattern", "such as command.# or mcp.*.down")
        terms.types.append(value)

    def _status(self, word: _Word, value: str, terms: _Terms) -> None:
        terms.statuses.append(Status(_one_of(word, value.lower(), Status)))

    def _priority(self, word: _Word, value: str, terms: _Terms) -> None:
        known = type(PRIORITIES[0])
        terms.priorities.append(known(_one_of(word, value.upper(), known)))

    def _time(self, name: str) -> Callable[[_Word, str, _Terms], None]:
        def take(word: _Word, value: str, terms: _Terms) -> None:
            try:
                moment = parse_moment(value, self._now)
            except InvalidRequest:
                raise word.mistake(
                    f"{value[:40]!r} is no time", "such as 14:30, -2h or 2026-11-23T15:42:07Z"
                ) from None
            self._set(word, name, moment)

        return take

    def _cause(self, word: _Word, value: str, terms: _Terms) -> None:
        number = value.removeprefix("#")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise word.mistake(f"{value[:40]!r} is no event's number", "such as cause:18231")
        self._set(word, "cause", int(number))


_EXAMPLES = {
    "type": "type:command.#",
    "status": "status:dead",
    "priority": "priority:high",
    "source": "source:hook",
    "since": "since:-2h",
    "until": "until:14:30",
    "correlation": "correlation:c-17",
    "cause": "cause:18231",
}


def _one_of(word: _Word, value: str, kind: type[StrEnum]) -> str:
    known = [str(member.value) for member in kind]
    if value not in known:
        close = difflib.get_close_matches(value, known, 1)
        told = ", ".join(name.lower() for name in known)
        advice = f"did you mean {close[0].lower()}?" if close else f"one of {told}"
        raise word.mistake(f"{word.text[:40]}: nothing is called {value.lower()[:40]}", advice)
    return value


def _is_pattern(text: str) -> bool:
    try:
        TopicPattern(text)
    except InvalidRequest:
        return False
    return True


def _words(text: str) -> list[_Word]:
    """The words of a line: split at blanks, but for quotes and regular expressions."""
    words: list[_Word] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start = at
        negated = text[at] == "-" and at + 1 < len(text) and not text[at + 1].isspace()
        at += negated
        if text[at] == "/":
            content, at = _delimited(text, start, at, "/")
            words.append(_Word(content, start, at, regex=True, negated=negated))
        elif text[at] == '"':
            content, at = _delimited(text, start, at, '"')
            words.append(_Word(content, start, at, quoted=True, negated=negated))
        else:
            content, at = _bare(text, start, at)
            words.append(_Word(content, start, at, negated=negated))
    return words


def _bare(text: str, start: int, at: int) -> tuple[str, int]:
    """A word up to the next blank; what stands in quotes after its field's colon may hold blanks."""
    parts: list[str] = []
    while at < len(text) and not text[at].isspace():
        if text[at] == '"' and parts and parts[-1] == ":":
            content, at = _delimited(text, start, at, '"')
            parts.append(content)
        else:
            parts.append(text[at])
            at += 1
    return "".join(parts), at


def _delimited(text: str, start: int, at: int, mark: str) -> tuple[str, int]:
    """What stands between two marks; a backslash takes a mark's meaning away."""
    parts: list[str] = []
    at += 1
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] == mark:
            parts.append(mark)
            at += 2
        elif text[at] == mark:
            if not parts:
                raise FilterMistake("there is nothing between the marks", "write something", start, at + 1)
            return "".join(parts), at + 1
        else:
            parts.append(text[at])
            at += 1
    what = "regular expression" if mark == "/" else "quotation"
    raise FilterMistake(f"the {what} has no end", f"close it with {mark}", start, len(text))
