"""The bus under test as a process that can be armed, killed, frozen and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from event_monitor.chaos.keeper import Keeper
from event_monitor.chaos.notes import DIRECTORY
from event_monitor.chaos.switchboard import Armed, Order
from event_monitor.control.client import SocketClient
from event_monitor.messages import Message
from event_monitor.paths import HomePaths

LONGEST = 60.0
"""After so many seconds a bus that starts or ends is not slow, it is stuck."""


class BusDidNotStart(Exception):
    """It ended before it was ready; the text has its last words."""


@dataclass
class Life:
    """One process of the bus: from when to when (epoch seconds), and how it ended."""

    pid: int
    begun: float
    ended: float = 0.0
    how: str = ""
    frozen: list[tuple[float, float]] = field(default_factory=list)


class _Line(msgspec.Struct):
    ready: bool = False
    socket: str = ""
    obeyed: str = ""


class BusProcess:
    """A bus on the home below ``directory``. ``lives`` are its processes, the last one running."""

    def __init__(self, directory: Path, keeper: Keeper) -> None:
        self.directory = directory
        self.paths = HomePaths(str(directory / "home"))
        self.lives: list[Life] = []
        self.socket = self.paths.socket
        self._keeper = keeper
        self._process: asyncio.subprocess.Process | None = None
        self._armed: dict[str, Armed] = {}
        self._client = SocketClient(self.socket, timeout=10.0)

    @property
    def life(self) -> Life:
        """The present process, or the last one."""
        return self.lives[-1]

    async def start(self) -> None:
        """Start it with the faults that are armed; returns when it takes connections. Raises
        ``BusDidNotStart``."""
        with (self.directory / "bus.stderr").open("ab") as errors:
            starting = asyncio.ensure_future(
                asyncio.create_subprocess_exec(
                    # -P: nothing that lies in the working directory is loaded.
                    *(sys.executable, "-P", "-m", "event_monitor.chaos.bus", self.paths.home),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    env={**os.environ, **self._environment()},
                    start_new_session=True,
                )
            )
            try:
                await asyncio.shield(starting)
            finally:
                # asyncio waits for ever for a process whose start is cancelled half way.
                self._begun(await starting)
        try:
            async with asyncio.timeout(LONGEST):
                ready = (await self._line()).ready
        except TimeoutError:
            raise BusDidNotStart(f"no word of it within {LONGEST:g} s") from None
        if not ready:
            raise BusDidNotStart(self._last_words())
        for armed in self._armed.values():
            await self._order(Order(arm=armed))

    def _begun(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._keeper.hold(process)
        self.lives.append(Life(process.pid, time.time()))

    async def arm(self, armed: Armed) -> None:
        """Let a fault strike from now on, in this life and the next."""
        self._armed[armed.point] = armed
        await self._order(Order(arm=armed))

    async def heal(self, point: str) -> None:
        """End a fault."""
        self._armed.pop(point, None)
        await self._order(Order(heal=point))

    async def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        await self._reap("kill -9")

    async def stop(self) -> int:
        """End it as a service manager does, which kills what does not end; answers its exit status."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(LONGEST):
                return await self._reap("SIGTERM")
        except TimeoutError:
            self._signal(signal.SIGKILL)
            return await self._reap("kill -9, for it did not end")

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it as a suspended machine would, for the length of a block."""
        begun = time.time()
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)
            self.life.frozen.append((begun, time.time()))

    async def ask(self, message: Message) -> Any:
        """One request over the socket. Raises ``EventMonitorError``."""
        return await self._client.request(message)

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.returncode is None

    async def close(self) -> None:
        """End whatever still runs."""
        await self._client.close()
        if self.running:
            await self.kill()

    def _environment(self) -> Mapping[str, str]:
        return {
            DIRECTORY: str(self.directory),
            "EVENT_MONITOR_HOME": self.paths.home,
            # What the user's own assistant declares is not to be looked at.
            "CLAUDE_CONFIG_DIR": str(self.directory / "assistant"),
        }

    async def _order(self, order: Order) -> None:
        if not self.running:
            return
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            await self._process.stdin.drain()
            await self._line()

    async def _line(self) -> _Line:
        """The next line that it prints; an empty one at its end."""
        assert self._process is not None and self._process.stdout is not None
        text = await self._process.stdout.readline()
        return msgspec.json.decode(text, type=_Line) if text else _Line()

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.life.pid, number)

    async def _reap(self, how: str) -> int:
        assert self._process is not None
        status = await self._process.wait()
        self.life.ended, self.life.how = time.time(), how
        self._keeper.free(self._process)
        return status

    def _last_words(self) -> str:
        lines = (self.directory / "bus.stderr").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"
