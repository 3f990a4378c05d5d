"""The feed's filter: plain words and topic patterns, all of which must fit."""

from __future__ import annotations

from collections.abc import Callable

from event_monitor.errors import InvalidRequest
from event_monitor.model import FeedItem
from event_monitor.topics import TopicPattern

Predicate = Callable[[FeedItem], bool]


def parse_filter(text: str) -> Predicate | None:
    """A test for the words of ``text``; ``None`` if there is none.

    A word with ``*`` or ``#`` is a topic pattern for the type; any other is looked for, whatever
    its case, in the type, the summary, the priority and the status. A pattern that is not
    complete yet is looked for as plain text.
    """
    tests = [_test(word.lower()) for word in text.split()]
    return (lambda item: all(test(item) for test in tests)) if tests else None


def _test(word: str) -> Predicate:
    if "*" in word or "#" in word:
        try:
            pattern = TopicPattern(word)
        except InvalidRequest:
            pass
        else:
            return lambda item: pattern.matches(item.event_type)
    return lambda item: word in f"{item.event_type} {item.summary} {item.priority} {item.status}".lower()
