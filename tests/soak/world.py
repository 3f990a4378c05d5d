"""What a soak is made of: the bus as a process, its publishers, and services behind spoilt networks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from event_monitor.chaos.bus_process import Life
from event_monitor.chaos.notes import DIRECTORY
from event_monitor.chaos.proxy import FaultyProxy
from event_monitor.control.client import SocketClient
from event_monitor.messages import GetState, Message, QueryServices, Subscribe
from event_monitor.model import SystemState
from tests.processes import Headless
from tests.soak import handlers

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "tests" / "services" / "stub_server.py"
SUPERVISED = ("tools", "worker")
REACHED = ("web", "database")
_TOOL = """read -r event
echo "done $PPID $EVENT_MONITOR_EVENT_ID:tool 0 0 -" >> "$EVENT_MONITOR_NOTES/handled-tool.log"
"""
_TARGET = {
    "timeout": 2.0,
    "retry": {"strategy": "fixed", "max_retries": 3, "max_delay": 0.5},
    "breaker": {"failure_threshold": 5, "recovery_timeout": 2.0},
}
_PROBES = {
    "startup": {"interval": 0.5, "limit": 10.0, "failures": 3},
    "readiness": {"interval": 0.5, "limit": 1.0, "failures": 2},
    "liveness": {"interval": 2.0, "limit": 1.0, "failures": 2},
}


class Bus:
    """The bus under test. ``lives`` are its processes, the last one running. Whoever starts, ends or
    freezes it holds ``turn``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.lives: list[Life] = []
        self.turn = asyncio.Lock()
        self.slowest_start = 0.0
        self._process: Headless | None = None
        # The path of the socket is the same for all lives.
        self.socket = ""
        self._client: SocketClient | None = None

    @property
    def life(self) -> Life:
        return self.lives[-1]

    async def start(self) -> None:
        """Start it; returns when it takes connections."""
        environment = {
            DIRECTORY: str(self.directory),
            "PYTHONPATH": str(ROOT),
            "CLAUDE_CONFIG_DIR": str(self.directory / "assistant"),
        }
        begun = time.time()
        self._process = await asyncio.to_thread(Headless, self.home, environment)
        self.slowest_start = max(self.slowest_start, time.time() - begun)
        self.lives.append(Life(self._process.process.pid, time.time()))
        self.socket = self._process.socket
        # The connection of the life before would only tell that it is gone.
        await self.hang_up()

    async def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        await asyncio.to_thread(self._process.kill)
        self.life.ended, self.life.how = time.time(), "kill -9"

    async def stop(self) -> int:
        """End it as a service manager does; answers its exit status."""
        assert self._process is not None
        status = await asyncio.to_thread(self._process.stop)
        self.life.ended, self.life.how = time.time(), "SIGTERM"
        return status

    async def freeze(self, seconds: float) -> None:
        """Stop it as a suspended machine would."""
        begun = time.time()
        os.kill(self.life.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(self.life.pid, signal.SIGCONT)
            self.life.frozen.append((begun, time.time()))

    async def ask(self, message: Message) -> Any:
        """One request over the socket. Raises ``EventMonitorError``."""
        if self._client is None:
            self._client = SocketClient(self.socket, timeout=20.0)
        return await self._client.request(message)

    async def hang_up(self) -> None:
        """Connect anew for the next request."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    @property
    def errors(self) -> str:
        """What all its lives have written to stderr."""
        return self.home.with_name(f"{self.home.name}.stderr").read_text(errors="replace")

    async def close(self) -> None:
        """End whatever still runs."""
        await self.hang_up()
        if self._process is not None and self._process.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.life.pid, signal.SIGCONT)
            await asyncio.to_thread(self._process.kill)


class Crowd:
    """The publishers. Each has a ledger that outlives its process."""

    def __init__(self, bus: Bus, rate: float, seed: int) -> None:
        self._bus = bus
        self._seed = seed
        self._rate = rate
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._begun = 0
        self.ledgers: list[Path] = []

    def start(self, name: str, rate: float | None = None) -> None:
        """Let a publisher begin, or begin anew."""
        self._begun += 1
        if self.ledger(name) not in self.ledgers:
            self.ledgers.append(self.ledger(name))
        with self.complaints(name).open("ab") as errors:
            self._processes[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.soak.publisher", self._bus.socket, str(self._bus.home)),
                    *(name, str(self.ledger(name)), str(rate or self._rate), f"{self._seed}{self._begun}"),
                ],
                stdin=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
            )

    async def stop(self, name: str) -> None:
        """Let it end what it is about."""
        process = self._processes.pop(name)
        await asyncio.to_thread(process.communicate)

    async def kill(self, name: str) -> None:
        """End it in the middle of what it is about."""
        process = self._processes.pop(name)
        process.kill()
        await asyncio.to_thread(process.communicate)

    async def end(self) -> None:
        """Stop all."""
        for name in list(self._processes):
            await self.stop(name)

    async def close(self) -> None:
        """Kill whatever still runs."""
        for name in list(self._processes):
            await self.kill(name)

    def ledger(self, name: str) -> Path:
        return self._bus.directory / f"ledger-{name}.jsonl"

    def complaints(self, name: str) -> Path:
        return self._bus.directory / f"publisher-{name}.stderr"


@dataclass
class World:
    """Everything that a fault can hit."""

    directory: Path
    bus: Bus
    crowd: Crowd
    proxies: dict[str, FaultyProxy]
    publishers: tuple[str, ...]

    def set_mode(self, target: str, mode: str) -> None:
        """What the handler of a target does wrong from now on; ``ok`` is nothing."""
        path = self.directory / f"mode-{target}"
        aside = path.with_suffix(".new")
        aside.write_text(mode)
        aside.replace(path)

    async def pid_of(self, service: str) -> int | None:
        """The process of a supervised service, if it has one now."""
        rows = (await self.bus.ask(QueryServices())).services
        pid: int | None = next((row.pid for row in rows if row.service == service), None)
        return pid

    async def subscribe(self) -> None:
        """Register the handlers; they are kept over all lives of the bus."""
        for name, pattern in handlers.SUBSCRIPTIONS.items():
            handler = f"py:tests.soak.handlers:{name}"
            await self.bus.ask(Subscribe(pattern=pattern, handler=handler, name=name))
        script = self.directory / "tool.sh"
        await self.bus.ask(Subscribe(pattern="soak.tool", handler=f"exec:/bin/sh {script}", name="tool"))

    async def state(self) -> SystemState:
        state: SystemState = (await self.bus.ask(GetState())).state
        return state


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def world(directory: Path, rate: float, publishers: int, seed: int) -> AsyncIterator[World]:
    """A world with a bus that runs. Nothing of it is left at the end but its files."""
    bus = Bus(directory)
    (bus.home / "event-bus").mkdir(parents=True)
    (directory / "tool.sh").write_text(_TOOL)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(await asyncio.start_server(_answer, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        proxies = {
            name: await stack.enter_async_context(FaultyProxy(("127.0.0.1", port))) for name in REACHED
        }
        _configure(bus.home / "event-bus", {name: proxy.port for name, proxy in proxies.items()})
        crowd = Crowd(bus, rate / publishers, seed)
        stack.push_async_callback(bus.close)
        stack.push_async_callback(crowd.close)
        await bus.start()
        names = tuple(f"p{number}" for number in range(publishers))
        made = World(directory, bus, crowd, proxies, names)
        made.set_mode("poison", "on")
        await made.subscribe()
        yield made


def _configure(home: Path, ports: dict[str, int]) -> None:
    services: list[dict[str, Any]] = [
        {"name": "web", "kind": "http", "url": f"http://127.0.0.1:{ports['web']}/"},
        {"name": "database", "kind": "tcp", "port": ports["database"]},
        {"name": "tools", "kind": "mcp", "command": [sys.executable, str(STUB)]},
        {"name": "worker", "kind": "command", "command": ["/bin/sleep", "1000000"]},
    ]
    for service in services:
        service |= {
            "probes": _PROBES,
            "breaker": {"failure_threshold": 3, "recovery_timeout": 2.0},
            "restart": {"min_delay": 0.2, "max_delay": 1.0, "steady_after": 10.0},
        }
    settings = {
        "log": {"max_bytes": 1_000_000_000},
        "storm": {"soak.much": {"rate": 5, "burst": 20, "keep": 10}},
        "target_defaults": _TARGET,
        "targets": {
            "orders": {**_TARGET, "concurrency": 4},
            "chain": {**_TARGET, "concurrency": 4, "timeout": 5.0},
            "tool": {**_TARGET, "timeout": 10.0},
        },
        "services": services,
    }
    (home / "event-monitor.yaml").write_text(yaml.safe_dump(settings))
    shipped = json.loads((ROOT / "config" / "routing-rules.json").read_text())
    shipped["routing"]["soak.#"] = ["log"]
    (home / "routing-rules.json").write_text(json.dumps(shipped))
