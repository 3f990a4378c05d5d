"""A service that is reached over TCP: alive and ready if it takes a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.services.base import CallerError, ServiceDown


class TcpService:
    """Connects and closes again; nothing is sent."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self._host = host
        self._port = port

    async def start(self) -> None:
        """There is nothing to start."""

    async def stop(self) -> None:
        """There is nothing to stop."""

    async def restart(self, reason: str) -> None:
        """Each check connects anew anyway."""

    def probes(self) -> Mapping[CheckKind, Probe]:
        return dict.fromkeys(CheckKind, self._check)

    async def call(self, operation: str, **arguments: Any) -> Any:
        """``check`` is all that can be asked."""
        if operation != "check":
            raise CallerError(f"{operation!r} is nothing that a tcp service does: ask for 'check'")
        await self._check()

    def describe(self) -> dict[str, Any]:
        return {"transport": "tcp", "address": f"{self._host}:{self._port}"}

    async def _check(self) -> None:
        try:
            _, writer = await asyncio.open_connection(self._host, self._port)
        except OSError as error:
            raise ServiceDown(f"{self._host}:{self._port}: {error.strerror or error}") from error
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
