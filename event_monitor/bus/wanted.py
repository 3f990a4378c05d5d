"""A filter over history made ready: what SQLite tests of an event, and what is tested here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from event_monitor.bus.rules import INSPECTED, compile_regex
from event_monitor.clock import parse_time, to_iso
from event_monitor.messages.explorer import HistoryFilter, HistoryTerms
from event_monitor.model import Status
from event_monitor.topics import TopicPattern

_NAMES = 4_096
_TEXTS = ("e.event_type", "e.source", "e.payload")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an event must be. ``words`` and ``without_words`` are those that SQLite cannot compare
    whatever their case, folded; times are ISO 8601."""

    where: HistoryFilter
    types: tuple[TopicPattern, ...] = ()
    without_types: tuple[TopicPattern, ...] = ()
    regexes: tuple[_Regex, ...] = ()
    without_regexes: tuple[_Regex, ...] = ()
    words: tuple[str, ...] = ()
    without_words: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None

    @property
    def event_id(self) -> int | None:
        """The one event that is wanted, if one is named."""
        return self.where.event_id

    @property
    def cause(self) -> int | None:
        """The event whose effects are wanted, if one is named."""
        return self.where.cause

    @property
    def statuses(self) -> tuple[Status, ...]:
        """One of these, if any is named."""
        return self.where.statuses

    @property
    def tests_types(self) -> bool:
        """Whether the type matters."""
        return bool(self.types or self.without_types)

    @property
    def in_python(self) -> bool:
        """Whether something is left for ``passes`` beside the type."""
        return bool(self.regexes or self.without_regexes or self.words or self.without_words)

    def lets_type_through(self, event_type: str) -> bool:
        """Whether events of a type may be wanted."""
        if self.types and not any(pattern.matches(event_type) for pattern in self.types):
            return False
        return not any(pattern.matches(event_type) for pattern in self.without_types)

    def passes(self, row: Sequence[Any], *, typed: bool) -> bool:
        """What SQLite could not test. ``typed`` says that the type was chosen already."""
        event_type, payload, source = row[2], row[3], row[7] or ""
        if not typed and self.tests_types and not self.lets_type_through(event_type):
            return False
        if not self.in_python:
            return True
        if not all(regex.finds(event_type, source, payload) for regex in self.regexes):
            return False
        if any(regex.finds(event_type, source, payload) for regex in self.without_regexes):
            return False
        if not (self.words or self.without_words):
            return True
        folded = "\n".join((event_type, source, payload)).casefold()
        return all(word in folded for word in self.words) and not any(
            word in folded for word in self.without_words
        )

    def conditions(self) -> tuple[list[str], list[Any]]:
        """The same filter in SQL, as far as it goes, with its values. A plus keeps SQLite from walking by
        way of that column's index, which would have to be sorted by id again."""
        conditions: list[str] = []
        values: list[Any] = []
        for test, bound in _tests(self.where):
            conditions.append(test)
            values += bound
        for test, bound in _tests(self.where.without, exactly=True):
            conditions.append(f"NOT {test}")
            values += bound
        if self.where.correlation is not None:
            conditions.append("+e.correlation_id = ?")
            values.append(self.where.correlation)
        for edge, comparison in ((self.since, ">="), (self.until, "<")):
            if edge is not None:
                conditions.append(f"+e.timestamp {comparison} ?")
                values.append(edge)
        return conditions, values


def make_ready(where: HistoryFilter, now: float) -> Wanted:
    """Check and compile a filter. Raises ``InvalidRequest``."""
    without = where.without
    return Wanted(
        where=where,
        types=tuple(map(TopicPattern, where.types)),
        without_types=tuple(map(TopicPattern, without.types)),
        regexes=tuple(map(_Regex, where.regexes)),
        without_regexes=tuple(map(_Regex, without.regexes)),
        words=tuple(word.casefold() for word in where.words if _cased(word)),
        without_words=tuple(word.casefold() for word in without.words if _cased(word)),
        since=None if where.since is None else to_iso(parse_time(where.since, now)),
        until=None if where.until is None else to_iso(parse_time(where.until, now)),
    )


class _Regex:
    """A regular expression that remembers what it found in types and sources, which are few."""

    def __init__(self, text: str) -> None:
        self._search = compile_regex(text).search
        self._known: dict[str, bool] = {}

    def finds(self, event_type: str, source: str, payload: str) -> bool:
        """Whether it is found in one of the texts."""
        if self._in_name(event_type) or self._in_name(source):
            return True
        return self._search(payload[:INSPECTED]) is not None

    def _in_name(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            known = self._search(name) is not None
            if len(self._known) < _NAMES:
                self._known[name] = known
        return known


def _tests(terms: HistoryTerms, *, exactly: bool = False) -> list[tuple[str, list[Any]]]:
    """Each kind of terms in SQL. A word that SQLite cannot compare is left out if ``exactly``, else
    what is certain to be found with it is looked for."""
    tests: list[tuple[str, list[Any]]] = []
    if terms.statuses:
        tests.append((_in("+e.status", terms.statuses), [str(status) for status in terms.statuses]))
    if terms.priorities:
        tests.append((_in("+e.priority", terms.priorities), [level.rank for level in terms.priorities]))
    if terms.sources:
        either = " OR ".join(["COALESCE(e.source, '') LIKE ? ESCAPE '\\'"] * len(terms.sources))
        tests.append((f"({either})", [_escaped(source).replace("*", "%") for source in terms.sources]))
    for word in terms.words:
        if not (exactly and _cased(word)):
            either = " OR ".join(f"COALESCE({text}, '') LIKE ? ESCAPE '\\'" for text in _TEXTS)
            tests.append((f"({either})", [f"%{_likely(word)}%"] * len(_TEXTS)))
    return tests


def _in(column: str, values: Sequence[object]) -> str:
    return f"{column} IN ({', '.join('?' * len(values))})"


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _cased(word: str) -> bool:
    """Whether it has letters whose case SQLite does not know."""
    return any(not letter.isascii() and letter.lower() != letter.upper() for letter in word)


def _likely(word: str) -> str:
    """A LIKE pattern for a word, with a gap for each letter whose case SQLite does not know."""
    return "".join("%" if _cased(letter) else _escaped(letter) for letter in word)
