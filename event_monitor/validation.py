"""The rules that an event must keep to be accepted. Every refusal names the rule and the place."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from event_monitor.errors import InvalidEvent

MAX_TYPE = 255
MAX_NAME = 1_024
MAX_TTL = 3_153_600_000
"""A hundred years, in seconds."""
_TYPE = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_INTEGER_LIMIT = 10**300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_LEAST_BYTES = 2
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def check_event_type(text: str) -> None:
    """Raises ``InvalidEvent`` unless ``text`` is dot-separated words of ``[a-z0-9_-]+``."""
    if not isinstance(text, str):
        raise InvalidEvent(f"an event type is text, not {_kind(text)}", "write it as backup.completed")
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
    max_values = max_bytes // _LEAST_BYTES
    if type(payload) is not dict or not _is_json(payload, max_depth, max_values):
        _explain(payload, max_depth, max_values)
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
        reason = _diagnose(text, max_bytes, max_depth) or str(error)
        raise InvalidEvent(
            f"$: the payload is not a JSON object: {reason}",
            """write it as '{"key": "value"}', in single quotes""",
        ) from None
    check_payload(payload, max_bytes, max_depth)
    return payload


def check_name(what: str, text: str) -> None:
    """Raises ``InvalidEvent`` unless a key, source or id is short text without control characters."""
    if not isinstance(text, str):
        raise InvalidEvent(f"{what} is text, not {_kind(text)}", "write it in quotes")
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
    if not isinstance(ttl, int | float) or not 0 < ttl <= MAX_TTL:
        raise InvalidEvent(
            f"ttl {str(ttl)[:40]!r} is not a positive number of seconds", "write seconds, such as 60 or 0.5"
        )


def _is_json(payload: dict[Any, Any], max_depth: int, max_values: int) -> bool:
    level: list[Any] = [payload]
    for _ in range(max_depth):
        below: list[Any] = []
        for container in level:
            # One list that stands in many places multiplies: count before walking.
            max_values -= len(container)
            if max_values < 0:
                return False
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


def _explain(payload: object, max_depth: int, max_values: int) -> None:
    """Raise ``InvalidEvent`` for a place that breaks a rule."""
    if type(payload) is not dict:
        raise InvalidEvent(f"$: the payload is {_kind(payload)}, not a JSON object", "send an object: {…}")
    stack: list[tuple[str, Any, int]] = [("$", payload, 1)]
    while stack:
        path, value, depth = stack.pop()
        if depth > max_depth:
            raise InvalidEvent(f"{path}: the payload is nested deeper than {max_depth} levels", "flatten it")
        max_values -= len(value)
        if max_values < 0:
            raise InvalidEvent(
                "$: the payload holds more values than its largest size has room for",
                "send less, or a reference to the data; the limit is bus.max_payload_bytes",
            )
        for step, inner in value.items() if type(value) is dict else enumerate(value):
            if type(value) is dict and type(step) is not str:
                raise InvalidEvent(
                    f"{path}: the key {ascii(step)[:80]} is {_kind(step)}, not text", "use text keys"
                )
            place = path + _step(step)
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


def _diagnose(text: str | bytes, max_bytes: int, max_depth: int) -> str:
    """What msgspec's terse refusal means. Raises ``InvalidEvent`` itself where the place is known."""
    import json

    try:
        payload = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        return str(error)
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 from byte {error.start} on"
    except ValueError:
        return "it holds a number with thousands of digits: send it as text"
    if type(payload) is dict:
        check_payload(payload, max_bytes, max_depth)
        return ""
    return f"it is {_kind(payload)}"


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
                place = path + _step(key)
                stack += [(place, inner), (f"{place} (the key)", key)]
        elif type(value) in (list, tuple):
            stack += [(path + _step(place), inner) for place, inner in enumerate(value)]
    return "$"


def _step(step: str | int) -> str:
    """One step of a JSON path. Keys are the publisher's: unusual ones are quoted and escaped."""
    if type(step) is int:
        return f"[{step}]"
    key = str(step)
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{key[:80]!a}]"


def _kind(value: object) -> str:
    names = {
        type(None): "null",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), f"a Python {type(value).__name__}")
