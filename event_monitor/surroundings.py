"""What a runtime takes from the machine it runs on, so that a test can let a day pass in seconds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from event_monitor.bus.database import Database
from event_monitor.clock import Clock, LoopClock
from event_monitor.services.registry import Make


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``clock`` makes the one source of time, ``rng`` is where all jitter comes from, ``database`` makes
    the store's connections, ``make_service`` what a guard protects (by its kind, if absent). Whether the
    loop stands still is measured by a thread on the machine's time: ``watch_stalls`` is for that only."""

    clock: Callable[[asyncio.AbstractEventLoop], Clock] | None = None
    rng: random.Random | None = None
    database: type[Database] = Database
    make_service: Make | None = None
    watch_stalls: bool = True

    def clock_of(self, loop: asyncio.AbstractEventLoop) -> Clock:
        """The clock for a running loop."""
        return LoopClock(loop) if self.clock is None else self.clock(loop)


REAL = Surroundings()
