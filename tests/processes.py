"""Starting the installed programs as a user does, and ending what was started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

READY_WITHIN = 30.0


class DidNotStart(AssertionError):
    """``event-monitor`` ended before it was ready, with this exit status and these errors."""

    def __init__(self, status: int, errors: str) -> None:
        super().__init__(f"it did not start (exit status {status}): {errors}")
        self.status = status
        self.errors = errors


class Headless:
    """A running ``event-monitor --headless`` on a home; ``environment`` is added to this process's,
    ``before`` runs in the child before the program."""

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> None:
        self.home = home
        self.errors = home.parent / f"{home.name}.stderr"
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "event_monitor", "--headless", "--home", str(home)],
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                preexec_fn=before,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise DidNotStart(self._reap(), self.errors.read_text())
        self.ready: dict[str, Any] = json.loads(line)
        self.socket = str(self.ready["socket"])

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self._reap()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it as a service manager does; answers its exit status."""
        self.process.send_signal(number)
        return self._reap()

    def _reap(self) -> int:
        status = self.process.wait(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def ask(self, **request: Any) -> Any:
        """One request over a connection of its own; the reply's result."""
        with contextlib.closing(connect(self.socket)) as connection:
            reply = exchange(connection, request)
        assert reply["ok"], reply
        return reply["result"]

    def resident_bytes(self) -> int:
        """Resident memory of the process."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def headless(
    home: Path, environment: Mapping[str, str] | None = None, before: Callable[[], None] | None = None
) -> Iterator[Headless]:
    """A bus on ``home`` for the length of a block."""
    running = Headless(home, environment, before)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def connect(path: str) -> socket.socket:
    """A blocking connection to a control socket."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(30)
    connection.connect(path)
    return connection


def exchange(connection: socket.socket, request: dict[str, Any]) -> Any:
    """Send one request and read one reply."""
    connection.sendall(json.dumps(request).encode() + b"\n")
    return json.loads(read_line(connection))


def read_line(connection: socket.socket) -> bytes:
    """One line, without reading past it being harmful: replies come one at a time."""
    received = b""
    while not received.endswith(b"\n"):
        chunk = connection.recv(1 << 20)
        if not chunk:
            raise ConnectionResetError("the bus closed the connection")
        received += chunk
    return received


def wait_for(condition: Any, timeout: float = 30.0) -> Any:
    """Poll another process until ``condition`` answers something true."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found
