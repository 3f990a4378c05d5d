"""Services for the tests of the patterns: what they do is a function, what guards them is real."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any

from event_monitor.clock import LoopClock
from event_monitor.config import ServiceSettings
from event_monitor.resilience.fallback import AnswerCache, Step
from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.services.guard import ServiceGuard


class Scripted:
    """A service that does what ``act`` does and counts how often it was reached."""

    def __init__(self, name: str, act: Callable[[], Awaitable[Any]]) -> None:
        self.name = name
        self.act = act
        self.reached = 0

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def restart(self, reason: str) -> None:
        pass

    def probes(self) -> Mapping[CheckKind, Probe]:
        return {}

    async def call(self, operation: str, **arguments: Any) -> Any:
        self.reached += 1
        return await self.act()

    def describe(self) -> dict[str, Any]:
        return {}


def guarded(
    service: Scripted,
    steps: Callable[[AnswerCache], Sequence[Step]] = lambda cache: (),
    timeout: float = 30.0,
    **settings: Any,
) -> ServiceGuard:
    """The guard of a service, with the defaults of the settings."""
    return ServiceGuard(
        ServiceSettings(name=service.name, kind="tcp", port=1, **settings),
        service,
        timeout=timeout,
        clock=LoopClock(asyncio.get_running_loop()),
        steps=steps,
        rng=Random(service.name),
    )
