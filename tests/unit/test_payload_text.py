"""A payload that a person edits: nothing of it is lost, no secret of it is shown, mistakes have a place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.grammar.payload_text import Mistake, PayloadText, escaped
from event_monitor.redaction import hide, unhide

MASK = ("token", "password")
KEYS = st.one_of(st.sampled_from(["token", "PASS-WORD", "max_tokens", "name"]), st.text(max_size=5))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
PAYLOADS = st.dictionaries(KEYS, VALUES, max_size=5)


@given(PAYLOADS)
def test_what_nobody_changes_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    text = PayloadText(payload, MASK)
    assert text.read(text.text) == payload
    assert all(row.isprintable() for row in text.text.split("\n"))
    assert escaped(text.text) == text.text


@given(st.text(min_size=12), st.dictionaries(KEYS, VALUES, max_size=3))
def test_a_secret_is_a_mark_wherever_it_stands(secret: str, around: dict[str, Any]) -> None:
    payload = {"x": [{"token": f"s3cret{secret}", "n": 1}], **around}
    text = PayloadText(payload, MASK)
    assert "s3cret" not in text.text


def test_marks_may_be_moved_and_taken_out() -> None:
    text = PayloadText({"a": {"token": "one"}, "b": {"token": "two"}, "c": 1}, MASK)
    assert text.read('{"b": {"token": "[masked 1]"}, "d": ["[masked 2]"]}') == {
        "b": {"token": "one"},
        "d": ["two"],
    }


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('{"a": 1,}', (1, 9), ""),
        ('{\n  "a": 1\n  "b": 2\n}', (3, 3), "delimiter"),
        ("[1]", (1, 1), "a JSON object"),
        ("", (1, 1), ""),
        ('{"a": NaN}', (0, 0), "NaN"),
        ('{"a": 1, "a": 2}', (0, 0), "'a' stands twice"),
        ('{"a": ["[masked 7]"]}', (0, 0), "$.a[0]: [masked 7] stands for no secret"),
        ('{"a":' * 100_000, (0, 0), "too deeply"),
    ],
)
def test_a_mistake_has_its_place(text: str, place: tuple[int, int], words: str) -> None:
    found = PayloadText({"token": "x"}, MASK).read(text)
    assert isinstance(found, Mistake)
    assert (found.line, found.column) == place
    assert words in str(found)


def test_what_a_clipboard_holds_is_escaped() -> None:
    assert escaped('{"a":\t"\x1b[31m\u202e"}\r\n') == '{"a":  "\\u001b[31m\\u202e"}\n'
    assert json.loads(escaped('{"a": "\u200d\U0001f468"}')) == {"a": "\u200d\U0001f468"}


def test_a_text_that_looks_like_a_mark_is_itself() -> None:
    payload = {"a": "[masked 1]", "b": ["[masked 2]"], "token": "secret", "password": "[masked 9]"}
    text = PayloadText(payload, MASK)
    assert "secret" not in text.text
    assert text.read(text.text) == payload


def test_hidden_values_of_any_kind_come_back() -> None:
    payload = {"token": {"deep": [1, 2]}, "list": [{"password": 7}, {"password": 8}]}
    shown, hidden = hide(payload, MASK)
    assert shown == {"token": "[masked 1]", "list": [{"password": "[masked 2]"}, {"password": "[masked 3]"}]}
    assert unhide(shown, hidden) == payload
