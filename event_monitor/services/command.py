"""A long-running command that the monitor keeps running."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from event_monitor.config import RestartSettings
from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.services.base import CallerError
from event_monitor.services.guardian import Guardian
from event_monitor.services.supervisor import Grace, Supervisor


class CommandService:
    """Healthy while it runs. It has no input; both of its outputs are kept as its tail."""

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
        self._supervisor = Supervisor(
            command,
            guardian,
            env=env,
            cwd=cwd,
            restart=restart,
            grace=Grace(end_of_input=0.0),
            rng=rng,
        )

    async def start(self) -> None:
        await self._supervisor.start()

    async def stop(self) -> None:
        await self._supervisor.stop()

    async def restart(self, reason: str) -> None:
        await self._supervisor.restart(reason)

    def probes(self) -> Mapping[CheckKind, Probe]:
        return dict.fromkeys(CheckKind, self._check)

    async def call(self, operation: str, **arguments: Any) -> Any:
        """``check`` is all that can be asked."""
        if operation != "check":
            raise CallerError(f"{operation!r} is nothing that a command does: ask for 'check'")
        await self._check()

    def describe(self) -> dict[str, Any]:
        return {"transport": "process", **self._supervisor.describe()}

    async def _check(self) -> None:
        self._supervisor.check()
