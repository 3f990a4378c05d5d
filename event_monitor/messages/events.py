"""Publishing, subscribing, and looking at events and their routes."""

from __future__ import annotations

from typing import Any

from event_monitor.messages.base import Message, Number
from event_monitor.model import Priority, Status


class Publish(Message, tag="publish", frozen=True):
    """Accept one event. ``ttl`` is in seconds. Answers ``Published``."""

    event_type: str
    payload: dict[str, Any] = {}
    priority: Priority | None = None
    key: str | None = None
    ttl: float | None = None
    source: str | None = None
    correlation_id: str | None = None
    causation_id: Number | None = None
    schema_version: Number = 1
    traceparent: str | None = None


class PublishText(Message, tag="publish_text", frozen=True):
    """``Publish`` for a caller that has the payload as JSON text and no JSON library loaded.

    The other options may arrive as text too, as they stand on a command line."""

    event_type: str
    payload: str = "{}"
    priority: str | None = None
    key: str | None = None
    ttl: str | None = None
    source: str | None = None
    causation_id: str | None = None


class PublishLines(Message, tag="publish_lines", frozen=True):
    """Accept many events, each a JSON object as text. Answers ``PublishedLines``: a bad line
    is reported and harms no other."""

    lines: list[str]
    source: str | None = None


class PublishHook(Message, tag="publish_hook", frozen=True):
    """Accept an assistant's hook input as it came on stdin. Answers ``Published``."""

    text: str
    key: str | None = None


class Subscribe(Message, tag="subscribe", frozen=True):
    """Register a handler for a topic pattern.

    ``handler`` is ``-`` (answers an event stream for as long as it is read), ``exec:COMMAND``
    (the event as JSON on its stdin) or ``py:module:function``; the last two are kept across
    restarts under ``name`` and answer ``Subscription``."""

    pattern: str
    handler: str = "-"
    name: str | None = None
    filter: str | None = None


class Unsubscribe(Message, tag="unsubscribe", frozen=True):
    """Remove a kept subscription. Answers ``Done``."""

    name: str


class QuerySubscriptions(Message, tag="query_subscriptions", frozen=True):
    """Answers ``Subscriptions``."""


class QueryEvents(Message, tag="query_events", frozen=True):
    """One page of history. ``type`` is a topic pattern, ``filter`` a regular expression over the
    type and the payload as JSON text; ``since`` and ``until`` are ISO 8601, epoch seconds or
    relative (``-15m``). With ``newest_first`` a page runs down from ``before_id``, else it runs
    up from ``after_id``. Answers ``EventPage``."""

    type: str | None = None
    status: Status | None = None
    since: str | None = None
    until: str | None = None
    filter: str | None = None
    after_id: Number | None = None
    before_id: Number | None = None
    newest_first: bool = True
    limit: Number = 100


class GetEvent(Message, tag="get_event", frozen=True):
    """Answers ``EventDetail``."""

    event_id: Number


class ResolveRoute(Message, tag="resolve_route", frozen=True):
    """Where an event of this type (and payload, if filters look at it) would go. Answers ``Route``."""

    event_type: str
    payload: dict[str, Any] = {}
