"""A process that somebody else runs: watched, never started and never ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import re2

from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.services.base import CallerError, ServiceDown

_PS_LIMIT = 5.0


class ProcessService:
    """Alive while the process of ``pid_file`` runs, or one whose command line ``match`` (a regular
    expression) finds; a zombie does not run. Ready unless it was stopped (SIGSTOP, a debugger). The
    monitor itself is never what is meant."""

    def __init__(self, name: str, *, pid_file: str | None = None, match: str | None = None) -> None:
        """Raises ``ValueError`` for a pattern that is none, or if neither is given."""
        if (pid_file is None) == (match is None):
            raise ValueError("a process is watched by a pid_file or by match, one of the two")
        self.name = name
        self._pid_file = None if pid_file is None else os.path.expanduser(pid_file)
        self._match = match
        try:
            self._pattern = None if match is None else re2.compile(match, _quiet())
        except re2.error as error:
            raise ValueError(f"{match!r} is not a regular expression: {error}") from error
        self._pids: tuple[int, ...] = ()

    async def start(self) -> None:
        """It is only watched."""

    async def stop(self) -> None:
        """It is only watched."""

    async def restart(self, reason: str) -> None:
        """It is only watched."""

    def probes(self) -> Mapping[CheckKind, Probe]:
        return {
            CheckKind.STARTUP: self._check_alive,
            CheckKind.READINESS: self._check_ready,
            CheckKind.LIVENESS: self._check_alive,
        }

    async def call(self, operation: str, **arguments: Any) -> Any:
        """``check`` is all that can be asked."""
        if operation != "check":
            raise CallerError(f"{operation!r} is nothing that a process does: ask for 'check'")
        await self._check_ready()

    def describe(self) -> dict[str, Any]:
        return {
            "transport": "process (watched)",
            "pid_file": self._pid_file,
            "match": self._match,
            "pids": list(self._pids),
        }

    async def _check_alive(self) -> None:
        self._pids = ()
        self._pids = await asyncio.to_thread(self._find)

    async def _check_ready(self) -> None:
        await self._check_alive()
        if await asyncio.to_thread(lambda: all(map(is_stopped, self._pids))):
            raise ServiceDown(f"process {', '.join(map(str, self._pids))} was stopped by a signal")

    def _find(self) -> tuple[int, ...]:
        if self._pid_file is not None:
            pid = _read_pid(self._pid_file)
            if pid not in {found for found, _ in running()}:
                raise ServiceDown(f"process {pid} of {self._pid_file} is not running")
            return (pid,)
        assert self._pattern is not None
        pids = tuple(pid for pid, line in running() if pid != os.getpid() and self._pattern.search(line))
        if not pids:
            raise ServiceDown(f"no running process matches {self._match}")
        return pids


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


def _read_pid(path: str) -> int:
    try:
        with open(path, "rb") as file:
            words = file.read(64).split()
    except OSError as error:
        raise ServiceDown(f"its pid file {path} cannot be read: {error.strerror}") from error
    if not words or not words[0].isdigit() or len(words[0]) > 10:
        raise ServiceDown(f"its pid file {path} holds no process id")
    return int(words[0])


def running() -> list[tuple[int, str]]:
    """The processes that run, with their command lines. Raises ``ServiceDown`` if it cannot be told."""
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return _from_ps()
    found = []
    for name in names:
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                head, _, rest = stat.read().rpartition(b")")
            if rest.split()[0] in (b"Z", b"X"):
                continue
            with open(f"/proc/{name}/cmdline", "rb") as cmdline:
                words = cmdline.read()
        except (OSError, IndexError):
            continue
        line = words.rstrip(b"\0").replace(b"\0", b" ") or head.partition(b"(")[2]
        found.append((int(name), line.decode(errors="replace")))
    return found


def is_stopped(pid: int) -> bool:
    """Whether a process stands still until it is told to go on. Blocks, where there is no /proc for
    as long as ``ps`` takes."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        if os.path.isdir("/proc/self"):
            return False
    return _state_from_ps(pid).startswith("T")


def _state_from_ps(pid: int) -> str:
    try:
        listing = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, timeout=_PS_LIMIT, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServiceDown(f"ps does not tell how process {pid} stands: {error}") from error
    return listing.stdout.decode(errors="replace").strip()


def _from_ps() -> list[tuple[int, str]]:
    try:
        listing = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,stat=,command="],
            capture_output=True,
            timeout=_PS_LIMIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServiceDown(f"ps does not tell which processes run: {error}") from error
    rows = (line.split(None, 2) for line in listing.stdout.decode(errors="replace").splitlines())
    return [(int(row[0]), row[2]) for row in rows if len(row) == 3 and not row[1].startswith("Z")]
