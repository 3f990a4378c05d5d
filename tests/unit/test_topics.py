"""Topic patterns: AMQP's meaning of ``*`` and ``#``, and no pattern that takes long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.errors import InvalidRequest
from event_monitor.topics import TopicPattern


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("backup.completed", ["backup.completed"], ["backup", "backup.completed.late", "backup.completedx"]),
        ("mcp.*", ["mcp.down"], ["mcp", "mcp.server.down", "xmcp.down"]),
        ("mcp.#", ["mcp", "mcp.down", "mcp.server.down"], ["mcpx.down", "x.mcp"]),
        ("#", ["a", "a.b.c"], []),
        ("*", ["a"], ["a.b"]),
        ("#.failed", ["failed", "a.failed", "a.b.failed"], ["failed.a", "a.failedx"]),
        ("a.#.z", ["a.z", "a.b.z", "a.b.c.z", "a.z.z"], ["a", "z", "a.z.b"]),
        ("#.*", ["a", "a.b"], []),
        ("*.#.*", ["a.b", "a.b.c"], ["a"]),
        ("#.#.a.#.#", ["a", "b.a", "a.b", "b.a.c"], ["b"]),
        ("a.a.#.a", ["a.a.a", "a.a.b.a"], ["a.a", "a.a.b"]),
    ],
)
def test_star_is_one_word_and_hash_any_number(pattern: str, matching: list[str], other: list[str]) -> None:
    compiled = TopicPattern(pattern)
    assert [text for text in matching if not compiled.matches(text)] == []
    assert [text for text in other if compiled.matches(text)] == []


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "A", "a b", "a*", "**", "##", "a.#b", "ä", "a\n", "a" * 256]
)
def test_what_is_no_pattern_is_refused_with_advice(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a topic pattern") as caught:
        TopicPattern(text)
    assert "with * for one word and # for any number" in caught.value.advice


def test_a_refusal_shows_no_control_character() -> None:
    with pytest.raises(InvalidRequest) as caught:
        TopicPattern("a.\x1b[31m")
    assert caught.value.message.isprintable()


def naive(pattern: list[str], words: list[str]) -> bool:
    """The definition, word for word."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return naive(pattern[1:], words) or (bool(words) and naive(pattern, words[1:]))
    return bool(words) and pattern[0] in ("*", words[0]) and naive(pattern[1:], words[1:])


WORDS = st.sampled_from(["a", "b", "c"])


@given(
    st.lists(st.one_of(WORDS, st.sampled_from(["*", "#"])), min_size=1, max_size=7),
    st.lists(WORDS, min_size=1, max_size=7),
)
def test_it_matches_what_the_definition_matches(pattern: list[str], words: list[str]) -> None:
    assert TopicPattern(".".join(pattern)).matches(".".join(words)) is naive(pattern, words)


@given(
    st.lists(st.one_of(WORDS, st.sampled_from(["*", "#"])), min_size=1, max_size=6),
    st.lists(WORDS, min_size=1, max_size=6),
)
def test_whatever_matches_begins_with_the_prefix(pattern: list[str], words: list[str]) -> None:
    compiled, event_type = TopicPattern(".".join(pattern)), ".".join(words)
    if compiled.matches(event_type):
        assert f"{event_type}.".startswith(f"{compiled.prefix}." if compiled.prefix else "")


def test_prefix_ends_before_the_first_wildcard() -> None:
    assert [TopicPattern(text).prefix for text in ("a.b", "a.b.#", "a.*.b", "#.a")] == ["a.b", "a.b", "a", ""]
    assert [TopicPattern(text).is_literal for text in ("a.b", "a.b.#", "*")] == [True, False, False]


def test_many_hashes_do_not_blow_up() -> None:
    pattern = TopicPattern(".".join(["#", "a"] * 63 + ["b"]))
    event_type = ".".join(["a"] * 127)
    # Backtracking would not return within the age of the universe.
    assert not pattern.matches(event_type)


def test_patterns_of_the_same_text_are_equal() -> None:
    assert {TopicPattern("a.#"), TopicPattern("a.#")} == {TopicPattern("a.#")}
    assert TopicPattern("a.#") != TopicPattern("a.*")
    assert (str(TopicPattern("a.#")), repr(TopicPattern("a.#"))) == ("a.#", "TopicPattern('a.#')")
