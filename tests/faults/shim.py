"""The fault-injecting library (``shim.c``) as tests use it: compiled once, armed and healed by files."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("shim.c")
FOR_EVER = 1_000_000_000
ALL_KINDS = "wsrmotu"
"""Writes, syncs, renames, mkdir, opens that create, truncations, unlinks."""
SHORT_WRITE = 0


class Counted(NamedTuple):
    """One call that the library has counted."""

    generation: int
    number: int
    kind: str
    failed: bool
    path: str


def compiled(directory: Path) -> Path | None:
    """The library, or ``None`` where it cannot be built."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not os.path.isdir("/proc/self/fd"):
        return None
    library = directory / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl", "-pthread"]
    subprocess.run(command, check=True, capture_output=True)
    return library


class Faults:
    """The faults of one home's processes. ``environment`` is for the processes that shall have them."""

    def __init__(self, library: Path, home: Path, scratch: Path) -> None:
        self._plan = scratch / "plan"
        self._log = scratch / "log"
        self._clock = scratch / "clock"
        self._generation = 0
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULT_BELOW": str(home),
            "FAULT_PLAN": str(self._plan),
            "FAULT_LOG": str(self._log),
            "FAULT_CLOCK": str(self._clock),
        }

    def arm(self, first: int, code: int = errno.ENOSPC, *, calls: int = 1, kinds: str = ALL_KINDS) -> None:
        """From now on the ``first``-th call and those after it, ``calls`` in all, fail with ``code``."""
        self._generation += 1
        draft = self._plan.with_suffix(".draft")
        draft.write_text(f"{self._generation} {first} {first + calls - 1} {code} {kinds}\n")
        draft.replace(self._plan)

    def heal(self) -> None:
        """Nothing fails any more."""
        self._plan.unlink(missing_ok=True)

    def counted(self) -> list[Counted]:
        """The calls that were counted since the last ``arm``."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        parts = [line.split(" ", 4) for line in lines]
        found = [Counted(int(g), int(n), kind, failed == "1", path) for g, n, kind, failed, path in parts]
        return [call for call in found if call.generation == self._generation]

    @property
    def struck(self) -> bool:
        """Whether a call has failed since the last ``arm``."""
        return any(call.failed for call in self.counted())

    def set_clock(self, seconds: float) -> None:
        """Let the wall clock be off by ``seconds``."""
        draft = self._clock.with_suffix(".draft")
        draft.write_text(str(seconds))
        draft.replace(self._clock)
