"""The rules that an event must keep to be accepted. Every refusal names the rule and the place."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from event_monitor.errors import InvalidEvent

MAX_TYPE = 255
MAX_NAME = 1_024
_TYPE = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_INTEGER_LIMIT = 10**300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def check_event_type(text: str) -> None:
    """Raises ``InvalidEvent`` unless ``text`` is dot-separated words of ``[a-z0-9_-]+``."""
    if len(text) <= MAX_TYPE and _TYPE.fullmatch(text):
        return
    if len(text) > MAX_TYPE:
        raise InvalidEvent(
            f"an event type has at most {MAX_TYPE} characters, this one {len(text)}", "shorten it"
        )
    raise InvalidEvent(
        f"{text!r} is not an event type",
        "write dot-separated words of a-z, 0-9, _ and -, such as backup.completed",
    )


def check_payload(payload: object, max_bytes: int, max_depth: int) -> bytes:
    """The payload as compact JSON. Raises ``InvalidEvent`` unless it is a JSON object within the limits.

    One walk without bookkeeping decides; only a refusal pays for finding the place.
    """
    if type(payload) is not dict or not _is_json(payload, max_depth):
        _explain(payload, max_depth)
    try:
        encoded = _encode(payload)
    except UnicodeEncodeError:
        path = _find_surrogate(payload)
        raise InvalidEvent(f"{path}: a lone surrogate is no character", "remove it or replace it") from None
    if len(encoded) > max_bytes:
        raise InvalidEvent(
            f"$: the payload has {len(encoded):,} bytes as JSON, the limit is {max_bytes:,}",
            "send less, or a reference to the data; the limit is bus.max_payload_bytes",
        )
    return encoded


def parse_payload(text: str | bytes, max_bytes: int, max_depth: int) -> dict[str, Any]:
    """A payload from JSON text. Raises ``InvalidEvent`` for what is no JSON object within the limits."""
    try:
        payload = _decode(text)
    except RecursionError:
        raise InvalidEvent(f"$: the payload is nested deeper than {max_depth} levels", "flatten it") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidEvent(
            f"$: the payload is not a JSON object: {error}",
            """write it as '{"key": "value"}', in single quotes""",
        ) from None
    check_payload(payload, max_bytes, max_depth)
    return payload


def check_name(what: str, text: str) -> None:
    """Raises ``InvalidEvent`` unless a key, source or id is short text without control characters."""
    if not text or len(text) > MAX_NAME or _CONTROL.search(text):
        raise InvalidEvent(
            f"{what} must be 1 to {MAX_NAME} characters without control characters", "choose a plain name"
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidEvent(f"{what} holds a lone surrogate", "remove it or replace it") from None


def check_ttl(ttl: float) -> None:
    """Raises ``InvalidEvent`` unless ``ttl`` is a positive, finite number of seconds."""
    if not 0 < ttl <= 3_153_600_000:
        raise InvalidEvent(
            f"ttl {ttl!r} is not a positive number of seconds", "write seconds, such as 60 or 0.5"
        )


def _is_json(payload: dict[Any, Any], max_depth: int) -> bool:
    level: list[Any] = [payload]
    for _ in range(max_depth):
        below: list[Any] = []
        for container in level:
            if type(container) is dict:
                for key in container:
                    if type(key) is not str:
                        return False
                values: Any = container.values()
            else:
                values = container
            for value in values:
                kind = type(value)
                if kind is str or kind is bool or value is None:
                    continue
                if kind is int:
                    if not -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
                        return False
                elif kind is float:
                    if not math.isfinite(value):
                        return False
                elif kind is dict or kind is list or kind is tuple:
                    below.append(value)
                else:
                    return False
        if not below:
            return True
        level = below
    return False


def _explain(payload: object, max_depth: int) -> None:
    """Raise ``InvalidEvent`` for the first place that breaks a rule."""
    if type(payload) is not dict:
        raise InvalidEvent(f"$: the payload is {_kind(payload)}, not a JSON object", "send an object: {…}")
    stack: list[tuple[str, Any, int]] = [("$", payload, 1)]
    while stack:
        path, value, depth = stack.pop()
        if depth > max_depth:
            raise InvalidEvent(f"{path}: the payload is nested deeper than {max_depth} levels", "flatten it")
        for step, inner in value.items() if type(value) is dict else enumerate(value):
            if type(value) is dict and type(step) is not str:
                raise InvalidEvent(f"{path}: the key {step!r} is {_kind(step)}, not text", "use text keys")
            place = f"{path}[{step}]" if type(step) is int else f"{path}.{str(step)[:80]}"
            if type(inner) in (dict, list, tuple):
                stack.append((place, inner, depth + 1))
            elif type(inner) is float and not math.isfinite(inner):
                raise InvalidEvent(f"{place}: {inner} is not a JSON number", "send null or text instead")
            elif type(inner) is int and not -_INTEGER_LIMIT < inner < _INTEGER_LIMIT:
                raise InvalidEvent(f"{place}: the number has over 300 digits", "send it as text")
            elif inner is not None and type(inner) not in (str, bool, int, float):
                raise InvalidEvent(
                    f"{place}: {_kind(inner)} is not JSON", "convert it to text, a number or a list"
                )


def _find_surrogate(payload: object) -> str:
    stack: list[tuple[str, Any]] = [("$", payload)]
    while stack:
        path, value = stack.pop()
        if type(value) is str:
            try:
                value.encode()
            except UnicodeEncodeError:
                return path
        elif type(value) is dict:
            for key, inner in value.items():
                stack += [(f"{path}.{key!a}", inner), (f"{path} (a key)", key)]
        elif type(value) in (list, tuple):
            stack += [(f"{path}[{place}]", inner) for place, inner in enumerate(value)]
    return "$"


def _kind(value: object) -> str:
    names = {
        type(None): "null",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
    }
    return names.get(type(value), f"a Python {type(value).__name__}")
