"""Reads events that arrive as text: one JSON object a line, or the words of a command line."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from event_monitor.errors import InvalidEvent
from event_monitor.messages import Publish, PublishText
from event_monitor.model import PRIORITIES, Priority

# A century: longer is a mistake in the unit.
MAX_TTL = 3_153_600_000.0


class EventLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a line may say. Other fields are let pass, so that the output of ``event-cli events`` can
    be published again; what only the bus decides (``id``, ``timestamp``, ``status``) is not taken."""

    event_type: str
    payload: dict[str, Any] = {}
    priority: Priority | None = None
    key: str | None = None
    ttl: Annotated[float, Meta(gt=0, le=MAX_TTL)] | None = None
    source: str | None = None
    correlation_id: str | None = None
    causation_id: int | None = None
    schema_version: Annotated[int, Meta(ge=1)] = 1
    traceparent: str | None = None


_PRIORITIES = {str(priority): priority for priority in PRIORITIES}

_line_decoder = msgspec.json.Decoder(EventLine)
_payload_decoder = msgspec.json.Decoder(dict[str, Any])


def publish_from_line(line: str | bytes, source: str | None = None) -> Publish:
    """The event on one line of JSON; ``source`` fills in where the line names none.

    Raises ``InvalidEvent`` that names the place (``$.ttl``) and the rule.
    """
    try:
        event = _line_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidEvent(
            f"not an event: {error}", 'a line is a JSON object such as {"event_type": "a.b", "payload": {}}'
        ) from None
    return Publish(
        event_type=event.event_type,
        payload=event.payload,
        priority=event.priority,
        key=event.key,
        ttl=event.ttl,
        source=event.source or source,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        schema_version=event.schema_version,
        traceparent=event.traceparent,
    )


def publish_from_text(message: PublishText) -> Publish:
    """The event that a command line described. Raises ``InvalidEvent``."""
    return Publish(
        event_type=message.event_type,
        payload=payload_from_text(message.payload),
        priority=priority_from_text(message.priority),
        key=message.key,
        ttl=ttl_from_text(message.ttl),
        source=message.source,
        causation_id=int(message.causation_id) if message.causation_id else None,
    )


def payload_from_text(text: str) -> dict[str, Any]:
    """The JSON object in a text; an empty text is an empty object. Raises ``InvalidEvent``."""
    if not text.strip():
        return {}
    try:
        return _payload_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidEvent(
            f"the payload is not a JSON object: {error}", """give an object such as '{"name": "value"}'"""
        ) from None


def priority_from_text(text: str | None) -> Priority | None:
    """The priority that a word names, in either case. Raises ``InvalidEvent``."""
    if text is None:
        return None
    try:
        return _PRIORITIES[text.upper()]
    except KeyError:
        raise InvalidEvent(f"unknown priority {text!r}", "take CRITICAL, HIGH, NORMAL or LOW") from None


def ttl_from_text(text: str | None) -> float | None:
    """Seconds to live. Raises ``InvalidEvent``."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        raise InvalidEvent(f"the time to live {text!r} is not a number", "give seconds, such as 60") from None
    if not 0 < seconds <= MAX_TTL:
        raise InvalidEvent(f"the time to live {text!r} is out of range", "give seconds greater than 0")
    return seconds
