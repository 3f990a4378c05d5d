"""Topic patterns in AMQP syntax: ``*`` is exactly one word, ``#`` is zero or more words."""

from __future__ import annotations

import re

from event_monitor.errors import InvalidRequest

_WORD = re.compile(r"[a-z0-9_-]+")
_MAX_LENGTH = 255


class TopicPattern:
    """A checked pattern. Raises ``InvalidRequest`` if the text is none."""

    __slots__ = ("_text", "_words")

    def __init__(self, text: str) -> None:
        words = tuple(text.split("."))
        if len(text) > _MAX_LENGTH or not all(word in ("*", "#") or _WORD.fullmatch(word) for word in words):
            raise InvalidRequest(
                f"{text[:80]!r} is not a topic pattern",
                "write dot-separated words of a-z, 0-9, _ and -, with * for one word and # for any number",
            )
        self._text = text
        self._words = words

    def matches(self, event_type: str) -> bool:
        """Whether an event type matches. Time grows with words times words, never faster."""
        reachable = {0}
        for word in event_type.split("."):
            reachable = {
                following for place in self._closure(reachable) for following in self._step(place, word)
            }
            if not reachable:
                return False
        return len(self._words) in self._closure(reachable)

    def _closure(self, places: set[int]) -> set[int]:
        """``#`` may match nothing: the places behind it are reachable too."""
        reached = set(places)
        for place in sorted(places):
            while place < len(self._words) and self._words[place] == "#":
                place += 1
                reached.add(place)
        return reached

    def _step(self, place: int, word: str) -> tuple[int, ...]:
        if place == len(self._words):
            return ()
        expected = self._words[place]
        if expected == "#":
            return (place,)
        return (place + 1,) if expected in ("*", word) else ()

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"TopicPattern({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TopicPattern) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)
