"""An MCP server that speaks over its standard input and output: started, watched and called by us."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from event_monitor.config import RestartSettings
from event_monitor.resilience.health import CheckKind, Probe, Undecided
from event_monitor.services.base import ServiceDown, ServiceError
from event_monitor.services.guardian import Guardian
from event_monitor.services.mcp_session import McpSession
from event_monitor.services.mcp_wire import Wire
from event_monitor.services.supervisor import Child, Grace, Supervisor

START_LIMIT = 30.0


class McpService:
    """A supervised MCP server. Alive while its process runs and its output is open; ready when it
    answers. A server that has not answered ``start_limit`` seconds after its start is ended and
    started again. Calls that come while it starts wait for it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        guardian: Guardian,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        restart: RestartSettings = RestartSettings(),  # noqa: B008 - frozen
        start_limit: float = START_LIMIT,
        grace: Grace = Grace(),  # noqa: B008 - frozen
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.on_crash: Callable[[str], None] = lambda why: None
        self._start_limit = start_limit
        self._wire: Wire | None = None
        self._opening: asyncio.Task[McpSession] | None = None
        self._calls = 0
        self._answers_seen = 0
        self._supervisor = Supervisor(
            command,
            guardian,
            env=env,
            cwd=cwd,
            restart=restart,
            talks=True,
            grace=grace,
            rng=rng,
            on_crash=lambda why: self.on_crash(why),
            on_start=self._begun,
        )

    async def start(self) -> None:
        await self._supervisor.start()

    async def stop(self) -> None:
        if self._wire is not None:
            self._wire.close("it is being stopped")
        await self._supervisor.stop()

    async def restart(self, reason: str) -> None:
        await self._supervisor.restart(reason)

    async def recover(self, reason: str, since: float) -> None:
        await self._supervisor.recover(reason, since)

    def probes(self) -> Mapping[CheckKind, Probe]:
        return {
            CheckKind.STARTUP: self._check_started,
            CheckKind.READINESS: self._check_ready,
            CheckKind.LIVENESS: self._check_alive,
        }

    async def call(self, operation: str, **arguments: Any) -> Any:
        """A tool's result, or a method's if ``operation`` has a slash in it."""
        session = await self._session()
        self._calls += 1
        try:
            return await session.call(operation, arguments)
        finally:
            self._calls -= 1

    def describe(self) -> dict[str, Any]:
        session = self._open_session()
        return {
            "transport": "stdio",
            **self._supervisor.describe(),
            "protocol": session.version if session else None,
            "server": session.server if session else "",
            "traffic": asdict(self._wire.counters) if self._wire else {},
        }

    # --- the connection ---------------------------------------------------------------------

    def _begun(self, child: Child) -> None:
        wire = Wire(child.send)

        def ended() -> None:
            wire.close("it closed its output")
            child.give_up()

        child.on_output = wire.feed
        child.on_end = ended
        child.exited.add_done_callback(lambda _: wire.close("its process has ended"))
        self._wire = wire
        self._answers_seen = 0
        self._opening = asyncio.create_task(self._open(child, wire), name=f"mcp-open-{self.name}")
        self._opening.add_done_callback(_look)

    async def _open(self, child: Child, wire: Wire) -> McpSession:
        session = McpSession(wire)
        try:
            async with asyncio.timeout(self._start_limit):
                await session.open()
        except TimeoutError:
            reason = f"no answer within {self._start_limit:g} s of its start"
            wire.close(reason)
            child.give_up(reason)
            raise ServiceDown(reason) from None
        except ServiceError as error:
            wire.close(str(error))
            child.give_up(str(error))
            raise
        return session

    async def _session(self) -> McpSession:
        """The open conversation; waits for one that is being opened. Raises ``ServiceDown``."""
        self._supervisor.check()
        opening = self._opening
        assert opening is not None
        try:
            return await asyncio.shield(opening)
        except ServiceError as error:
            raise ServiceDown(str(error)) from error

    def _open_session(self) -> McpSession | None:
        opening = self._opening
        if opening is None or not opening.done() or opening.cancelled() or opening.exception():
            return None
        return opening.result()

    # --- health -----------------------------------------------------------------------------

    async def _check_started(self) -> None:
        await self._session()

    async def _check_alive(self) -> None:
        self._supervisor.check()
        if self._wire is None or not self._wire.is_open:
            raise ServiceDown("its process runs, but it closed its output")

    async def _check_ready(self) -> None:
        await self._check_alive()
        session = self._open_session()
        if session is None:
            raise ServiceDown("it is still starting")
        assert self._wire is not None
        # Servers that do one thing at a time would answer late, and some end the call (go-sdk#979).
        if not self._calls:
            await session.ping()
        elif self._answers_seen == self._wire.counters.answers:
            raise Undecided("a call is under way, and nothing was answered since the last look")
        self._answers_seen = self._wire.counters.answers


def _look(opening: asyncio.Task[McpSession]) -> None:
    if not opening.cancelled():
        opening.exception()
