"""What the running bus can be asked for to complete a value, and what its answers offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from event_monitor.grammar.figures import clock
from event_monitor.grammar.spec import BusSource
from event_monitor.messages import (
    GetAnalytics,
    GetStats,
    Message,
    QueryAlerts,
    QueryBreakers,
    QueryDeadLetters,
    QueryDiscovered,
    QueryEvents,
    QueryReplays,
    QueryServices,
    QuerySubscriptions,
)
from event_monitor.replies.general import DeadLetterPage, EventPage


class Offer(msgspec.Struct, frozen=True):
    """A value that can stand at a place, and what there is to say about it."""

    text: str
    note: str = ""


# What was counted and what came last: a type that no rule sends to analytics is seen all the same.
QUESTIONS: Mapping[BusSource, tuple[Message, ...]] = {
    "types": (GetAnalytics(), QueryEvents(limit=200)),
    "targets": (GetStats(),),
    "subscriptions": (QuerySubscriptions(),),
    "breakers": (QueryBreakers(),),
    "services": (QueryServices(),),
    "dead_letters": (QueryDeadLetters(),),
    "replays": (QueryReplays(),),
    "alerts": (QueryAlerts(limit=20),),
    "declared": (QueryDiscovered(),),
}
"""What to ask the bus for the values of a source."""


def offers_in(source: BusSource, replies: Iterable[Any]) -> list[Offer]:
    """The values that the answers to the questions of a source hold, each once."""
    found: dict[str, Offer] = {}
    for reply in replies:
        for offer in _OFFERS[source](reply):
            found.setdefault(offer.text, offer)
    return list(found.values())


def _types(reply: Any) -> Iterator[Offer]:
    if isinstance(reply, EventPage):
        yield from (Offer(event.event_type) for event in reply.events)
    else:
        yield from (Offer(row.name, f"{row.count:,} seen") for row in reply.by_type)


def _letters(reply: DeadLetterPage) -> Iterator[Offer]:
    for letter in reply.dead_letters:
        yield Offer(str(letter.id), f"{letter.event_type} → {letter.target}: {letter.error}")


def _alerts(reply: Any) -> Iterator[Offer]:
    yield Offer("all", "all of them")
    yield from (Offer(str(alert.id), alert.title) for alert in reply.alerts if not alert.acknowledged)


_OFFERS: Mapping[BusSource, Callable[[Any], Iterable[Offer]]] = {
    "types": _types,
    "targets": lambda reply: (Offer(name) for name in sorted(reply.targets)),
    "subscriptions": lambda reply: (Offer(item.name, item.pattern) for item in reply.subscriptions),
    "breakers": lambda reply: (Offer(one.service, one.state) for one in reply.breakers),
    "services": lambda reply: (Offer(one.service, one.kind) for one in reply.services),
    "dead_letters": _letters,
    "replays": lambda reply: (
        Offer(str(one.id), f"{one.state}, {clock(one.since)} to {clock(one.until)}") for one in reply.replays
    ),
    "alerts": _alerts,
    "declared": lambda reply: (Offer(one.name, one.scope) for one in reply.servers),
}
