"""Hides the values of keys that look like secrets. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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


# --- what a person edits --------------------------------------------------------------------

_HIDDEN = re.compile(r"\[masked \d+\]")


def hide(value: Any, words: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """A copy for a person to edit, in which each secret is a mark of its own, and what the marks stand
    for. A mark may be moved or removed with what is around it."""
    # A text that looks like a mark stands for itself.
    hidden: dict[str, Any] = {text: text for text in _texts(value) if _HIDDEN.fullmatch(text)}
    return _hide(value, tuple(map(_normal, words)), hidden), hidden


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _hide(value: Any, words: tuple[str, ...], hidden: dict[str, Any]) -> Any:
    if isinstance(value, list | tuple):
        return [_hide(item, words, hidden) for item in value]
    if not isinstance(value, dict):
        return value
    shown: dict[Any, Any] = {}
    for key, item in value.items():
        if _member(key, item, words) == MASKED:
            number = len(hidden) + 1
            while (mark := f"[masked {number}]") in hidden:
                number += 1
            hidden[mark] = item
            shown[key] = mark
        else:
            shown[key] = _hide(item, words, hidden)
    return shown


def unhide(value: Any, hidden: dict[str, Any], place: str = "$") -> Any:
    """What a person made of a copy, with the secrets again where their marks are. Raises ``ValueError``
    with the place of a mark that stands for nothing."""
    if isinstance(value, dict):
        return {key: unhide(item, hidden, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [unhide(item, hidden, f"{place}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, str) and (value in hidden or _HIDDEN.fullmatch(value)):
        if value not in hidden:
            raise ValueError(f"{place}: {value} stands for no secret of this payload")
        return hidden[value]
    return value
