"""One line about an event."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.summary import LIMIT, summarise


@pytest.mark.parametrize(
    ("payload", "summary"),
    [
        ({}, ""),
        ({"service": "github", "error": "timed out"}, "github: timed out"),
        ({"message": "hello\n  world\t!"}, "hello world !"),
        ({"name": "x", "message": "x"}, "x"),
        ({"service": "", "error": {"a": 1}, "status": 404}, "404"),
        ({"a": 1, "b": None, "c": [1], "d": "x", "e": "left out"}, "a=1 d=x e=left out"),
        ({"flag": True}, ""),
        ({"tool_name": "Bash", "tool_input": {"command": "git status"}}, "git status"),
        ({"tool_name": "Read", "tool_input": {"file_path": "/a/b"}}, "Read /a/b"),
        (
            {"tool_name": "mcp__x__y", "tool_input": {"n": 3}, "error": "no\nroute"},
            "mcp__x__y n=3 ✖ no route",
        ),
        ({"tool_input": {}}, ""),
    ],
)
def test_what_people_look_for_comes_first(payload: dict[str, Any], summary: str) -> None:
    assert summarise("a.b", payload) == summary


@given(
    st.dictionaries(
        st.sampled_from(["service", "name", "error", "message", "tool_name", "tool_input", "x"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=300),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
def test_any_payload_has_a_short_summary(payload: dict[str, Any]) -> None:
    assert len(summarise("a.b", payload)) <= LIMIT


@pytest.mark.parametrize(
    "payload",
    [
        {"x": "line\nbreak"},
        {"x\ny": 1},
        {"tool_input": {"x": "line\nbreak"}, "tool_name": "T"},
        {"tool_input": {"command": "ls"}, "tool_name": "T\nU"},
    ],
)
def test_a_summary_is_one_line(payload: dict[str, Any]) -> None:
    assert "\n" not in summarise("a.b", payload)


def test_a_huge_value_costs_no_more_than_its_beginning() -> None:
    assert summarise("a.b", {"message": "x" * 10_000_000}) == "x" * LIMIT
    assert summarise("a.b", {"x": "y" * 10_000_000}) == ("x=" + "y" * LIMIT)[:LIMIT]
