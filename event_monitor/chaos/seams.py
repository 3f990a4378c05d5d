"""The bus's surroundings with fault points in them: its database, its services and its clock.

Nothing of the bus knows of them: they are what it is given by whoever starts it for a chaos run.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from event_monitor.bus.database import Database
from event_monitor.chaos.switchboard import SWITCHBOARD
from event_monitor.clock import LoopClock
from event_monitor.config import ServiceSettings
from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.services.base import Service, ServiceDown, Supervised
from event_monitor.services.guardian import Guardian
from event_monitor.services.kinds import make_service
from event_monitor.surroundings import Surroundings

T = TypeVar("T")

_REFUSALS = {
    "store.write.disk_full": ("database or disk is full", sqlite3.SQLITE_FULL),
    "store.write.io_error": ("disk I/O error", sqlite3.SQLITE_IOERR),
}


class FaultyDatabase(Database):
    """Connections whose transactions are refused, or take long, while that is armed."""

    async def transaction(self, work: Callable[[sqlite3.Connection], T], *, synced: bool = True) -> T:
        """See ``Database.transaction``. What is refused is rolled back by SQLite itself."""

        def spoilt(connection: sqlite3.Connection) -> T:
            result = work(connection)
            if slow := SWITCHBOARD.strikes("store.write.slow"):
                # On the connection's own thread, as a disk that takes its time.
                time.sleep(slow.amount)
            for point, (text, code) in _REFUSALS.items():
                if SWITCHBOARD.strikes(point):
                    error = sqlite3.OperationalError(text)
                    error.sqlite_errorcode = code
                    raise error
            return result

        return await super().transaction(spoilt, synced=synced)


class FaultyService:
    """A service whose calls and probes fail, hang or take long, while that is armed."""

    def __init__(self, service: Service) -> None:
        self.name = service.name
        self._service = service

    async def start(self) -> None:
        await self._service.start()

    async def stop(self) -> None:
        await self._service.stop()

    async def restart(self, reason: str) -> None:
        await self._service.restart(reason)

    def probes(self) -> Mapping[CheckKind, Probe]:
        return {kind: self._spoilt(probe) for kind, probe in self._service.probes().items()}

    async def call(self, operation: str, **arguments: Any) -> Any:
        await _suffer("service.call")
        return await self._service.call(operation, **arguments)

    def describe(self) -> dict[str, Any]:
        return self._service.describe()

    def _spoilt(self, probe: Probe) -> Probe:
        async def run() -> None:
            await _suffer("service.probe")
            await probe()

        return run


class FaultySupervised(FaultyService):
    """The same for a service whose process the bus runs."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        assert isinstance(service, Supervised)
        self._supervised: Supervised = service

    @property
    def on_crash(self) -> Callable[[str], None]:
        return self._supervised.on_crash

    @on_crash.setter
    def on_crash(self, listener: Callable[[str], None]) -> None:
        self._supervised.on_crash = listener

    async def recover(self, reason: str, since: float) -> None:
        await self._supervised.recover(reason, since)


async def _suffer(what: str) -> None:
    if SWITCHBOARD.strikes(f"{what}.hang"):
        # Whoever called gives up, as its deadline says.
        await asyncio.Event().wait()
    if slow := SWITCHBOARD.strikes(f"{what}.slow"):
        await asyncio.sleep(slow.amount)
    if SWITCHBOARD.strikes(f"{what}.fail"):
        raise ServiceDown("it fails, as was told")


def faulty_service(settings: ServiceSettings, guardian: Guardian) -> Service:
    """``make_service`` with fault points around what it makes."""
    service = make_service(settings, guardian)
    return FaultySupervised(service) if isinstance(service, Supervised) else FaultyService(service)


def faulty_clock(loop: asyncio.AbstractEventLoop) -> LoopClock:
    """A clock whose wall time jumps by ``clock.jump`` while that is armed."""

    def wall() -> float:
        jump = SWITCHBOARD.armed("clock.jump")
        return time.time() + (jump.amount if jump else 0.0)

    return LoopClock(loop, wall)


def surroundings() -> Surroundings:
    """All of them."""
    return Surroundings(clock=faulty_clock, database=FaultyDatabase, make_service=faulty_service)


class Scarcity:
    """Takes memory and descriptors away from this process, as the switchboard says."""

    def __init__(self) -> None:
        self._taken = bytearray()
        self._descriptors: tuple[int, int] | None = None

    def follow(self) -> None:
        """Take or give back what was armed or healed since."""
        memory = SWITCHBOARD.armed("process.memory")
        if memory and not self._taken:
            self._taken = bytearray(b"x") * int(memory.amount * 1_048_576)
        elif not memory:
            self._taken = bytearray()
        self._follow_descriptors(bool(SWITCHBOARD.armed("process.descriptors")))

    def _follow_descriptors(self, wanted: bool) -> None:
        import resource

        if wanted == (self._descriptors is not None):
            return
        if self._descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._descriptors)
            self._descriptors = None
            return
        self._descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):
            # What is open stays open; nothing can be opened beside it.
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, self._descriptors[1]))
