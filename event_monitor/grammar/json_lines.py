"""Replies as JSON for programs: the shapes that scripts rely on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from event_monitor.dead_letter_replies import DeadGroups, RetryRuns
from event_monitor.replay_replies import Replays
from event_monitor.replies import (
    Alerts,
    Breakers,
    DeadLetterPage,
    DiscoveredServers,
    EventPage,
    HealthReport,
    Services,
    StateReport,
    Subscription,
    Subscriptions,
)

_encode = msgspec.json.encode


def render_json(reply: Any) -> Iterator[bytes]:
    """A reply as JSON: one object, or one a line for what is a list."""
    if isinstance(reply, EventPage):
        yield from map(_encode, reply.events)
    elif isinstance(reply, DeadLetterPage):
        yield from map(_encode, reply.dead_letters)
    elif isinstance(reply, DeadGroups):
        yield from map(_encode, reply.groups)
    elif isinstance(reply, RetryRuns):
        yield from map(_encode, reply.runs)
    elif isinstance(reply, Subscriptions):
        yield from map(_encode, reply.subscriptions)
    elif isinstance(reply, HealthReport):
        yield from map(_encode, reply.services)
    elif isinstance(reply, Breakers):
        yield from map(_encode, reply.breakers)
    elif isinstance(reply, Services):
        yield from map(_encode, reply.services)
    elif isinstance(reply, DiscoveredServers):
        yield from map(_encode, reply.servers)
    elif isinstance(reply, Alerts):
        yield from map(_encode, reply.alerts)
    elif isinstance(reply, Replays):
        yield from map(_encode, reply.replays)
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
