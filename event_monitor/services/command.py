"""A long-running command that the monitor keeps running."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from event_monitor.config import RestartSettings
from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.services.base import CallerError, ServiceDown
from event_monitor.services.guardian import Guardian
from event_monitor.services.process import is_stopped
from event_monitor.services.supervisor import Grace, Supervisor


class CommandService:
    """Alive while it runs, ready unless it was stopped (SIGSTOP). It has no input; both of its outputs
    are kept as its tail."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        guardian: Guardian,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        restart: RestartSettings = RestartSettings(),  # noqa: B008 - frozen
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.on_crash: Callable[[str], None] = lambda why: None
        self._supervisor = Supervisor(
            command,
            guardian,
            env=env,
            cwd=cwd,
            restart=restart,
            grace=Grace(end_of_input=0.0),
            rng=rng,
            on_crash=lambda why: self.on_crash(why),
        )

    async def start(self) -> None:
        await self._supervisor.start()

    async def stop(self) -> None:
        await self._supervisor.stop()

    async def restart(self, reason: str) -> None:
        await self._supervisor.restart(reason)

    async def recover(self, reason: str, since: float) -> None:
        await self._supervisor.recover(reason, since)

    def probes(self) -> Mapping[CheckKind, Probe]:
        return {
            CheckKind.STARTUP: self._check_alive,
            CheckKind.READINESS: self._check_ready,
            CheckKind.LIVENESS: self._check_alive,
        }

    async def call(self, operation: str, **arguments: Any) -> Any:
        """``check`` is all that can be asked."""
        if operation != "check":
            raise CallerError(f"{operation!r} is nothing that a command does: ask for 'check'")
        await self._check_ready()

    def describe(self) -> dict[str, Any]:
        return {"transport": "process", **self._supervisor.describe()}

    async def _check_alive(self) -> None:
        self._supervisor.check()

    async def _check_ready(self) -> None:
        self._supervisor.check()
        pid = self._supervisor.pid
        if pid is not None and await asyncio.to_thread(is_stopped, pid):
            raise ServiceDown(f"process {pid} was stopped by a signal")
