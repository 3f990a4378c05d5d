"""A scripted bus behind a real Unix socket, and event-cli run as the process that users run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from event_monitor.paths import HomePaths

Answer = bytes | list[bytes] | None
Script = Callable[[dict[str, Any], int], Answer]


def success(result: Any) -> bytes:
    return b'{"ok":true,"result":' + json.dumps(result, separators=(",", ":")).encode() + b"}\n"


def refusal(code: str, message: str, advice: str = "") -> bytes:
    error = {"code": code, "message": message, "advice": advice}
    return b'{"ok":false,"error":' + json.dumps(error, separators=(",", ":")).encode() + b"}\n"


@dataclass
class ScriptedBus:
    """Answers each request with what ``script`` returns for it and its number: bytes to send, a list
    of parts after which the connection ends, or ``None`` to end the connection without an answer."""

    path: str
    script: Script
    requests: list[dict[str, Any]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self._open: list[socket.socket] = []

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    request = json.loads(line)
                    self.requests.append(request)
                    self.arrived.set()
                    answer = self.script(request, len(self.requests))
                    if isinstance(answer, list):
                        for part in answer:
                            connection.sendall(part)
                    if not isinstance(answer, bytes):
                        connection.shutdown(socket.SHUT_RDWR)
                        return
                    connection.sendall(answer)
            except OSError:
                return

    def stop(self) -> None:
        """End all connections and wait for the threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()


@dataclass(frozen=True)
class Outcome:
    """What a run of event-cli left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Cli:
    """Runs event-cli on one home."""

    home: Path

    @property
    def paths(self) -> HomePaths:
        return HomePaths(str(self.home))

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EVENT_MONITOR")}
        return kept | {"EVENT_MONITOR_HOME": str(self.home), "PYTHONWARNINGS": ""}

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "event_monitor.cli"]

    def __call__(self, *arguments: str | bytes, stdin: bytes = b"", **environ: str) -> Outcome:
        done = subprocess.run(
            [*self.command, *arguments],
            input=stdin,
            capture_output=True,
            env=self.environ | environ,
            timeout=60,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.command, *arguments], env=self.environ, **options)

    def spooled(self) -> list[Path]:
        return sorted(Path(self.paths.spool, "new").glob("*"))
