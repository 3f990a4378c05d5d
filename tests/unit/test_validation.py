"""What an event may hold: every refusal names the rule and the place."""

from __future__ import annotations

import datetime
import enum
import json
import math
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.errors import InvalidEvent
from event_monitor.validation import check_event_type, check_name, check_payload, check_ttl, parse_payload

BYTES, DEPTH = 262_144, 64


def nested(levels: int) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    for _ in range(levels - 1):
        payload = {"a": payload}
    return payload


class Colour(enum.StrEnum):
    RED = "red"


class Point(msgspec.Struct):
    x: int = 1


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (None, "$: the payload is null, not a JSON object"),
        ([1], "$: the payload is a list, not a JSON object"),
        ("text", "$: the payload is text, not a JSON object"),
        ({"a": [0, 1, 2, {"b": math.nan}]}, "$.a[3].b: nan is not a JSON number"),
        ({"a": -math.inf}, "$.a: -inf is not a JSON number"),
        ({"a": {"b": {1, 2}}}, "$.a.b: a Python set is not JSON"),
        ({"a": b"bytes"}, "$.a: a Python bytes is not JSON"),
        ({"a": datetime.datetime(2026, 1, 1)}, "$.a: a Python datetime is not JSON"),
        ({"a": Colour.RED}, "$.a: a Python Colour is not JSON"),
        ({"a": [Point()]}, "$.a[0]: a Python Point is not JSON"),
        ({"a": ({"b": object()},)}, "$.a[0].b: a Python object is not JSON"),
        ({1: "a"}, "$: the key 1 is a number, not text"),
        ({"a": {None: "b"}}, "$.a: the key None is null, not text"),
        ({"a": 10**300}, "$.a: the number has over 300 digits"),
        ({"a": [-(10**400)]}, "$.a[0]: the number has over 300 digits"),
        ({"a": ["b", "\ud800"]}, "$.a[1]: a lone surrogate is no character"),
        ({"a": {"\udfff": 1}}, r"$.a['\udfff'] (the key): a lone surrogate is no character"),
        ({"two words": {"\x1b[31m": math.inf}}, r"$['two words']['\x1b[31m']: inf is not a JSON number"),
        (nested(65), "the payload is nested deeper than 64 levels"),
        ({"a": "x" * BYTES}, "$: the payload has 262,152 bytes as JSON, the limit is 262,144"),
    ],
)
def test_a_refusal_names_rule_and_place(payload: object, message: str) -> None:
    with pytest.raises(InvalidEvent, match=re.escape(message)) as caught:
        check_payload(payload, BYTES, DEPTH)
    assert caught.value.advice
    assert caught.value.message.isprintable()


def test_the_limits_themselves_are_accepted() -> None:
    assert check_payload(nested(DEPTH), BYTES, DEPTH)
    assert len(check_payload({"a": "x" * (BYTES - 8)}, BYTES, DEPTH)) == BYTES
    assert check_payload({"a": 10**300 - 1, "b": -(2**63) - 1, "c": 2**64}, BYTES, DEPTH)


def test_a_list_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidEvent, match="nested deeper"):
        check_payload({"a": loop}, BYTES, DEPTH)


def test_a_small_object_that_is_huge_as_json_is_refused_before_it_is_written() -> None:
    value: list[Any] = [0] * 1_000
    for _ in range(40):
        value = [value, value]
    with pytest.raises(InvalidEvent, match="holds more values than its largest size has room for"):
        check_payload({"a": value}, BYTES, DEPTH)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5))
def test_what_is_accepted_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    encoded = check_payload(payload, BYTES, DEPTH)
    assert parse_payload(encoded, BYTES, DEPTH) == payload
    assert json.loads(encoded) == payload


@given(
    st.recursive(
        st.floats() | st.binary() | st.text(st.characters(codec=None)) | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=20,
    )
)
def test_anything_else_is_refused_and_never_crashes(value: Any) -> None:
    try:
        encoded = check_payload({"a": value}, BYTES, DEPTH)
    except InvalidEvent as refusal:
        assert refusal.message.startswith("$")
    else:
        assert json.loads(encoded) == {"a": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON object: Expecting value"),
        ("[1]", "$: the payload is not a JSON object: it is a list"),
        ("{'a': 1}", "line 1 column 2"),
        ('{"a": 1', "line 1 column 8"),
        ('{"a": NaN}', "$.a: nan is not a JSON number"),
        ('{"a": [1e999]}', "$.a[0]: inf is not a JSON number"),
        (r'{"a": {"b": "\ud800"}}', "$.a.b: a lone surrogate is no character"),
        ('{"a": ' * 100_000, "nested deeper than 64 levels"),
        ('{"a": ' + "9" * 5_000 + "}", "a number with thousands of digits"),
        ('{"a": ' + "9" * 400 + "}", "$.a: the number has over 300 digits"),
        (b'{"a": "\xff"}', "not UTF-8 from byte 7 on"),
        ('{"a": "' + "x" * BYTES + '"}', "the limit is 262,144"),
    ],
)
def test_text_that_is_no_payload_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidEvent, match=re.escape(message)):
        parse_payload(text, BYTES, DEPTH)


def test_text_is_parsed() -> None:
    assert parse_payload('{"a": [1, "\\ud83d\\ude00"]}', BYTES, DEPTH) == {"a": [1, "😀"]}
    assert parse_payload(b" {} ", BYTES, DEPTH) == {}


@pytest.mark.parametrize("text", ["a", "backup.completed", "a-b_c.0", "a" * 255])
def test_event_types_are_words_and_dots(text: str) -> None:
    check_event_type(text)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "A", "a b", "a.*", "#", "ä", "a\n", "a\x00"])
def test_other_event_types_are_refused(text: str) -> None:
    with pytest.raises(InvalidEvent, match="is not an event type") as caught:
        check_event_type(text)
    assert "backup.completed" in caught.value.advice
    assert caught.value.message.isprintable()


def test_a_long_event_type_and_a_number_are_refused() -> None:
    with pytest.raises(InvalidEvent, match="at most 255 characters, this one 256"):
        check_event_type("a" * 256)
    with pytest.raises(InvalidEvent, match="is text, not a number"):
        check_event_type(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("ttl", [0, -1, math.nan, math.inf, 1e12, "60"])
def test_a_ttl_is_positive_and_finite(ttl: Any) -> None:
    with pytest.raises(InvalidEvent, match="not a positive number of seconds"):
        check_ttl(ttl)
    check_ttl(0.001)


@pytest.mark.parametrize("name", ["", "x" * 1_025, "a\nb", "a\x1b[31m", "\x85", "\ud800", 5])
def test_names_are_plain_text(name: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"^key "):
        check_name("key", name)
    check_name("key", "Schlüssel 🔑")
