"""The index of patterns finds what asking each pattern finds, in the same order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from event_monitor import topic_index
from event_monitor.topic_index import TopicIndex
from event_monitor.topics import TopicPattern

PATTERNS = st.lists(
    st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=5).map(".".join), max_size=12
)
TYPES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6).map(".".join)


@given(PATTERNS, TYPES)
@example(["#", "a.#", "#.a", "#.#", "a.#.#.a"], "a")
@example(["a", "a", "*"], "a")
def test_it_finds_what_asking_every_pattern_finds(texts: list[str], event_type: str) -> None:
    patterns = [TopicPattern(text) for text in texts]
    expected = [number for number, pattern in enumerate(patterns) if pattern.matches(event_type)]
    assert TopicIndex(patterns).find(event_type) == expected


def test_only_branches_that_can_match_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    index = TopicIndex(TopicPattern(f"area{number}.#.failed") for number in range(1_000))
    looked_at = 0
    enter = topic_index._enter

    def counted(*arguments: Any) -> None:
        nonlocal looked_at
        looked_at += 1
        enter(*arguments)

    monkeypatch.setattr(topic_index, "_enter", counted)
    assert index.find("area7.disk.failed") == [7]
    assert looked_at < 20
