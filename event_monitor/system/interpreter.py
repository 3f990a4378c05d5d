"""Where the interpreter stood while one call kept it to itself, so that no other thread could look.

A regular expression or a C extension may hold the interpreter's lock for seconds. Python's
``faulthandler`` writes the stacks of all threads from a thread that needs no lock.
"""

from __future__ import annotations

import contextlib
import faulthandler
import re
from pathlib import Path
from typing import IO

from event_monitor.stacks import MAX_FRAMES, short_path

_LARGEST = 65_536
_THREAD = re.compile(r"(?:Current thread|Thread) 0x([0-9a-f]+)")
_FRAME = re.compile(r'  File "(.+)", line (\d+) in (.+)')


class InterpreterDump:
    """Writes all stacks to ``path`` if it is not armed again in time. One at a time in a process."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] | None = None
        # Without the file (a full disk, a read-only home) stalls of this kind go without a stack.
        with contextlib.suppress(OSError):
            self._file = path.open("w+b", buffering=0)

    def arm(self, seconds: float) -> None:
        """Dump after ``seconds``, unless this is called again before."""
        if self._file is None:
            return
        if self._file.tell() > _LARGEST:
            self._forget()
        faulthandler.dump_traceback_later(seconds, file=self._file)

    def take(self, thread_id: int) -> tuple[str, ...]:
        """Where a thread stood at the last dump, the innermost call first; forget that dump."""
        if self._file is None:
            return ()
        self._file.seek(0)
        text = self._file.read().decode("utf-8", "replace")
        self._forget()
        return parse_dump(text, thread_id)

    def _forget(self) -> None:
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()

    def close(self) -> None:
        """Dump no more."""
        if self._file is not None:
            faulthandler.cancel_dump_traceback_later()
            self._file.close()
            self._file = None


def parse_dump(text: str, thread_id: int) -> tuple[str, ...]:
    """A thread's stack in what ``faulthandler`` wrote, the innermost call first."""
    lines: list[str] = []
    wanted = False
    for row in text.splitlines():
        if thread := _THREAD.match(row):
            wanted = int(thread[1], 16) == thread_id
            lines = [] if wanted else lines
        elif wanted and (frame := _FRAME.match(row)):
            lines.append(f"{short_path(frame[1])}:{frame[2]} in {frame[3]}")
    return tuple(lines[:MAX_FRAMES])
