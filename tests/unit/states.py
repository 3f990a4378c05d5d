"""What the tests of the system state share: the design's table, a disk that fails on demand, and the
file as anybody could read it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from event_monitor.model import SystemState

S = SystemState
# The table of the design, copied by hand.
TABLE = {
    (S.INITIALIZING, S.HEALTHY),
    (S.INITIALIZING, S.DEGRADED),
    (S.INITIALIZING, S.FAILED),
    (S.HEALTHY, S.DEGRADED),
    (S.HEALTHY, S.FAILED),
    (S.DEGRADED, S.RECOVERING),
    (S.DEGRADED, S.FAILED),
    (S.RECOVERING, S.HEALTHY),
    (S.RECOVERING, S.DEGRADED),
    (S.RECOVERING, S.FAILED),
    (S.FAILED, S.RECOVERING),
    (S.MAINTENANCE, S.INITIALIZING),
    *((state, S.MAINTENANCE) for state in S if state is not S.MAINTENANCE),
}


def saved(path: Path) -> Any:
    return msgspec.json.decode(path.read_bytes())


class Disk:
    """Stands in for ``os`` in the module under test. A write makes five calls: it opens the file
    aside, syncs it, renames it, opens the directory and syncs that."""

    CALLS = 5
    RENAME = 3

    def __init__(self) -> None:
        self.broken = False
        self.fail_at = 0
        self.watch_at = 0
        self.watch: Callable[[], None] = lambda: None
        self._made = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def begin(self) -> None:
        """Count the calls of the next write from 1."""
        self._made = 0

    def _call(self) -> None:
        self._made += 1
        if self._made == self.watch_at:
            self.watch()
        if self.broken or self._made == self.fail_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        self._call()
        return os.open(path, flags, mode)

    def fsync(self, file: int) -> None:
        self._call()

    def replace(self, source: Any, target: Any) -> None:
        self._call()
        os.replace(source, target)


class _InTurn:
    """Stands in for ``asyncio`` in the module under test: what would run on a thread runs on the
    loop, a moment later, so that every run of a test is the same."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def to_thread(self, func: Callable[..., Any], *args: Any) -> Any:
        await asyncio.sleep(0)
        result = func(*args)
        await asyncio.sleep(0)
        return result


def on_disk(module: ModuleType, disk: Disk) -> pytest.MonkeyPatch:
    """Have a state machine's module write to ``disk``, in turn; undo what is returned."""
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "os", disk)
    patch.setattr(module, "asyncio", _InTurn())
    return patch


def check_history(history: list[Any]) -> None:
    """Only pairs of the table, each beginning where the one before ended, but for a restart, which
    begins afresh."""
    for one in history:
        assert (one.from_state, one.to_state) in TABLE, f"{one.from_state} → {one.to_state}"
    for before, after in pairwise(history):
        assert after.from_state in (before.to_state, S.INITIALIZING)
