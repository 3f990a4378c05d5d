"""Upcasters: from a payload of schema version n to one of n + 1, so that handlers know one version only.

They run when an older event is read for delivery or replay, on the bus's loop: they must be quick.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec

from event_monitor.model import Event
from event_monitor.resilience.retry import PermanentError
from event_monitor.topics import TopicPattern

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

_KNOWN_TYPES = 4_096


class Upcasters:
    """The steps of each event type. Where two patterns name the same step, the first one counts."""

    def __init__(self) -> None:
        self._registered: list[tuple[TopicPattern, int, Upcaster]] = []
        self._steps_of: dict[str, dict[int, Upcaster]] = {}

    def register(self, event_type: str, from_version: int, func: Upcaster) -> None:
        """Have ``func`` turn a payload of ``from_version`` into one of the next version, for a type or
        all types that match a topic pattern. It gets a copy. Raises ``InvalidRequest`` for no pattern."""
        self._registered.append((TopicPattern(event_type), from_version, func))
        self._steps_of.clear()

    def concerns(self, event_type: str, schema_version: int) -> bool:
        """Whether an event of this type and version is older than the newest one."""
        if not self._registered:
            return False
        return schema_version <= max(self._steps(event_type), default=0)

    def apply(self, event: Event) -> Event:
        """The event in the newest version of its type; the event itself where it is that already.

        Raises ``PermanentError`` where a step is missing, fails, or makes something else than an object.
        """
        if not self._registered:
            return event
        steps = self._steps(event.event_type)
        newest = max(steps, default=0) + 1
        if event.schema_version >= newest:
            return event
        payload = copy.deepcopy(event.payload)
        for version in range(event.schema_version, newest):
            payload = _stepped(event.event_type, version, steps.get(version), payload)
        return msgspec.structs.replace(event, payload=payload, schema_version=newest)

    def _steps(self, event_type: str) -> dict[int, Upcaster]:
        steps = self._steps_of.get(event_type)
        if steps is None:
            steps = {}
            for pattern, version, func in self._registered:
                if pattern.matches(event_type):
                    steps.setdefault(version, func)
            if len(self._steps_of) < _KNOWN_TYPES:
                self._steps_of[event_type] = steps
        return steps


def _stepped(event_type: str, version: int, func: Upcaster | None, payload: dict[str, Any]) -> dict[str, Any]:
    step = f"{event_type} from schema version {version} to {version + 1}"
    if func is None:
        raise PermanentError(f"no upcaster is registered for {step}")
    try:
        made = func(payload)
    except Exception as error:
        raise PermanentError(f"the upcaster for {step} failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, dict):
        raise PermanentError(f"the upcaster for {step} answered {type(made).__name__}, not an object")
    return made
