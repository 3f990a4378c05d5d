"""One runtime a home: a lock that the kernel releases when its owner dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from event_monitor.errors import AlreadyRunning


class HomeLock:
    """Holds ``path`` locked until ``release`` or the end of the process.

    Raises ``AlreadyRunning`` naming the owner's process id if a live process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._file, 32, 0).strip()
            os.close(self._file)
            number = owner.decode() if owner.isdigit() else "unknown"
            raise AlreadyRunning(
                f"an event-monitor with process id {number} runs on {path.parent.parent}",
                "start event-monitor without --headless to watch it, or end that process",
            ) from None
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let another process own the home. Safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
