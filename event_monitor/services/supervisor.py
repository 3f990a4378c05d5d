"""A supervised process: started, started again with backoff when it ends, and ended with its whole group."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from event_monitor.config import RestartSettings
from event_monitor.services.base import ServiceDown
from event_monitor.services.guardian import CannotStart, Guardian
from event_monitor.services.shown import words_shown

TAIL_BYTES = 8_192
MAX_UNWRITTEN = 4 * 1_048_576
JITTER = 0.1
_POLL = 0.02
_SHORTEST_SECRET = 6


class ProcessState(enum.StrEnum):
    """Where a supervised process stands."""

    STOPPED = "stopped"
    RUNNING = "running"
    WAITING = "waiting to be started again"
    ENDED = "ended"
    UNSTARTABLE = "cannot be started"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. ``code`` is its exit status, or the negative number of the signal."""

    code: int
    seconds: float

    def __str__(self) -> str:
        if self.code >= 0:
            return f"exit status {self.code}"
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-self.code).name}"
        return f"ended by signal {-self.code}"


@dataclass(frozen=True, slots=True)
class Grace:
    """Seconds that a process gets after its input was closed, after SIGTERM and after SIGKILL."""

    end_of_input: float = 1.0
    terminate: float = 2.0
    kill: float = 2.0


class Child(asyncio.SubprocessProtocol):
    """One run of a process. ``on_output`` gets its standard output, ``on_end`` hears once that no
    more will come; without them the output goes to the tail, where its error output always goes."""

    def __init__(self) -> None:
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.on_output: Callable[[bytes], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.tail = bytearray()
        self.hopeless: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too."""
        return self._transport.get_pid()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1 and self.on_output is not None:
            self.on_output(data)
            return
        self.tail += data[-TAIL_BYTES:]
        del self.tail[:-TAIL_BYTES]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self._writable.set()
        elif fd == 1 and self.on_end is not None:
            self.on_end()

    def process_exited(self) -> None:
        code = self._transport.get_returncode()
        if not self.exited.done():
            self.exited.set_result(0 if code is None else code)
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def send(self, data: bytes) -> None:
        """Write to its input and wait until most of it is taken. Raises ``ServiceDown`` if nobody
        reads: the process has ended, or left ``MAX_UNWRITTEN`` bytes lying."""
        pipe = self._input
        if pipe is None or pipe.is_closing() or self.exited.done():
            raise ServiceDown("its process has ended")
        lying = pipe.get_write_buffer_size()
        if lying and lying + len(data) > MAX_UNWRITTEN:
            raise ServiceDown(f"it does not read its input: {lying} bytes lie unread")
        pipe.write(data)
        await self._writable.wait()

    def close_input(self) -> None:
        """Let it see the end of its input."""
        pipe = self._input
        if pipe is not None:
            pipe.close()
            if pipe.get_write_buffer_size():
                pipe.abort()

    def give_up(self, reason: str = "") -> None:
        """Have the process ended and, after the usual delay, started again: it is of no use."""
        if not self.hopeless.done():
            self.hopeless.set_result(reason)

    def close(self) -> None:
        """Let go of its pipes."""
        self._transport.close()

    @property
    def _input(self) -> asyncio.WriteTransport | None:
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class Supervisor:
    """Keeps one process running.

    ``env`` is added to this process's own. ``on_start`` gets each new ``Child`` before any of its
    output is read; ``on_exit`` hears how it ended, and a start that failed is told as text;
    ``on_crash`` hears why it ended though nobody had asked for it. A command that does not exist is
    tried again at the same pace, for it may be installed later. Used from one loop; whoever is
    cancelled while waiting here cancels nothing else.
    """

    def __init__(
        self,
        command: Sequence[str],
        guardian: Guardian,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        restart: RestartSettings = RestartSettings(),  # noqa: B008 - frozen
        talks: bool = False,
        grace: Grace = Grace(),
        clock: Callable[[], float] = _loop_time,
        rng: random.Random | None = None,
        on_start: Callable[[Child], None] = lambda child: None,
        on_exit: Callable[[Exit | str], None] = lambda how: None,
        on_crash: Callable[[str], None] = lambda why: None,
    ) -> None:
        self.command = tuple(command)
        self.state = ProcessState.STOPPED
        self.starts = 0
        self.last_exit: Exit | None = None
        self.reason = ""
        self.child: Child | None = None
        self._guardian = guardian
        self._env = dict(env or {})
        self._cwd = cwd
        self._restart = restart
        self._talks = talks
        self._grace = grace
        self._clock = clock
        self._rng = rng or random.Random()
        self._on_start = on_start
        self._on_exit = on_exit
        self._on_crash = on_crash
        self._task: asyncio.Task[None] | None = None
        self._started_at = 0.0
        self._wanted = False
        self._wake = asyncio.Event()
        self._tail = b""

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self.child.pid if self.child is not None and not self.child.exited.done() else None

    async def start(self) -> None:
        """Begin; answers at once."""
        if self._task is not None and self._task.done():
            self._task = None
        self._wanted = True
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"supervise-{self.command[0]}")

    async def stop(self) -> None:
        """End the whole group: close its input, then SIGTERM, then SIGKILL. Safe to call twice."""
        self._wanted = False
        self._wake.set()
        if self._task is not None:
            await asyncio.shield(asyncio.wait([self._task]))

    async def restart(self, reason: str) -> None:
        """End the process if it runs and start it again without delay."""
        self.reason = reason
        self._wake.set()
        await self.start()

    async def recover(self, reason: str, since: float) -> None:
        """End the process if it is the one that ran at ``since`` (by the clock), to be started again
        after the usual delay. One that waits to be started, or was since then, is recovered already; one
        that is not to be started again is left alone."""
        if not self._restart.enabled:
            return
        if self.child is not None and self._started_at <= since:
            self.child.give_up(reason)
        await self.start()

    def tail(self) -> str:
        """The last of its error output, without control characters and with the values of its
        configured environment blotted out."""
        raw = bytes(self.child.tail) if self.child is not None else self._tail
        return self._clean(raw.decode(errors="replace"))

    def describe(self) -> dict[str, Any]:
        """Its state for a person; nothing of the environment, and no word that looks like a secret."""
        return {
            "command": self._clean(words_shown(self.command)),
            "state": str(self.state),
            "reason": self.reason,
            "pid": self.pid,
            "starts": self.starts,
            "last_exit": None if self.last_exit is None else str(self.last_exit),
            "stderr": self.tail(),
        }

    def _clean(self, text: str) -> str:
        for value in self._env.values():
            if len(value) >= _SHORTEST_SECRET:
                text = text.replace(value, "***")
        return "".join(char if char.isprintable() or char == "\n" else " " for char in text)

    def check(self) -> None:
        """Raises ``ServiceDown`` with the reason unless the process runs."""
        if self.pid is not None:
            return
        why = self.reason or (str(self.last_exit) if self.last_exit else "")
        raise ServiceDown(f"its process is not running: {self.state}" + (f" ({why})" if why else ""))

    # --- the one task -----------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while self._wanted:
            self._wake.clear()
            lasted = await self._run_once()
            failures = 0 if lasted >= self._restart.steady_after else failures
            if self._wake.is_set():
                failures = 0
                continue
            if not self._restart.enabled:
                self._settle(ProcessState.ENDED)
                return
            if self.state is not ProcessState.UNSTARTABLE:
                self.state = ProcessState.WAITING
            await self._wait(self.delay(failures))
            failures += 1
        self._settle(ProcessState.STOPPED)

    def delay(self, failures: int) -> float:
        """Seconds to wait before another start after so many quick failures in a row."""
        base = min(self._restart.min_delay * 2.0 ** min(failures, 60), self._restart.max_delay)
        return base * (1 + JITTER * self._rng.random())

    def _settle(self, state: ProcessState) -> None:
        if self.state is not ProcessState.UNSTARTABLE or state is ProcessState.STOPPED:
            self.state = state

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _run_once(self) -> float:
        """One life of the process; answers how long it was."""
        try:
            _, child = await self._guardian.spawn(
                Child, self.command, {**os.environ, **self._env}, self._cwd, talks=self._talks
            )
        except CannotStart as error:
            self.state, self.reason = ProcessState.UNSTARTABLE, str(error)
            self._on_exit(self.reason)
            return 0.0
        started = self._started_at = self._clock()
        self.starts += 1
        self.state, self.reason, self.child = ProcessState.RUNNING, "", child
        self._on_start(child)
        woken: asyncio.Future[Any] = asyncio.ensure_future(self._wake.wait())
        try:
            ends = [woken, child.exited, child.hopeless]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            lasted = self._clock() - started
            await end_group(child, self._grace)
        except BaseException:
            _signal_group(child.pid, signal.SIGKILL)
            raise
        finally:
            woken.cancel()
            self._guardian.release(child.pid)
            child.close()
            self._tail, self.child = bytes(child.tail), None
        self.last_exit = Exit(child.exited.result() if child.exited.done() else -signal.SIGKILL, lasted)
        if not self._wake.is_set():
            why = child.hopeless.result() if child.hopeless.done() else ""
            self.reason = f"{why}; {self.last_exit}" if why else str(self.last_exit)
            self._on_crash(self.reason)
        self._on_exit(self.last_exit)
        return lasted


async def end_group(child: Child, grace: Grace) -> None:
    """End a child and all that it started. A stopped process is continued, so that it can obey."""
    if not child.exited.done():
        child.close_input()
        await asyncio.wait([child.exited], timeout=grace.end_of_input)
    if _signal_group(child.pid, signal.SIGTERM):
        _signal_group(child.pid, signal.SIGCONT)
        if not await _gone(child, grace.terminate):
            _signal_group(child.pid, signal.SIGKILL)
            await _gone(child, grace.kill)
    if not child.exited.done():
        await asyncio.wait([child.exited], timeout=grace.kill)


async def _gone(child: Child, seconds: float) -> bool:
    """Whether the group has ended within so many seconds. Nothing tells of the end of a
    grandchild, so it is asked for."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while _signal_group(child.pid, 0) and (not child.exited.done() or _runs(child.pid)):
        if loop.time() >= until:
            return False
        await asyncio.sleep(_POLL)
    return True


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a group; answers whether it had any member."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _runs(group: int) -> bool:
    """Whether a member of the group does more than wait to be reaped, where /proc can tell."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return True
    for name in names:
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{name}/stat", "rb") as stat:
                    state, _, pgrp = stat.read().rpartition(b")")[2].split()[:3]
                if int(pgrp) == group and state not in (b"Z", b"X"):
                    return True
    return False
