"""What a scenario is played in: a bus on a fresh home, its services, the networks between, and the load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from event_monitor.chaos import handlers
from event_monitor.chaos.bus_process import BusProcess
from event_monitor.chaos.keeper import Keeper
from event_monitor.chaos.proxy import FaultyProxy
from event_monitor.chaos.publisher import Publisher
from event_monitor.chaos.servers import HttpServer
from event_monitor.chaos.watch import Watch
from event_monitor.errors import EventMonitorError
from event_monitor.messages import GetState, GetStats, QueryServices, Subscribe
from event_monitor.model import SystemState
from event_monitor.replies.general import Stats

POLL = 0.1
WEB, TOOLS = "web", "tools"
SETTLED = 20
"""At most so many events are under way in a bus that is well and has load."""

_PROBES = {
    "startup": {"interval": 0.3, "limit": 10.0, "failures": 5},
    "readiness": {"interval": 0.3, "limit": 0.6, "failures": 2},
    "liveness": {"interval": 1.0, "limit": 1.0, "failures": 2},
}
_BREAKER = {"failure_threshold": 4, "recovery_timeout": 1.0}
# Long enough for every fault: what a scenario spoils is to be delivered once it is healed.
_RETRY = {"strategy": "fixed", "max_retries": 500, "max_delay": 0.4}
_BASE: dict[str, Any] = {
    "log": {"max_bytes": 100_000_000},
    "notification": {"via": "toast"},
    "target_defaults": {"timeout": 2.0, "retry": _RETRY, "breaker": _BREAKER},
    "targets": {
        handlers.ORDERS: {"concurrency": 4, "timeout": 2.0, "retry": _RETRY, "breaker": _BREAKER},
        # It waits for services: their own breakers say when to ask them again.
        handlers.CALLS: {
            "concurrency": 8,
            "timeout": 5.0,
            "retry": _RETRY,
            "breaker": {"failure_threshold": 10_000, "failure_rate": None},
        },
    },
    "watch": {"interval": 0.5},
}


@dataclass
class World:
    """Everything that a fault can hit. ``gate`` stands between the publisher and the bus.

    ``since`` (epoch seconds) is when the present fault began; ``refused_before`` is what the publisher was
    refused until then, ``rejected_before`` the calls that a bulkhead had no place for, ``spooled_before``
    what was spooled."""

    directory: Path
    bus: BusProcess
    server: HttpServer
    proxy: FaultyProxy
    gate: FaultyProxy
    publisher: Publisher
    watch: Watch
    seed: int
    since: float = 0.0
    refused_before: Counter[str] = field(default_factory=Counter)
    rejected_before: int = 0
    spooled_before: int = 0

    def struck(self) -> None:
        """A fault begins now."""
        self.since = time.time()
        self.refused_before = Counter(self.publisher.refused)
        self.rejected_before = self.watch.rejected
        self.spooled_before = self.publisher.spooled
        self.watch.blind = False

    async def subscribe(self) -> None:
        """Register the handlers; they are kept over all lives of the bus. Raises ``EventMonitorError``."""
        for target, (pattern, function) in handlers.SUBSCRIPTIONS.items():
            handler = f"py:{handlers.__name__}:{function}"
            await self.bus.ask(Subscribe(pattern=pattern, handler=handler, name=target))

    async def stats(self) -> Stats:
        """The bus's figures. Raises ``EventMonitorError``."""
        stats: Stats = await self.bus.ask(GetStats())
        return stats

    async def state(self) -> SystemState:
        """The system state. Raises ``EventMonitorError``."""
        state: SystemState = (await self.bus.ask(GetState())).state
        return state

    async def pid_of(self, service: str) -> int | None:
        """The process of a supervised service, if it has one now. Raises ``EventMonitorError``."""
        rows = (await self.bus.ask(QueryServices())).services
        pid: int | None = next((row.pid for row in rows if row.service == service), None)
        return pid

    async def trouble(self, *, drained: bool = False) -> str:
        """What keeps the system from being well; empty if nothing does. ``drained`` wants nothing under
        way any more."""
        try:
            state, stats = await self.state(), await self.stats()
        except EventMonitorError as error:
            return f"the bus does not answer: {error.message}"
        if state is not SystemState.HEALTHY:
            return f"{state.value}, {(await self._reason())}"
        if drained and stats.pending:
            return f"{stats.pending} events are pending"
        if self.publisher.under_way > SETTLED:
            return f"{self.publisher.under_way} events wait to be accepted"
        if stats.parked or stats.retrying or stats.pending > SETTLED:
            return f"{stats.pending} pending, {stats.parked} parked, {stats.retrying} retrying"
        return ""

    async def _reason(self) -> str:
        with contextlib.suppress(EventMonitorError):
            return str((await self.bus.ask(GetState())).reason)
        return "no reason known"

    async def until_well(self, within: float, *, drained: bool = False) -> str:
        """Wait until all is well; what is not after ``within`` seconds."""
        end = time.monotonic() + within
        while trouble := await self.trouble(drained=drained):
            if time.monotonic() >= end:
                return trouble
            await asyncio.sleep(POLL)
        return ""


@contextlib.asynccontextmanager
async def world(
    directory: Path,
    keeper: Keeper,
    *,
    seed: int,
    name: str,
    services: tuple[str, ...],
    settings: Mapping[str, Any],
    rate: float,
) -> AsyncIterator[World]:
    """A world whose bus runs. Nothing of it is left at the end but its files."""
    directory.mkdir(mode=0o700)
    bus = BusProcess(directory, keeper)
    os.makedirs(bus.paths.bus_dir, mode=0o700)
    rng = random.Random(f"{seed}/{name}/load")
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(HttpServer())
        proxy = await stack.enter_async_context(FaultyProxy(("127.0.0.1", server.port), rng=rng))
        gate = await stack.enter_async_context(
            FaultyProxy(bus.socket, listen=str(directory / "gate.sock"), rng=rng)
        )
        _configure(bus.paths.settings, proxy.port, services, settings)
        stack.push_async_callback(bus.close)
        await bus.start()
        called = tuple(one for one in services if one in (WEB, TOOLS))
        publisher = Publisher(bus.paths, str(directory / "gate.sock"), rng, rate=rate, services=called)
        stack.push_async_callback(publisher.close)
        watch = Watch(bus.socket, services[0])
        stack.push_async_callback(watch.close)
        made = World(directory, bus, server, proxy, gate, publisher, watch, seed)
        await made.subscribe()
        yield made


def _configure(path: str, port: int, services: tuple[str, ...], settings: Mapping[str, Any]) -> None:
    command = [sys.executable, "-P", "-m", "event_monitor.chaos.tool_server"]
    known: dict[str, dict[str, Any]] = {
        WEB: {"kind": "http", "url": f"http://127.0.0.1:{port}/"},
        TOOLS: {"kind": "mcp", "command": command},
    }
    own = settings.get("service", {})
    listed = [
        {
            "name": name,
            **known[name],
            "timeout": 1.0,
            "probes": _PROBES,
            "breaker": _BREAKER,
            "retry": {"strategy": "fixed", "max_retries": 1, "max_delay": 0.2},
            "restart": {"min_delay": 0.2, "max_delay": 1.0, "steady_after": 5.0},
            **own,
        }
        for name in services
    ]
    others = {key: value for key, value in settings.items() if key != "service"}
    # JSON is YAML too.
    text = msgspec.json.format(msgspec.json.encode({**_merged(_BASE, others), "services": listed}))
    Path(path).write_bytes(text + b"\n")


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with what ``over`` says otherwise, section by section."""
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key)
        result[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result
