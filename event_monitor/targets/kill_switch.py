"""The ``kill-switch`` target: stops the named services, or all of them, until a person resumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from event_monitor.bus.inflight import Pending
from event_monitor.resilience.retry import PermanentError
from event_monitor.targets.recovery import reason

_ALL = "all"


class Switch(Protocol):
    """What stops dispatch and opens breakers."""

    async def engage(self, services: Sequence[str] | None, reason: str, event_id: int) -> None:
        """Stop dispatch of all but CRITICAL events and open the breakers of ``services``, of all if
        ``None``; return when that is in force and saved.

        A delivery may come twice and late: an ``event_id`` for which it was engaged before changes
        nothing, above all not after a person has resumed. Raises ``PermanentError`` for a service
        that does not exist; then nothing was changed.
        """


class KillSwitchTarget:
    """Engages the switch for the services that an event names in ``service`` or ``services``.

    ``"all"``, or neither, means all. Serve it with batches of one: a failure is one delivery's.
    """

    def __init__(self, switch: Switch, mask: Sequence[str] = ()) -> None:
        self._switch = switch
        self._mask = tuple(mask)

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Engage the switch for each event. Raises ``PermanentError`` for names that are no text."""
        for delivery in batch:
            event = delivery.record.event
            await self._switch.engage(named_services(event.payload), reason(event, self._mask), event.id)


def named_services(payload: dict[str, Any]) -> tuple[str, ...] | None:
    """The services to stop, each once; ``None`` for all.

    What is there but cannot be read is refused with ``PermanentError``: a mistake never grows into
    stopping everything.
    """
    named: list[str] = []
    for key in ("service", "services"):
        value = payload.get(key)
        if value is None:
            continue
        names = value if key == "services" and isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise PermanentError(
                f"the payload's {key} names nothing to stop: write a service's name"
                f"{', a list of names' if key == 'services' else ''} or {_ALL!r}"
            )
        named.extend(names)
    if not named or _ALL in named:
        return None
    return tuple(dict.fromkeys(named))
