"""A real runtime with nervous probes, and what its panel, its events and ``event-cli health`` say."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from event_monitor import messages as m
from event_monitor.config import (
    BreakerSettings,
    ProbeSettings,
    RestartSettings,
    RetrySettings,
    ServiceProbes,
    ServiceSettings,
    Settings,
    StoreSettings,
)
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime

INTERVAL, LIMIT, RECOVERY = 0.5, 0.5, 1.0
# One probe interval, the longest that a probe may take, and what a busy machine needs to say so.
NOTICED_WITHIN = INTERVAL + LIMIT + 10.0
REPAIRED_WITHIN = 15.0
PROBES = ServiceProbes(
    startup=ProbeSettings(interval=0.25, limit=10.0, failures=2),
    readiness=ProbeSettings(interval=INTERVAL, limit=LIMIT, failures=1),
    liveness=ProbeSettings(interval=INTERVAL, limit=LIMIT, failures=1),
)
WELL = ("pass", "pass", "pass", "CLOSED")


def service(**given: Any) -> ServiceSettings:
    """A service ``it`` with quick settings."""
    quick = {
        "name": "it",
        "probes": PROBES,
        "retry": RetrySettings(max_retries=0),
        "breaker": BreakerSettings(failure_threshold=2, recovery_timeout=RECOVERY),
        "restart": RestartSettings(min_delay=0.1, max_delay=0.5),
    }
    return ServiceSettings(**{**quick, **given})


class Watched:
    """The runtime, and the service ``it`` as each of its faces shows it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.guard = runtime.services["it"]

    @property
    def pid(self) -> int | None:
        """The process that is watched, as the service knows it."""
        pid: int | None = self.guard.service.describe()["pid"]
        return pid

    async def panel(self) -> tuple[str, ...]:
        """Startup, readiness, liveness and breaker in the dashboard's services table."""
        picture = await self.runtime.handle(m.GetSnapshot())
        row = next(row for row in picture.services if row.name == "it")
        return (*row.health, row.breaker)

    async def command(self) -> dict[str, Any]:
        """What ``event-cli health it`` says, run as a process of its own."""
        program = Path(sys.executable).with_name("event-cli")
        process = await asyncio.create_subprocess_exec(
            *(program, "--home", self.runtime.paths.home, "--output", "json", "health", "it"),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONWARNINGS": ""},
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        said: dict[str, Any] = json.loads(output)
        return said

    async def both(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Panel and command, asked at about the same time."""
        said = await self.command()
        told = tuple(said[key] for key in ("startup", "readiness", "liveness", "breaker"))
        return await self.panel(), told

    async def agree(self, expected: Callable[[tuple[str, ...]], bool], within: float) -> tuple[str, ...]:
        """Wait until both say what is expected; answers the row. Fails if it takes too long."""
        async with asyncio.timeout(within):
            while True:
                panel, told = await self.both()
                if panel == told and expected(panel):
                    return panel
                await asyncio.sleep(0.02)

    async def well(self, within: float = REPAIRED_WITHIN) -> None:
        """Wait until panel, command and system state say that all is well."""
        await self.agree(lambda row: row == WELL, within)
        await self.until(lambda: self.runtime.machine.state == "HEALTHY", within)

    async def until(self, condition: Callable[[], Any], within: float = REPAIRED_WITHIN) -> None:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - timers and other processes change it
                await asyncio.sleep(0.01)

    async def happened(self, event_type: str, within: float = REPAIRED_WITHIN, times: int = 1) -> None:
        """Wait until such an event about ``it`` is in the history so many times."""

        async def count() -> int:
            page = await self.runtime.handle(m.QueryEvents(type=event_type))
            return sum(event.payload.get("service") == "it" for event in page.events)

        await self._until(count, times, within)

    async def _until(self, count: Callable[[], Awaitable[int]], times: int, within: float) -> None:
        async with asyncio.timeout(within):
            while await count() < times:  # noqa: ASYNC110 - events are stored in their own time
                await asyncio.sleep(0.02)

    async def history(self, pattern: str) -> list[str]:
        """The types of the events of a pattern, the oldest first."""
        page = await self.runtime.handle(m.QueryEvents(type=pattern, newest_first=False))
        return [event.event_type for event in page.events]

    def states(self) -> list[str]:
        """The states that the system went through."""
        return [transition.to_state.value for transition in self.runtime.machine.history]


@asynccontextmanager
async def watching(home: Path, settings: ServiceSettings) -> AsyncIterator[Watched]:
    """A runtime that watches ``it``; nothing of it is left afterwards."""
    runtime = await Runtime.start(
        HomePaths(str(home)), Settings(store=StoreSettings(durability="normal"), services=(settings,))
    )
    try:
        yield Watched(runtime)
    finally:
        await runtime.stop()
