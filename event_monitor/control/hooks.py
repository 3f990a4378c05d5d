"""Turns an assistant's hook input into an event. Pure: no clock, no files, no settings."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from event_monitor.control.fitting import fit
from event_monitor.event_types import HookUnreadable
from event_monitor.hook_types import HOOK_TYPES, UNKNOWN, ToolKind
from event_monitor.messages import Publish
from event_monitor.model import Priority

MAX_DEPTH = 60
HEAD_CHARACTERS = 2_000
_MAX_NAME = 200
_MAX_REFERENCE = 200

_KNOWN = {(one.hook, one.tool): one for one in HOOK_TYPES}
_TOOL_HOOKS = frozenset(one.hook for one in HOOK_TYPES if one.tool)

# What the bus refuses in a reference.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MANY_DIGITS = re.compile(r"[0-9]{19}")


class _Unreadable(Exception):
    """The input is not one JSON object; the text says why."""


def translate(
    text: str | bytes,
    max_bytes: int,
    *,
    key: str | None = None,
    max_depth: int = MAX_DEPTH,
) -> Publish:
    """The event that a hook's input stands for. Accepts any input and never raises.

    The payload is the hook's JSON object as it came. Where that cannot be an event's payload it is
    changed as little as possible: beyond ``max_bytes`` (encoded; at least 1,024) the longest texts are
    shortened and ``"_truncated": true`` is added; what nests deeper than ``max_depth`` becomes JSON
    text; numbers that JSON cannot hold become text; lone surrogates become U+FFFD.
    Anything but one JSON object becomes ``hook.unreadable`` with its size, its head and the reason.
    """
    try:
        payload = _parse(text, max_depth)
    except _Unreadable as reason:
        return _unreadable(text, str(reason), max_bytes, key)
    event_type, priority = _classify(payload)
    return Publish(
        event_type=event_type,
        payload=fit(payload, max_bytes),
        priority=priority,
        key=key,
        source="hook",
        correlation_id=_correlation(payload),
    )


def unreadable(size: int, head: str, reason: str, max_bytes: int, key: str | None = None) -> Publish:
    """The event for hook input that cannot be read. ``size`` is in bytes."""
    bad = HookUnreadable(bytes=size, head=head[:HEAD_CHARACTERS], error=reason)
    return Publish(event_type=bad.TYPE, payload=fit(bad.payload(), max_bytes), key=key, source=bad.FROM)


def _unreadable(text: str | bytes, reason: str, max_bytes: int, key: str | None) -> Publish:
    if isinstance(text, str):
        size = len(text.encode("utf-8", "replace"))
        head = _without_surrogates(text[:HEAD_CHARACTERS])
    else:
        size = len(text)
        # A character takes at most four bytes.
        head = text[: 4 * HEAD_CHARACTERS].decode("utf-8", "replace")
    return unreadable(size, head, reason, max_bytes, key)


def _parse(text: str | bytes, max_depth: int) -> dict[str, Any]:
    value, clean = _decode(text, max_depth)
    if not isinstance(value, dict):
        raise _Unreadable("not a JSON object")
    if clean:
        return value
    try:
        repaired: dict[str, Any] = _repair(value, max_depth)
    except RecursionError:
        raise _Unreadable("nested too deeply") from None
    return repaired


def _decode(text: str | bytes, max_depth: int) -> tuple[Any, bool]:
    """The JSON value, and whether it certainly needs no repair."""
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
    except UnicodeDecodeError:
        raise _Unreadable("not UTF-8 text") from None
    decoded = decoded.removeprefix("\ufeff")
    if not decoded.strip():
        raise _Unreadable("empty input")
    try:
        shallow = decoded.count("{") + decoded.count("[") < max_depth
        return msgspec.json.decode(decoded), shallow and not _MANY_DIGITS.search(decoded)
    except (msgspec.DecodeError, UnicodeError):
        return _decode_leniently(decoded), False
    except RecursionError:
        raise _Unreadable("nested too deeply") from None


def _decode_leniently(text: str) -> Any:
    """What the strict decoder refuses and others write: NaN, lone surrogates, huge numbers, raw
    control characters in strings."""
    try:
        return json.loads(text, strict=False, parse_int=_integer, parse_float=_real, parse_constant=str)
    except RecursionError:
        raise _Unreadable("nested too deeply") from None
    except ValueError as error:
        raise _Unreadable(f"not JSON: {error}") from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= 20 else digits


def _real(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _repair(value: Any, levels: int) -> Any:
    """A copy that any JSON reader takes, at most ``levels`` deep."""
    if isinstance(value, str):
        return _without_surrogates(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, dict | list) and levels <= 0:
        return _without_surrogates(json.dumps(value, ensure_ascii=False))
    if isinstance(value, dict):
        return {_without_surrogates(name): _repair(item, levels - 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_repair(item, levels - 1) for item in value]
    return value


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _classify(payload: dict[str, Any]) -> tuple[str, Priority | None]:
    name = payload.get("hook_event_name")
    if not isinstance(name, str):
        return UNKNOWN, None
    known = _KNOWN.get((name, _tool_kind(payload) if name in _TOOL_HOOKS else ""))
    return (known.event_type, known.priority) if known else (f"hook.{_snake_case(name)}", None)


def _tool_kind(payload: dict[str, Any]) -> ToolKind:
    tool = payload.get("tool_name")
    if tool == "Bash":
        return "command"
    if payload.get("mcp_server") or (isinstance(tool, str) and tool.startswith("mcp__")):
        return "mcp"
    return "tool"


def _snake_case(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name[:_MAX_NAME])
    return re.sub(r"[^a-z0-9_-]+", "_", spaced.lower()).strip("_")[:_MAX_NAME] or "unknown"


def _correlation(payload: dict[str, Any]) -> str | None:
    for field in ("tool_use_id", "prompt_id", "session_id"):
        value = payload.get(field)
        if isinstance(value, str) and value and not _CONTROL.search(value):
            return value[:_MAX_REFERENCE]
    return None
