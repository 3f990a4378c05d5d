"""Topic patterns in AMQP syntax: ``*`` is exactly one word, ``#`` is zero or more words."""

from __future__ import annotations

import re

from event_monitor.errors import InvalidRequest

_WORD = re.compile(r"[a-z0-9_-]+")
_MAX_LENGTH = 255
_WILDCARDS = ("*", "#")


class TopicPattern:
    """A checked pattern, equal to another of the same text. Raises ``InvalidRequest`` if the text
    is none."""

    __slots__ = ("_accepted", "_any_number", "_one", "_prefix", "_text", "_words")

    def __init__(self, text: str) -> None:
        words = text.split(".")
        if len(text) > _MAX_LENGTH or not all(word in _WILDCARDS or _WORD.fullmatch(word) for word in words):
            raise InvalidRequest(
                f"{text[:80]!r} is not a topic pattern",
                "write dot-separated words of a-z, 0-9, _ and -, with * for one word and # for any number",
            )
        self._text = text
        self._prefix = _literal_prefix(words)
        self._compile(words)

    def _compile(self, words: list[str]) -> None:
        """Bit n of a mask stands for the place before word n: the places where a word may be eaten."""
        self._words: dict[str, int] = {}
        self._one = self._any_number = 0
        place = 1
        previous = ""
        for word in words:
            # "#.#" is "#": so one shift is all that a "#" which matches nothing needs.
            if word == previous == "#":
                continue
            if word == "#":
                self._any_number |= place
            elif word == "*":
                self._one |= place
            else:
                self._words[word] = self._words.get(word, 0) | place
            place <<= 1
            previous = word
        self._accepted = place

    @property
    def prefix(self) -> str:
        """The literal words before the first wildcard, such as ``mcp.call`` of ``mcp.call.#``; all
        of a pattern without wildcards. What matches is the prefix itself or begins with it and a dot."""
        return self._prefix

    @property
    def is_literal(self) -> bool:
        """Whether it has no wildcard, and so matches itself only."""
        return len(self._prefix) == len(self._text)

    def matches(self, event_type: str) -> bool:
        """Whether an event type matches, in time that grows with its words only."""
        if self.is_literal:
            return event_type == self._text
        words, one, any_number = self._words, self._one, self._any_number
        places = 1 | (1 & any_number) << 1
        for word in event_type.split("."):
            places = (places & (words.get(word, 0) | one)) << 1 | places & any_number
            if not places:
                return False
            places |= (places & any_number) << 1
        return bool(places & self._accepted)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"TopicPattern({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TopicPattern) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def _literal_prefix(words: list[str]) -> str:
    literal = []
    for word in words:
        if word in _WILDCARDS:
            break
        literal.append(word)
    return ".".join(literal)
