"""A program on a terminal of its own, typed at and read from as a person does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence

_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78])")
_PATIENCE = 60.0


class Terminal:
    """Runs ``command``; ``shown`` is what it has written so far without the terminal's own codes."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], rows: int = 30, columns: int = 100
    ) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = self.mode()
        self.process = subprocess.Popen(
            list(command),
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**environ, "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.raw = b""
        self._read_to = 0

    @property
    def shown(self) -> str:
        """All that was written."""
        return _ESCAPES.sub(b"", self.raw).decode(errors="replace")

    def mode(self) -> list[object]:
        """How the terminal is set."""
        return termios.tcgetattr(self._slave)

    def type(self, text: str) -> None:
        """Type, enter being ``\\r``."""
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> str:
        """Read until ``text`` is shown, after what was waited for before; answers what came until then."""
        end = time.monotonic() + _PATIENCE
        while (place := self.shown.find(text, self._read_to)) < 0:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} was not shown: {self.shown[self._read_to :]!r}"
            self._read(left)
        found = self.shown[self._read_to : place]
        self._read_to = place + len(text)
        return found

    def shows(self, text: str) -> bool:
        """Whether ``text`` was shown after what was waited for, as far as it was written until now."""
        self._read(0.0)
        return text in self.shown[self._read_to :]

    def _read(self, seconds: float) -> None:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return
        chunk = os.read(self._master, 65_536)
        self.raw += chunk
        if b"\x1b[6n" in chunk:
            # As a terminal does, it says where the cursor is: near the top.
            self.type("\x1b[3;1R")

    def ended(self) -> int:
        """Wait for its end; answers the exit status."""
        return self.process.wait(_PATIENCE)

    def close(self) -> None:
        """End it if it still runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    def interrupt(self) -> None:
        """ctrl+c."""
        self.type("\x03")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.ended()


@contextlib.contextmanager
def terminal(command: Sequence[str], environ: Mapping[str, str], **size: int) -> Iterator[Terminal]:
    """A program on a terminal for the length of a block."""
    opened = Terminal(command, environ, **size)
    try:
        yield opened
    finally:
        opened.close()
