"""Invented services for ``event-monitor --demo``: real HTTP servers on loopback that are moody on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random

NAMES = ("filesystem", "github", "memory", "web_search")
_LONGEST_HEAD = 65_536
_SETTINGS = """\
# Invented for the demo: servers of this process, on loopback.
services:
{services}
"""
_SERVICE = """\
  - name: {name}
    kind: http
    url: "http://127.0.0.1:{port}/"
    timeout: 3
    breaker: {{failure_threshold: 3, recovery_timeout: 8}}
    retry: {{max_retries: 1, max_delay: 1}}
    probes: {{readiness: {{interval: 4, limit: 2}}, liveness: {{interval: 12, limit: 4}}}}
"""


class InventedServer:
    """Answers each request after a while, and, while it is ``down``, with an error."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name = name
        self.down = False
        self._random = rng
        self._typical = rng.uniform(0.002, 0.02)
        self._server: asyncio.Server

    async def start(self) -> int:
        """Listen on a free port of loopback and answer which."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", limit=_LONGEST_HEAD)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Listen no more."""
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(self._typical * self._random.lognormvariate(0.0, 0.6))
            status = b"503 Service Unavailable" if self.down else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()


class InventedServices:
    """Some servers, one of which is down now and then for long enough that its breaker opens."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._random = rng or random.Random()
        self.servers = [InventedServer(name, self._random) for name in NAMES]

    async def start(self, settings_path: str) -> None:
        """Start them, and write settings that watch them."""
        ports = [await server.start() for server in self.servers]
        listed = zip(NAMES, ports, strict=True)
        services = "".join(_SERVICE.format(name=name, port=port) for name, port in listed)
        await asyncio.to_thread(_write, settings_path, _SETTINGS.format(services=services))

    async def run(self) -> None:
        """Let one fail, and heal, again and again."""
        await asyncio.sleep(8.0)
        while True:
            server = self._random.choice(self.servers)
            server.down = True
            try:
                await asyncio.sleep(self._random.uniform(18.0, 40.0))
            finally:
                server.down = False
            await asyncio.sleep(self._random.uniform(25.0, 60.0))

    async def stop(self) -> None:
        """End them."""
        for server in self.servers:
            await server.stop()


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
