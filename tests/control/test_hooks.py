from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.control.hooks import MAX_DEPTH, translate
from event_monitor.messages import Publish
from event_monitor.model import Priority
from event_monitor.validation import check_event_type, check_name, check_payload

RECORDED = (Path(__file__).parents[1] / "data" / "hook-payloads.jsonl").read_bytes().splitlines()
LIMIT = 262_144


def translated(payload: dict[str, Any], limit: int = LIMIT) -> Publish:
    return translate(json.dumps(payload), limit)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def assert_publishable(event: Publish, limit: int = LIMIT) -> None:
    encoded = msgspec.json.encode(event.payload)
    assert len(encoded) <= limit
    assert msgspec.json.decode(encoded) == event.payload
    assert depth(event.payload) <= MAX_DEPTH
    assert event.source == "hook"
    check_event_type(event.event_type)
    check_payload(event.payload, limit, 64)
    if event.correlation_id is not None:
        check_name("correlation_id", event.correlation_id)


def expected_type(payload: dict[str, Any]) -> str:
    name, tool = payload["hook_event_name"], payload.get("tool_name", "")
    kind = "mcp.call" if "mcp_server" in payload else "command" if tool == "Bash" else "tool"
    outcome = {
        "PreToolUse": "started",
        "PostToolUse": "ok" if kind == "mcp.call" else "executed",
        "PostToolUseFailure": "failed",
    }
    if name in outcome:
        return f"{kind}.{outcome[name]}"
    return {
        "SessionStart": "session.started",
        "SessionEnd": "session.ended",
        "UserPromptSubmit": "prompt.submitted",
        "Stop": "turn.done",
        "MessageDisplay": "hook.message_display",
        "PostToolBatch": "hook.post_tool_batch",
    }[name]


@pytest.mark.parametrize("line", RECORDED)
def test_a_recorded_payload_gets_its_type_and_survives_intact(line: bytes) -> None:
    payload = json.loads(line)
    event = translate(line, LIMIT, key="k")
    assert event.event_type == expected_type(payload)
    assert event.payload == payload
    assert event.key == "k"
    assert event.correlation_id == next(
        payload[field] for field in ("tool_use_id", "prompt_id", "session_id") if field in payload
    )
    assert_publishable(event)
    assert translate(line.decode(), LIMIT, key="k") == event


def test_there_are_recorded_payloads() -> None:
    assert len(RECORDED) == 29


@pytest.mark.parametrize(
    ("payload", "event_type"),
    [
        ({"hook_event_name": "PreToolUse", "tool_name": "mcp__memory__read"}, "mcp.call.started"),
        (
            {"hook_event_name": "PostToolUse", "tool_name": "Plugin", "mcp_server": {"name": "x"}},
            "mcp.call.ok",
        ),
        ({"hook_event_name": "PostToolUseFailure", "tool_name": "Read"}, "tool.failed"),
        ({"hook_event_name": "PostToolUse", "tool_name": 7}, "tool.executed"),
        ({"hook_event_name": "StopFailure"}, "turn.failed"),
        ({"hook_event_name": "Notification"}, "user.needed"),
        ({"hook_event_name": "SubagentStart"}, "subagent.started"),
        ({"hook_event_name": "SubagentStop"}, "subagent.stopped"),
        ({"hook_event_name": "PreCompact"}, "context.compacting"),
        ({"hook_event_name": "PostCompact"}, "context.compacted"),
        ({"hook_event_name": "PermissionRequest"}, "permission.requested"),
        ({"hook_event_name": "PermissionDenied"}, "permission.denied"),
        ({"hook_event_name": "WorktreeCreate"}, "hook.worktree_create"),
        ({"hook_event_name": "HTTPProbe2Done"}, "hook.http_probe2_done"),
        ({"hook_event_name": "Ünïcode / wéird"}, "hook.n_code_w_ird"),
        ({"hook_event_name": "…"}, "hook.unknown"),
        ({"hook_event_name": "A" * 10_000}, "hook." + "a" * 200),
        ({"hook_event_name": None}, "hook.unknown"),
        ({"other": 1}, "hook.unknown"),
    ],
)
def test_names_map_to_types(payload: dict[str, Any], event_type: str) -> None:
    event = translated(payload)
    assert event.event_type == event_type
    assert event.payload == payload
    assert_publishable(event)


def test_a_reference_that_is_no_name_is_passed_over() -> None:
    event = translated(
        {"hook_event_name": "Stop", "tool_use_id": "a\u001b[2J", "prompt_id": 7, "session_id": "s"}
    )
    assert event.correlation_id == "s"


def test_text_chunks_have_low_priority() -> None:
    assert translated({"hook_event_name": "MessageDisplay"}).priority is Priority.LOW
    assert translated({"hook_event_name": "Stop"}).priority is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "empty input"),
        (b" \n", "empty input"),
        (b"[1]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"hook_event_name": "Stop"', "not JSON"),
        (b"\x00\xff\xfe\x80", "not UTF-8"),
        (b"hello", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_hook_is_kept_as_unreadable(text: bytes, reason: str) -> None:
    event = translate(text, LIMIT)
    assert event.event_type == "hook.unreadable"
    assert event.payload["bytes"] == len(text)
    assert event.payload["head"] == text.decode("utf-8", "replace")[:2_000]
    assert event.payload["error"].startswith(reason)
    assert_publishable(event)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert translate(b'\xef\xbb\xbf{"hook_event_name": "Stop"}', LIMIT).event_type == "turn.done"


def test_what_json_cannot_hold_is_repaired() -> None:
    text = (
        '{"hook_event_name": "Stop", "a": NaN, "b": [-Infinity, 1e999], "c": "\\ud800x", "d": '
        + "9" * 6_000
        + ', "e": 123456789012345678901234567890, "f": 1, "f": 2, "\\udfff": "raw\tcontrol"}'
    )
    event = translate(text, LIMIT)
    assert event.event_type == "turn.done"
    assert event.payload == {
        "hook_event_name": "Stop",
        "a": "NaN",
        "b": ["-Infinity", "1e999"],
        "c": "\ufffdx",
        "d": "9" * 6_000,
        "e": "123456789012345678901234567890",
        "f": 2,
        "\ufffd": "raw\tcontrol",
    }
    assert_publishable(event)


def test_lone_surrogates_in_text_are_replaced() -> None:
    event = translate('{"hook_event_name": "Stop", "a": "\ud83d"}', LIMIT)
    assert event.payload["a"] == "\ufffd"
    assert translate("\ud83d", LIMIT).payload["head"] == "\ufffd"


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, 300])
def test_deep_nesting_becomes_text(levels: int) -> None:
    nested: Any = "core"
    for _ in range(levels):
        nested = [nested]
    payload = {"hook_event_name": "Stop", "deep": nested}
    event = translated(payload)
    assert_publishable(event)
    value = event.payload["deep"]
    for level in range(levels):
        if isinstance(value, str):
            assert level == MAX_DEPTH - 1
            value = json.loads(value)
        (value,) = value
    assert value == "core"


def test_the_longest_texts_are_shortened_first() -> None:
    payload = {
        "hook_event_name": "PostToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "ls"},
        "tool_response": {"stdout": "é" * 400_000, "stderr": "x" * 300_000, "note": "short"},
    }
    event = translated(payload)
    assert event.event_type == "command.executed"
    assert event.payload["_truncated"] is True
    assert event.payload["tool_input"] == {"command": "ls"}
    response = event.payload["tool_response"]
    assert response["note"] == "short"
    for name, character in (("stdout", "é"), ("stderr", "x")):
        kept, mark = response[name].split("… [")
        assert set(kept) == {character}
        assert mark == f"{len(payload['tool_response'][name]) - len(kept)} characters left out]"  # type: ignore[index]
    assert_publishable(event)
    assert len(msgspec.json.encode(event.payload)) > LIMIT * 0.99


@pytest.mark.parametrize(
    "bulk",
    [
        {"numbers": list(range(200_000))},
        {f"field{number}": number for number in range(50_000)},
        {"texts": ["short"] * 100_000},
        {"a" * 400_000: 1},
    ],
)
@pytest.mark.parametrize("limit", [1_024, LIMIT])
def test_many_small_values_fit_too(bulk: dict[str, Any], limit: int) -> None:
    event = translated({"hook_event_name": "Stop", "session_id": "s1", "error": "e" * 5_000, **bulk}, limit)
    assert event.event_type == "turn.done"
    assert event.payload["_truncated"] is True
    assert event.payload["session_id"] == "s1"
    assert_publishable(event, limit)


def test_unreadable_input_fits_too() -> None:
    assert_publishable(translate(b"\x00" * 10_000_000, 1_024), 1_024)


@given(st.binary(max_size=300) | st.text(st.characters(), max_size=300))
def test_any_input_is_publishable(text: bytes | str) -> None:
    assert_publishable(translate(text, 1_024), 1_024)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=30,
)


@given(st.dictionaries(st.text(st.characters()), _JSON), st.sampled_from([1_024, 4_096]))
def test_any_object_is_publishable(payload: dict[str, Any], limit: int) -> None:
    assert_publishable(translate(json.dumps(payload), limit), limit)
