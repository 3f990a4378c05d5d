"""Finds which of many topic patterns match an event type, in time that hardly grows with their number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from event_monitor.topics import TopicPattern


@dataclass(slots=True, eq=False)
class _Node:
    """The place behind a pattern's first words. ``one`` is where ``*`` leads, ``any_number`` where
    ``#`` does; ``stays`` says that this place is behind a ``#``, which eats further words."""

    words: dict[str, _Node] = field(default_factory=dict)
    one: _Node | None = None
    any_number: _Node | None = None
    stays: bool = False
    ends: list[int] = field(default_factory=list)


class TopicIndex:
    """Patterns in a tree of their words: only branches that an event type can take are looked at."""

    __slots__ = ("_root",)

    def __init__(self, patterns: Iterable[TopicPattern]) -> None:
        self._root = _Node()
        for number, pattern in enumerate(patterns):
            self._add(number, pattern)

    def _add(self, number: int, pattern: TopicPattern) -> None:
        node = self._root
        for word in str(pattern).split("."):
            if word == "#":
                if node.any_number is None:
                    node.any_number = _Node(stays=True)
                node = node.any_number
            elif word == "*":
                if node.one is None:
                    node.one = _Node()
                node = node.one
            else:
                node = node.words.setdefault(word, _Node())
        node.ends.append(number)

    def find(self, event_type: str) -> list[int]:
        """The numbers of the patterns that match, rising, in the order in which they were given from 0."""
        places: dict[_Node, None] = {}
        _enter(self._root, places)
        for word in event_type.split("."):
            following: dict[_Node, None] = {}
            for node in places:
                if node.stays:
                    _enter(node, following)
                _enter(node.words.get(word), following)
                _enter(node.one, following)
            places = following
        return sorted(number for node in places for number in node.ends)


def _enter(node: _Node | None, places: dict[_Node, None]) -> None:
    """Add a place, and those behind it that a ``#`` without words leads to."""
    while node is not None and node not in places:
        places[node] = None
        node = node.any_number
