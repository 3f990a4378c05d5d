"""Payloads against an oracle of the rules, hostile Python objects, and the exact limits."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.errors import InvalidEvent
from event_monitor.validation import (
    check_payload,
    parse_payload,
)

BYTES, DEPTH = 262_144, 64


def nested(depth: int) -> dict[str, Any]:
    """An object that is ``depth`` objects deep."""
    payload: dict[str, Any] = {}
    for _ in range(depth - 1):
        payload = {"a": payload}
    return payload


class Sneaky(dict):  # type: ignore[type-arg]
    """A dict that answers something else each time it is looked at."""

    def items(self) -> Any:
        raise AssertionError("a hostile object's methods are not called")

    values = keys = __iter__ = __len__ = items


class Text(str):
    __slots__ = ()


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**320), 10**320)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(st.characters(exclude_categories=()), max_size=20)
)
payloads = st.dictionaries(
    st.text(st.characters(exclude_categories=()), max_size=10),
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text(max_size=10), inner, max_size=5)
        ),
        max_leaves=25,
    ),
    max_size=6,
)


def plain(value: Any) -> Any:
    """The value with lists for tuples, which JSON has no word for."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def breaks_a_rule(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(breaks_a_rule, [*value, *value.values()]))
    if isinstance(value, list | tuple):
        return any(map(breaks_a_rule, value))
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and abs(value) >= 10**300


@settings(max_examples=300, deadline=None)
@given(payloads)
def test_what_is_accepted_comes_back_as_it_was_and_the_rest_breaks_a_rule(payload: dict[str, Any]) -> None:
    try:
        encoded = check_payload(payload, BYTES, DEPTH)
    except InvalidEvent as error:
        assert breaks_a_rule(payload)
        assert error.message.startswith("$")
        error.message.encode()
    else:
        assert not breaks_a_rule(payload)
        assert json.loads(encoded) == plain(payload)
        assert parse_payload(encoded, BYTES, DEPTH) == msgspec.json.decode(encoded)


@settings(max_examples=200, deadline=None)
@given(payloads)
def test_json_text_is_judged_as_the_object_is(payload: dict[str, Any]) -> None:
    text = json.dumps(payload)
    if breaks_a_rule(payload):
        with pytest.raises(InvalidEvent, match=r"^\$"):
            parse_payload(text, BYTES, DEPTH)
    else:
        assert parse_payload(text, BYTES, DEPTH) == plain(payload)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_text_is_a_payload_or_an_invalid_event(text: str | bytes) -> None:
    try:
        payload = parse_payload(text, BYTES, DEPTH)
    except InvalidEvent as error:
        assert error.message and error.advice
    else:
        assert type(payload) is dict


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        (None, r"\$: the payload is null"),
        ([], r"\$: the payload is a list"),
        ("{}", r"\$: the payload is text"),
        (OrderedDict(), r"\$: the payload is a Python OrderedDict"),
        ({"a": math.nan}, r"\$\.a: nan is not a JSON number"),
        ({"a": [0, {"b": -math.inf}]}, r"\$\.a\[1\]\.b: -inf"),
        ({"a": 10**300}, r"\$\.a: the number has over 300 digits"),
        ({"a": -(10**5_000)}, r"\$\.a: the number has over 300 digits"),
        ({"a": b"x"}, r"\$\.a: a Python bytes"),
        ({"a": {1}}, r"\$\.a: a Python set"),
        ({"a": object()}, r"\$\.a: a Python object"),
        ({"a": Sneaky()}, r"\$\.a: a Python Sneaky"),
        ({"a": Text("b")}, r"\$\.a: a Python Text"),
        ({Text("a"): 1}, "key"),
        ({1: 2}, r"\$: the key 1 is a number, not text"),
        ({"a": {None: 2}}, r"\$\.a: the key None is null"),
        ({"a": ({"b": {(): 1}},)}, r"\$\.a\[0\]\.b: the key \(\)"),
        ({"a": "\ud800"}, r"\$\.a: a lone surrogate"),
        ({"a": [{"\udfff": 1}]}, r"\$\.a\[0\].*key.*surrogate"),
        ({"a\x1b[31m.b": math.nan}, r"\$\['a\\x1b\[31m\.b'\]: nan"),
    ],
)
def test_the_rule_and_the_place_are_named(payload: Any, place: str) -> None:
    with pytest.raises(InvalidEvent, match=place) as caught:
        check_payload(payload, BYTES, DEPTH)
    assert caught.value.advice
    assert str(caught.value).isprintable()


def test_a_hostile_dict_at_the_top_is_refused_without_calling_it() -> None:
    with pytest.raises(InvalidEvent, match="a Python Sneaky"):
        check_payload(Sneaky(), BYTES, DEPTH)


@pytest.mark.parametrize("limit", [1, 2, 64, 500])
def test_depth_counts_the_outermost_object(limit: int) -> None:
    check_payload(nested(limit), BYTES, limit)
    with pytest.raises(InvalidEvent, match=f"deeper than {limit} levels"):
        check_payload(nested(limit + 1), BYTES, limit)


def test_a_payload_that_holds_itself_is_refused() -> None:
    payload: dict[str, Any] = {}
    payload["me"] = payload
    with pytest.raises(InvalidEvent, match="deeper than 64 levels"):
        check_payload(payload, BYTES, DEPTH)


def test_one_list_in_many_places_is_refused_before_it_is_multiplied() -> None:
    bomb: Any = ["x"] * 10
    for _ in range(40):
        bomb = [bomb] * 10
    with pytest.raises(InvalidEvent, match="more values than"):
        check_payload({"bomb": bomb}, BYTES, DEPTH)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"a":' + "[" * 400 + "]" * 400 + "}"])
def test_deep_text_is_refused_not_a_crash(text: str) -> None:
    with pytest.raises(InvalidEvent):
        parse_payload(text, BYTES, DEPTH)


def test_the_size_limit_is_exact() -> None:
    assert len(check_payload({"a": "x" * (BYTES - 8)}, BYTES, DEPTH)) == BYTES
    with pytest.raises(InvalidEvent, match="has 262,145 bytes as JSON, the limit is 262,144"):
        check_payload({"a": "x" * (BYTES - 7)}, BYTES, DEPTH)


def test_an_empty_list_a_value_fills_the_size_and_is_still_taken() -> None:
    # The budget of values must never refuse what the size in bytes allows.
    fullest = {"a": [0] * ((BYTES - 7) // 2)}
    assert len(check_payload(fullest, BYTES, DEPTH)) <= BYTES
    assert check_payload({}, 2, DEPTH) == b"{}"
    assert check_payload({"": 0}, 6, DEPTH) == b'{"":0}'
