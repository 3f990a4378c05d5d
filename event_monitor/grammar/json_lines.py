"""Replies as JSON for programs: the shapes that scripts rely on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from event_monitor.replies.general import Reply, StateReport, Subscription

_encode = msgspec.json.encode


def render_json(reply: Any) -> Iterator[bytes]:
    """A reply as JSON: one object, or one a line for what is a list."""
    if isinstance(reply, Reply) and reply.LINES:
        yield from map(_encode, getattr(reply, reply.LINES))
    elif isinstance(reply, Subscription):
        yield _encode(reply.subscription)
    elif isinstance(reply, StateReport):
        yield _encode({"state": reply.state, "since": reply.since, "reason": reply.reason})
    else:
        yield _encode(reply)


def history_json(reply: StateReport) -> Iterator[bytes]:
    """The changes of the system state, one a line, the oldest first."""
    for change in reply.history:
        yield _encode(
            {"from": change.from_state, "to": change.to_state, "at": change.at, "reason": change.reason}
        )
