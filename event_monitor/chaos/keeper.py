"""Keeps a chaos run from leaving anything behind, whatever ends it.

One small process holds the run's directory and its process groups. It reads a pipe that only the run holds
open: however that ends, SIGKILL included, the pipe closes, and the keeper kills the groups and removes the
directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from event_monitor.errors import Conflict
from event_monitor.paths import MAX_SOCKET_PATH

_KEEP = """
trap '' HUP INT QUIT TERM PIPE
groups=' '
while read -r word group; do
  case "$word$groups" in
    hold*) groups="$groups$group " ;;
    free*" $group "*) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
    done*) exit 0 ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done 2>/dev/null
tries=0
while [ -n "$1" ] && [ -e "$1" ] && [ "$tries" -lt 100 ]; do
  rm -rf -- "$1"
  tries=$((tries + 1))
  sleep 0.1
done
"""

_PREFIX = "event-monitor-chaos-"
_DEEPEST = "/network-loses-receipts/home/event-bus/bus.sock"
LONGEST = MAX_SOCKET_PATH - len(_DEEPEST)
"""The longest path that a run's directory may have."""


class Keeper:
    """A directory for a run, and the processes in it. Use it in a ``with`` statement.

    ``place`` is where the directory is to be made and to stay; without it one is made among the system's
    temporary files, and removed at the end unless it is to be kept. Raises ``Conflict`` if ``place``
    exists, or is too deep for the sockets in it."""

    def __init__(self, place: Path | None = None, *, keep: bool = False) -> None:
        self._keep = keep or place is not None
        self.directory = _temporary() if place is None else _made(place)
        self._groups: set[int] = set()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _KEEP, "sh", "" if self._keep else str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        if not self._keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        self._tell("done\n" if self._keep or not self.directory.exists() else "")
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def hold(self, process: asyncio.subprocess.Process) -> None:
        """Take on a process that was started in a group of its own."""
        self._groups.add(process.pid)
        self._tell(f"hold {process.pid}\n")

    def free(self, process: asyncio.subprocess.Process) -> None:
        """Its process has ended, and its number may be given to others."""
        self._groups.discard(process.pid)
        self._tell(f"free {process.pid}\n")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())


def _temporary() -> Path:
    """A fresh directory, not so deep that a socket in it has no place: on macOS the usual one is."""
    usual = tempfile.gettempdir()
    room = LONGEST - len(_PREFIX) - 9
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=usual if len(os.fsencode(usual)) <= room else "/tmp"))


def _made(place: Path) -> Path:
    if place.exists():
        raise Conflict(
            f"{place} exists already, and faults are injected into homes made for it only",
            "name a directory that does not exist yet, or none",
        )
    if len(os.fsencode(place)) > LONGEST:
        raise Conflict(f"{place} is too long a path for the sockets in it", "name a directory less deep")
    # Not an existing one even now: another may have made it meanwhile.
    place.mkdir(mode=0o700, parents=True)
    return place
