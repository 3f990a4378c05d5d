"""Hides the values of keys that look like secrets. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MASKED = "[masked]"


def redact(value: Any, words: Sequence[str]) -> Any:
    """A copy of a JSON value in which the value of each key that contains one of ``words`` is masked.

    Letter case, ``-`` and ``_`` make no difference (``X-API-Key`` is an ``api_key``). ``null``, truth
    values and the numbers of keys that end with ``tokens``, which are counts, stay visible."""
    return _redact(value, tuple(map(_normal, words)))


def _redact(value: Any, words: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _member(key, item, words) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item, words) for item in value]
    return value


def _member(key: Any, value: Any, words: tuple[str, ...]) -> Any:
    name = _normal(str(key))
    if not any(word in name for word in words):
        return _redact(value, words)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and name.endswith("tokens"):
        return value
    return MASKED


def _normal(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
