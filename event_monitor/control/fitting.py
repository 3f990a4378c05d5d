"""Makes a payload fit into a number of bytes and keeps as much of it as possible. Pure."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Any

import msgspec

TRUNCATED = "_truncated"
# What is kept of an object with too many small values: who it was about.
_ESSENTIAL = ("hook_event_name", "session_id", "tool_name", "tool_use_id", "prompt_id", "error", "cwd")
# Room for the mark "… [N characters left out]" with a long number.
_MARK_BYTES = 44


def encoded_size(value: Any) -> int:
    """Bytes of a value as JSON."""
    return len(msgspec.json.encode(value))


def fit(payload: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """The payload, or a copy of at most ``max_bytes`` (1,024 or more) as JSON that is marked with
    ``"_truncated": true``. The longest texts are shortened first, to one common length; if texts
    alone are not enough, lists and objects become text; then only the fields that identify it stay.
    """
    if encoded_size(payload) <= max_bytes:
        return payload
    essential = {name: payload[name] for name in _ESSENTIAL if name in payload}
    for candidate in (payload, _flattened(payload), _flattened(essential)):
        shortened = _shortened({**candidate, TRUNCATED: True}, max_bytes)
        if shortened is not None:
            return shortened
    return {TRUNCATED: True}


def _flattened(payload: dict[str, Any]) -> dict[str, Any]:
    return {
        name: msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value
        for name, value in payload.items()
    }


def _shortened(payload: dict[str, Any], max_bytes: int) -> dict[str, Any] | None:
    """A copy whose longest texts are cut so that it fits, ``None`` if cutting texts cannot do it."""
    sizes: list[int] = []
    _collect_sizes(payload, sizes)
    rest = encoded_size(payload) - sum(sizes)
    limit = _common_limit(sorted(sizes), max_bytes - rest)
    if limit is None:
        return None
    copy: dict[str, Any] = _cut(payload, limit)
    return copy


def _collect_sizes(value: Any, sizes: list[int]) -> None:
    if isinstance(value, str):
        sizes.append(encoded_size(value))
    elif isinstance(value, dict):
        for item in value.values():
            _collect_sizes(item, sizes)
    elif isinstance(value, list):
        for item in value:
            _collect_sizes(item, sizes)


def _common_limit(sizes: list[int], room: int) -> int | None:
    """The largest limit L for which texts of these sizes (rising) take up at most ``room`` bytes when
    each that is longer than L is cut to L; ``None`` where even cutting to a bare mark is too much."""
    kept = [0, *accumulate(sizes)]

    def total(limit: int) -> int:
        whole = bisect_right(sizes, limit)
        return kept[whole] + (len(sizes) - whole) * limit

    low, high = _MARK_BYTES, sizes[-1] if sizes else 0
    if total(low) > room:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if total(middle) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _cut(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return value if encoded_size(value) <= limit else _cut_text(value, limit)
    if isinstance(value, dict):
        return {name: _cut(item, limit) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, limit) for item in value]
    return value


def _cut_text(text: str, limit: int) -> str:
    """The longest start of a text that takes at most ``limit`` bytes together with its mark."""
    room = limit - _MARK_BYTES
    low, high = 0, min(len(text), room)
    while low < high:
        middle = (low + high + 1) // 2
        if encoded_size(text[:middle]) - 2 <= room:
            low = middle
        else:
            high = middle - 1
    return f"{text[:low]}… [{len(text) - low} characters left out]"
