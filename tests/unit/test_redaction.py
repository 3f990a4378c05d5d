"""Secrets are masked wherever they stand; what only looks like one stays."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.config import Settings
from event_monitor.redaction import MASKED, redact

WORDS = Settings().mask


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "PASSWORD",
        "db_password",
        "X-API-Key",
        "apiKey",
        "access_token",
        "Authorization",
        "privateKey",
    ],
)
@pytest.mark.parametrize("value", ["s3cret", 42, 1.5, ["s3cret"], {"inner": "s3cret"}, ""])
def test_the_value_of_a_secret_key_is_masked(key: str, value: Any) -> None:
    payload = {"outer": [{key: value, "plain": "seen"}]}
    before = copy.deepcopy(payload)
    assert redact(payload, WORDS) == {"outer": [{key: MASKED, "plain": "seen"}]}
    assert payload == before


@pytest.mark.parametrize(
    "payload",
    [
        {"input_tokens": 1_234, "outputTokens": 5.5},
        {"token": None, "has_password": True},
        {"text": "my password is x"},
        {"passage": "p", "tok": "t"},
    ],
)
def test_what_is_no_secret_stays(payload: dict[str, Any]) -> None:
    assert redact(payload, WORDS) == payload


def test_a_list_of_tokens_is_no_count() -> None:
    assert redact({"tokens": ["abc"], "refresh_tokens": "abc"}, WORDS) == {
        "tokens": MASKED,
        "refresh_tokens": MASKED,
    }


def test_without_words_nothing_is_masked() -> None:
    assert redact({"password": "x"}, ()) == {"password": "x"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@given(json_values, st.text(max_size=5))
def test_no_secret_is_left_at_any_place(around: Any, suffix: str) -> None:
    secret = "a3f9-secret-value"
    value = redact({"a": [around, {f"my_token{suffix}": [secret], "b": around}]}, ["TOKEN"])
    assert secret not in json.dumps(value)
