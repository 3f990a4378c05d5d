"""Where an event goes: rules, subscriptions, priorities, and the stored numbers of lists of targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from event_monitor.bus.rules import Routing, RuleSet
from event_monitor.bus.store import EventStore
from event_monitor.bus.subscribers import Subscriber
from event_monitor.model import Event, Priority
from event_monitor.replies.general import Route
from event_monitor.topics import TopicPattern

_KNOWN_TYPES = 4_096


class Router:
    """Answers the targets and the priority of events. ``rules`` may be replaced at any time."""

    def __init__(self, store: EventStore, rules: RuleSet, priorities: Mapping[str, Priority]) -> None:
        self.rules = rules
        self.subscribers: dict[str, Subscriber] = {}
        self._store = store
        self._priorities = [(TopicPattern(text), level) for text, level in priorities.items()]
        self._priority_of: dict[str, Priority] = {}
        self._route_ids: dict[tuple[str, ...], int] = {}

    async def load(self) -> None:
        """Read the numbers of the lists of targets that the store knows."""
        known = await self._store.read(lambda c: c.execute("SELECT id, targets FROM routes").fetchall())
        self._route_ids = {tuple(msgspec.json.decode(targets)): route for route, targets in known}

    def route(self, event_type: str, payload: dict[str, Any]) -> Routing:
        """What the rules alone say."""
        return self.rules.route(event_type, payload)

    def default_priority(self, event_type: str) -> Priority:
        """The priority of a type whose publisher and rules name none."""
        found = self._priority_of.get(event_type)
        if found is None:
            found = next(
                (level for pattern, level in self._priorities if pattern.matches(event_type)), Priority.NORMAL
            )
            if len(self._priority_of) < _KNOWN_TYPES:
                self._priority_of[event_type] = found
        return found

    def with_subscribers(self, targets: tuple[str, ...], event: Event) -> tuple[str, ...]:
        """``targets`` and the subscriptions that want the event."""
        if not self.subscribers:
            return targets
        extra = tuple(
            subscriber.name
            for subscriber in self.subscribers.values()
            if subscriber.name not in targets
            and subscriber.pattern.matches(event.event_type)
            and (subscriber.matches is None or subscriber.matches(event))
        )
        return targets + extra

    def targets_of(self, event: Event) -> tuple[str, ...]:
        """Where an event goes: by the rules, and to the subscriptions that want it."""
        return self.with_subscribers(self.rules.route(event.event_type, event.payload).targets, event)

    def targets_of_type(self, event_type: str) -> tuple[str, ...] | None:
        """Where every event of a type goes; ``None`` where that depends on the event."""
        routing = self.rules.route_of_type(event_type)
        wanting = [one for one in self.subscribers.values() if one.pattern.matches(event_type)]
        if routing is None or any(one.matches is not None for one in wanting):
            return None
        return tuple(dict.fromkeys((*routing.targets, *(one.name for one in wanting))))

    def number(self, targets: tuple[str, ...]) -> int:
        """The stored number of a list of targets; a new list is written before the event that uses it."""
        route = self._route_ids.get(targets)
        if route is None:
            route = self._route_ids[targets] = len(self._route_ids) + 1
            text = msgspec.json.encode(targets).decode()
            number = route
            self._store.prepare(
                lambda ledger: ledger.connection.execute(
                    "INSERT OR IGNORE INTO routes VALUES (?, ?)", (number, text)
                )
            )
        return route

    def resolve(self, event_type: str, payload: dict[str, Any]) -> Route:
        """Where an event of this type and payload would go, and why."""
        found = self.rules.route(event_type, payload)
        level = found.priority or self.default_priority(event_type)
        probe = Event(id=0, timestamp="", event_type=event_type, payload=payload, priority=level)
        return Route(
            event_type=event_type,
            priority=level,
            targets=list(self.with_subscribers(found.targets, probe)),
            rules=[
                *found.rules,
                *(
                    f"{subscriber.pattern} (subscription {subscriber.name})"
                    for subscriber in self.subscribers.values()
                    if subscriber.pattern.matches(event_type)
                ),
            ],
            ttl=found.ttl,
        )
