"""Completes inside a JSON payload that is being typed: the keys of recent payloads and their values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from event_monitor.grammar.known import Offer
from event_monitor.redaction import MASKED, redact

_TOKEN = re.compile(r'\s+|"(?:[^"\\\n]|\\.)*"|"(?:[^"\\\n]|\\.?)*$|[{}\[\],:]|[^\s"{}\[\],:]+')
_LONGEST_VALUE = 80


class PayloadPlace(msgspec.Struct, frozen=True):
    """The end of an unfinished JSON text: what belongs there, from ``start`` on, under which keys, and
    which keys stand beside it already."""

    kind: Literal["key", "value"]
    path: tuple[str, ...]
    start: int
    beside: tuple[str, ...] = ()


class _Level(msgspec.Struct):
    is_object: bool
    keys: list[str] = []
    key: str | None = None
    """Of the value that is being written."""
    wants: str = "item"


def place_at_end(text: str) -> PayloadPlace | None:
    """What the end of a JSON text is in, ``None`` after a whole value or where it makes no sense."""
    levels: list[_Level] = []
    at = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark.isspace():
            continue
        last = token.end() == len(text)
        if mark in "{[":
            levels.append(_Level(mark == "{", keys=[]))
        elif not levels:
            return None
        elif mark in "}]":
            levels.pop()
            if not levels:
                return None
            levels[-1].wants = "comma"
        elif mark == ",":
            levels[-1].wants, levels[-1].key = "item", None
        elif mark == ":":
            levels[-1].wants = "value"
        elif last and not (len(mark) > 1 and mark[0] == mark[-1] == '"'):
            at = token.start()
            break
        elif levels[-1].is_object and levels[-1].wants == "item":
            levels[-1].key = _text(mark)
            levels[-1].keys.append(levels[-1].key)
            levels[-1].wants = "colon"
        else:
            levels[-1].wants = "comma"
    else:
        at = len(text)
    return _place(levels, at) if levels else None


def _place(levels: list[_Level], at: int) -> PayloadPlace | None:
    top = levels[-1]
    path = tuple(level.key for level in levels[:-1] if level.key is not None)
    if top.is_object and top.wants == "item":
        return PayloadPlace("key", path, at, tuple(top.keys))
    if top.is_object and top.wants == "value" and top.key is not None:
        return PayloadPlace("value", (*path, top.key), at)
    if not top.is_object and top.wants == "item":
        return PayloadPlace("value", path, at)
    return None


def payload_offers(place: PayloadPlace, payloads: Iterable[Any], mask: Iterable[str]) -> list[Offer]:
    """What recent payloads hold at a place, as JSON, each once; never a secret."""
    words = tuple(mask)
    found: dict[str, Offer] = {}
    for payload in payloads:
        for value in _under(redact(payload, words), place.path):
            if place.kind == "key":
                if isinstance(value, dict):
                    for key in value:
                        if key not in place.beside:
                            found.setdefault(key, Offer(f"{_json(key)}: ", _kind(value[key])))
            elif not isinstance(value, dict | list) and value != MASKED:
                text = _json(value)
                if len(text) <= _LONGEST_VALUE:
                    found.setdefault(text, Offer(text))
    return list(found.values())


def whole_payloads(payloads: Iterable[Any], mask: Iterable[str], most: int = 5) -> list[Offer]:
    """Recent payloads as they could be published again, those with a secret in them left out."""
    words = tuple(mask)
    found: dict[str, Offer] = {}
    for payload in payloads:
        text = _json(payload)
        if payload and len(text) <= 4 * _LONGEST_VALUE and redact(payload, words) == payload:
            found.setdefault(text, Offer(text, "as before"))
    return [Offer("{}", "nothing in it"), *list(found.values())[:most]]


def _under(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _under(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _under(value[path[0]], path[1:])


def _text(token: str) -> str:
    try:
        return str(msgspec.json.decode(token))
    except (msgspec.DecodeError, UnicodeError):
        return token


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "text", bool: "true or false", int: "number", float: "number"}
    return names.get(type(value), "")
