"""Splits a line into words as a shell does, but without a shell's traps: nothing is expanded, and a JSON
object needs no quotes and may go over several lines."""

from __future__ import annotations

import re

import msgspec

from event_monitor.errors import InvalidRequest

_CLOSED_BY = {"{": "}", "[": "]"}
# What means something to a shell only: taken for a word it would be published, or searched for.
_OPERATORS = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<"})
_IN_JSON = re.compile(r"""[{}\[\]"']""")
_IN_STRING = re.compile(r'["\\\n]')
_ORDINARY = re.compile(r"""[^\s'"\\]*""")
_NEEDS_QUOTES = re.compile(r"""[\s'"\\]|^\{""")
_NO_SHELL = "quote it to mean the text, or use event-cli in a shell"


class Word(msgspec.Struct, frozen=True):
    """A word and where it stands in its line. ``verbatim`` says that its text is what stands there."""

    text: str
    start: int
    end: int
    verbatim: bool = True


class LineError(InvalidRequest):
    """A line that is no command; what is wrong stands from ``start`` to ``end``."""

    def __init__(self, message: str, advice: str, start: int, end: int) -> None:
        super().__init__(message, advice)
        self.start = start
        self.end = end


class Unfinished(LineError):
    """A line that another one could complete: a quote, a bracket or a backslash is open."""


def split(text: str) -> list[Word]:
    """The words of a line. Raises ``Unfinished`` or ``LineError``."""
    scanner = _Scanner(text)
    scanner.scan()
    if scanner.open_at is not None:
        place = scanner.open_at
        if scanner.in_string:
            raise LineError("this text is not closed", 'write " at its end', place, len(text))
        raise Unfinished(
            f"{text[place]} is not closed", "close it, or quote it to mean itself", place, place + 1
        )
    for word in scanner.words:
        if word.verbatim and word.text in _OPERATORS:
            raise LineError(f"{word.text} is for a shell, and here is none", _NO_SHELL, word.start, word.end)
    return scanner.words


def split_before(text: str) -> tuple[list[Word], Word]:
    """The whole words of a text, and the word that its end is in or that would begin there. Raises
    ``LineError`` where the text can be no command whatever follows."""
    scanner = _Scanner(text)
    scanner.scan()
    words = scanner.words
    if words and words[-1].end == len(text):
        return words[:-1], words[-1]
    return words, Word("", len(text), len(text))


def quote(text: str) -> str:
    """A text as the word that ``split`` makes it of."""
    if text and text not in _OPERATORS and not _NEEDS_QUOTES.search(text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"


class _Scanner:
    """Goes over a line once. ``open_at`` is where the innermost thing began that the line does not close."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: list[Word] = []
        self.open_at: int | None = None
        self.in_string = False
        """Whether that is a text in JSON, which ends on its line."""
        self._at = 0

    def scan(self) -> None:
        """Find all words."""
        text = self.text
        while True:
            while self._at < len(text) and text[self._at].isspace():
                self._at += 1
            if self._at >= len(text):
                return
            start = self._at
            parts: list[str] = []
            if text[start] == "{":
                self._pass_json()
                parts.append(text[start : self._at])
            while self._at < len(text) and not text[self._at].isspace():
                parts.append(self._piece())
            word = "".join(parts)
            # A word of nothing is one where quotes say so; a line's continuation is none.
            if word or self.open_at is not None or text[start] in "'\"":
                self.words.append(Word(word, start, self._at, word == text[start : self._at]))

    def _piece(self) -> str:
        """The next character, quoted text or escaped character of a word."""
        text, start = self.text, self._at
        mark = text[start]
        self._at += 1
        if mark not in "'\"\\":
            self._at = _ORDINARY.match(text, start).end()  # type: ignore[union-attr]
            return text[start : self._at]
        if mark == "'":
            end = text.find("'", start + 1)
            if end < 0:
                return self._rest(start)
            self._at = end + 1
            return text[start + 1 : end]
        if mark == '"':
            return self._double_quoted(start)
        if self._at == len(text):
            self.open_at = start
            return ""
        self._at += 1
        return "" if text[start + 1] == "\n" else text[start + 1]

    def _double_quoted(self, start: int) -> str:
        text, parts = self.text, list[str]()
        while self._at < len(text):
            mark = text[self._at]
            self._at += 1
            if mark == '"':
                return "".join(parts)
            if mark == "\\" and text[self._at : self._at + 1] in ('"', "\\", "\n"):
                mark = text[self._at] if text[self._at] != "\n" else ""
                self._at += 1
            parts.append(mark)
        self.open_at = start
        return "".join(parts)

    def _rest(self, start: int) -> str:
        self.open_at = start
        self._at = len(self.text)
        return self.text[start + 1 :]

    def _pass_json(self) -> None:
        """Go to where the brackets are balanced."""
        text, opened = self.text, list[int]()
        while (found := _IN_JSON.search(text, self._at)) is not None:
            place, mark = found.start(), found[0]
            self._at = found.end()
            if mark in "{[":
                opened.append(place)
            elif mark in "}]":
                if _CLOSED_BY[text[opened[-1]]] != mark:
                    wanted = _CLOSED_BY[text[opened[-1]]]
                    raise LineError(
                        f"{mark} closes nothing here", f"{wanted} would close what is open", place, place + 1
                    )
                opened.pop()
                if not opened:
                    return
            elif mark == '"':
                self._pass_string(place)
                if self.open_at is not None:
                    return
            elif mark == "'":
                raise LineError(
                    "' begins no text in JSON", 'write texts in double quotes: "text"', place, place + 1
                )
        self._at = len(text)
        self.open_at = opened[-1]

    def _pass_string(self, start: int) -> None:
        text = self.text
        while (found := _IN_STRING.search(text, self._at)) is not None:
            mark = found[0]
            self._at = found.end()
            if mark == '"':
                return
            if mark == "\n":
                raise LineError(
                    "this text goes over the end of its line", r"write a new line as \n", start, self._at - 1
                )
            if mark == "\\":
                self._at += 1
        self._at = len(text)
        self.open_at = start
        self.in_string = True
