"""Who may publish what now: storm rules first, then each source in its turn.

An event that comes alone, of a type that no rule speaks of, passes without waiting for anything.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec

from event_monitor.bus.router import Router
from event_monitor.bus.store import MAX_BATCH
from event_monitor.bus.storms import GO_ON, Storms, Verdict
from event_monitor.bus.turns import Turns
from event_monitor.clock import Clock
from event_monitor.config import Settings
from event_monitor.event_types import SOURCE
from event_monitor.model import Priority
from event_monitor.validation import check_event_type, check_name, check_payload

# Two commits: one that is being written and one that gathers.
ON_THE_WAY = 2 * MAX_BATCH
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Admission:
    """The way into one bus. ``storms`` counts what rules did, ``turns`` knows who waits."""

    def __init__(self, router: Router, settings: Settings, clock: Clock) -> None:
        self.storms = Storms(settings.storm, clock)
        self.turns = Turns(ON_THE_WAY, settings.queue.max_waiting)
        self._free = self.storms.free
        self._router = router
        self._limits = settings.bus

    def open(self, event_type: str) -> bool:
        """Whether such an event may be submitted with ``GO_ON``; else ask ``admit``."""
        try:
            return event_type in self._free and self.turns.open
        except TypeError:
            return False  # not even text: to be asked, and refused

    async def admit(
        self,
        event_type: str,
        payload: dict[str, Any] | None = None,
        *,
        priority: Priority | None = None,
        source: str | None = None,
        promised: bool = False,
        patience: float = math.inf,
    ) -> Verdict:
        """Wait until such an event may be published: for a token of its storm rule, ``patience``
        seconds at the most, then for its source's turn. ``submit`` must follow at once. A ``promised``
        event was let in before, and no storm rule holds it back. Raises ``InvalidEvent`` or
        ``RateLimited``."""
        check_event_type(event_type)
        if source is not None:
            check_name("source", source)
        level = priority or self._level(event_type, payload or {})
        verdict = GO_ON if promised else self.judge(event_type, source, level, patience)
        if verdict.reserved is not None:
            try:
                await asyncio.sleep(verdict.wait)
            except asyncio.CancelledError:
                verdict.reserved.give_back()
                raise
        await self.turns.wait(source, level is Priority.CRITICAL)
        return verdict

    def judge(self, event_type: str, source: str | None, level: Priority, patience: float = 0.0) -> Verdict:
        """What the storm rules say of an event whose publisher would wait for ``patience`` seconds.
        CRITICAL events and the bus's own are never held back. Raises ``RateLimited``."""
        if level is Priority.CRITICAL or source == SOURCE or not self.storms.concern(event_type):
            return GO_ON
        return self.storms.judge(event_type, source, patience)

    def _level(self, event_type: str, payload: dict[str, Any]) -> Priority:
        encoded = check_payload(payload, self._limits.max_payload_bytes, self._limits.max_payload_depth)
        route = self._router.route(event_type, _decode(encoded))
        return route.priority or self._router.default_priority(event_type)
