"""Services that a test scripts, under a real runtime, on virtual time or real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from event_monitor.config import ServiceSettings, Settings, StoreSettings
from event_monitor.paths import HomePaths
from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.runtime import Runtime
from event_monitor.services import kinds
from event_monitor.services.base import ServiceDown


class ScriptedService:
    """Up while ``is_up`` says so; a readiness check takes ``check_seconds``. ``checks`` are the times
    of its probes, by kind, ``overlaps`` how often one was begun while another of its kind ran."""

    def __init__(self, name: str, is_up: Callable[[], bool], check_seconds: float = 0.0) -> None:
        self.name = name
        self.restarts = 0
        self.overlaps = 0
        self.checks: dict[CheckKind, list[float]] = {kind: [] for kind in CheckKind}
        self._is_up = is_up
        self._check_seconds = check_seconds
        self._running: set[CheckKind] = set()

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self, reason: str) -> None:
        self.restarts += 1

    def probes(self) -> Mapping[CheckKind, Probe]:
        return {kind: lambda kind=kind: self._check(kind) for kind in CheckKind}  # type: ignore[misc]

    async def call(self, operation: str, **arguments: Any) -> Any:
        self._require()
        return operation

    def describe(self) -> dict[str, Any]:
        return {"transport": "scripted"}

    async def _check(self, kind: CheckKind) -> None:
        self.checks[kind].append(asyncio.get_running_loop().time())
        self.overlaps += kind in self._running
        self._running.add(kind)
        try:
            if kind is CheckKind.READINESS:
                await asyncio.sleep(self._check_seconds)
            self._require()
        finally:
            self._running.discard(kind)

    def _require(self) -> None:
        if not self._is_up():
            raise ServiceDown("the link is down")


@asynccontextmanager
async def scripted_runtime(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    services: Mapping[str, ScriptedService],
    settings: tuple[ServiceSettings, ...],
) -> AsyncIterator[Runtime]:
    """A runtime whose services are the scripted ones of the same names."""
    monkeypatch.setattr(kinds, "make_service", lambda one, guardian: services[one.name])
    runtime = await Runtime.start(
        HomePaths(str(home)), Settings(store=StoreSettings(durability="normal"), services=settings)
    )
    try:
        yield runtime
    finally:
        await runtime.stop()
