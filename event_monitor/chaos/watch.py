"""Looks at the bus once a second while things go wrong: depth of its queue, states, alerts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise

from event_monitor.chaos.bus_process import Life
from event_monitor.chaos.results import StateMark
from event_monitor.clock import from_iso
from event_monitor.control.client import SocketClient
from event_monitor.errors import EventMonitorError
from event_monitor.messages import GetService, GetState, GetStats, QueryAlerts
from event_monitor.model import Alert, SystemState, Transition
from event_monitor.replies.general import Stats

EACH = 1.0
DOWN = "DOWN"
"""What a state is called while no bus runs."""
DEADLOCK = ("A deadlock was broken", "does not move")
"""Parts of the titles of the alerts by which the watchdog says that something cannot go on."""


class Watch:
    """What was seen since ``begun`` (epoch seconds). ``depths`` has the queue's depth by second,
    ``rejected`` counts the calls that the bulkhead of ``service`` had no place for."""

    def __init__(self, socket: str, service: str) -> None:
        self._service = service
        self.begun = time.time()
        self.depths: dict[int, int] = {}
        self.transitions: dict[tuple[str, SystemState], Transition] = {}
        self.alerts: dict[tuple[int, str], Alert] = {}
        self.rejected = 0
        self.blind = False
        self.state: SystemState | None = None
        self._client = SocketClient(socket, timeout=2.0)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EACH - (time.time() - self.begun) % EACH)
            await self.look()

    async def look(self) -> None:
        """Look once; ``blind`` if the bus does not answer."""
        try:
            stats: Stats = await self._client.request(GetStats())
            self.depths[int(time.time() - self.begun)] = stats.queue_depth
            report = await self._client.request(GetState(history=True))
            self.state = report.state
            self.transitions |= {(one.at, one.to_state): one for one in report.history}
            alerts = await self._client.request(QueryAlerts(limit=100))
            self.alerts |= {(one.id, one.title): one for one in alerts.alerts}
            detail = await self._client.request(GetService(name=self._service))
            self.rejected = detail.bulkhead.rejected + detail.bulkhead.timed_out
            self.blind = False
        except EventMonitorError:
            # Being away is what some faults are about; the state is what was seen last.
            self.blind = True

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.close()

    def states(self, lives: Sequence[Life]) -> tuple[StateMark, ...]:
        """The states since the load began, the one that it began in first. Between two ``lives`` of the bus
        it is ``DOWN``."""
        found = [(from_iso(one.at), one.to_state.value, one.reason) for one in self.transitions.values()]
        for life, following in pairwise(lives):
            found.append((life.ended, DOWN, life.how))
            found.append((following.begun, SystemState.INITIALIZING.value, "started again"))
        marks = sorted((at - self.begun, state, reason) for at, state, reason in found)
        before = [state for at, state, _ in marks if at <= 0]
        first = StateMark(at=0.0, state=before[-1] if before else SystemState.HEALTHY.value)
        later = [StateMark(at=round(at, 3), state=state, reason=why) for at, state, why in marks if at > 0]
        return (first, *later)

    def ailed(self, since: float) -> bool:
        """Whether the state has been another than HEALTHY since then (epoch seconds)."""
        if self.state not in (None, SystemState.HEALTHY):
            return True
        return any(
            SystemState.HEALTHY is not one.to_state and from_iso(one.at) >= since
            for one in self.transitions.values()
        )

    def told(self, part: str, since: float) -> bool:
        """Whether an alert with this in its title was raised since then (epoch seconds)."""
        return any(
            part in one.title and from_iso(one.last_at or one.at) >= since for one in self.alerts.values()
        )

    def deadlocks(self) -> list[Alert]:
        """What the watchdog found that could not go on."""
        return [one for one in self.alerts.values() if any(part in one.title for part in DEADLOCK)]
