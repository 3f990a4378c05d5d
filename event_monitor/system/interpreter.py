"""Where the interpreter stood while one call kept it to itself, so that no other thread could look.

A regular expression or a C extension may hold the interpreter's lock for seconds. A signal reaches the
thread that computes all the same, and Python's ``faulthandler`` writes that thread's own stack from
within it. Stacks of other threads must not be read without the lock: they change meanwhile, and the
process dies of it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import os
import re
import signal
from pathlib import Path
from typing import IO

from event_monitor.stacks import MAX_FRAMES, short_path

_HEADER = re.compile(r"(?:Stack|Current thread 0x[0-9a-f]+).* \(most recent call first\):")
_FRAME = re.compile(r'  File "(.+)", line (\d+) in (.+)')


class InterpreterDump:
    """Writes a stack to ``path`` if it is not armed again in time. One at a time in a process.

    Time is what this process uses of the processors: one that was stopped, or starved, or a machine
    that slept, has used none. The stack is that of the thread which then computed.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] | None = None
        # Without the file (a full disk, a read-only home) stalls of this kind go without a stack.
        with contextlib.suppress(OSError):
            self._file = path.open("w+b", buffering=0)
            faulthandler.register(signal.SIGPROF, file=self._file, all_threads=False)

    def arm(self, seconds: float) -> None:
        """Dump once ``seconds`` of processor time were used, unless this is called again before."""
        if self._file is None:
            return
        self._forget()
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def take(self) -> tuple[str, ...]:
        """The stack since it was armed, the innermost call first; forget it. Empty if none was written."""
        if self._file is None:
            return ()
        self._file.seek(0)
        text = self._file.read().decode("utf-8", "replace")
        self._forget()
        return parse_dump(text)

    def _forget(self) -> None:
        if self._file is not None and self._file.seek(0, os.SEEK_END):
            self._file.seek(0)
            self._file.truncate()

    def close(self) -> None:
        """Dump no more."""
        if self._file is not None:
            signal.setitimer(signal.ITIMER_PROF, 0)
            # A signal may still be on its way, and would end a process that no longer expects it.
            faulthandler.register(signal.SIGPROF, file=_nowhere(), all_threads=False)
            self._file.close()
            self._file = None


def parse_dump(text: str) -> tuple[str, ...]:
    """The last stack in what ``faulthandler`` wrote, the innermost call first."""
    lines: list[str] = []
    for row in text.splitlines():
        if _HEADER.match(row):
            lines = []
        elif frame := _FRAME.match(row):
            lines.append(f"{short_path(frame[1])}:{frame[2]} in {frame[3]}")
    return tuple(lines[:MAX_FRAMES])


@functools.cache
def _nowhere() -> int:
    """A descriptor that stays open as long as the process."""
    return os.open(os.devnull, os.O_WRONLY)
