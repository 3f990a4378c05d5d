"""A private tmux server whose panes hold the measured programs."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.bench.measure import environ

WIDE = (120, 36)
DEAD = "Pane is dead"
SIZES = (WIDE, (80, 24), (100, 30), (60, 20))


class Terminal:
    """One pane. ``pid`` is the program itself, not a shell."""

    def __init__(self, socket: Path, command: Sequence[str], variables: Mapping[str, str]) -> None:
        self._socket = str(socket)
        settings = socket.with_suffix(".conf")
        settings.write_text("set -g remain-on-exit on\n")
        words = ["env", *(f"{name}={value}" for name, value in variables.items()), *command]
        self._tmux(
            "-f", str(settings), "new-session", "-d", "-x", str(WIDE[0]), "-y", str(WIDE[1]),
            f"exec {shlex.join(words)}",
        )  # fmt: skip
        self.pid = int(self._tmux("list-panes", "-F", "#{pane_pid}"))

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *words], capture_output=True, text=True, check=False, env=environ()
        )
        if done.returncode:
            raise RuntimeError(f"tmux {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def text(self) -> str:
        """What the pane shows."""
        return self._tmux("capture-pane", "-p")

    @property
    def ended(self) -> bool:
        """Whether the program has let go of the terminal."""
        return self._tmux("list-panes", "-F", "#{pane_dead}").strip() == "1"

    def keys(self, *names: str) -> None:
        """Press keys by tmux's names."""
        self._tmux("send-keys", *names)

    def resize(self, width: int, height: int) -> None:
        """Give the pane another size."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """Poll the pane until it shows ``text``. Raises ``RuntimeError`` with what it shows instead."""
        end = time.monotonic() + timeout
        while text not in (shown := self.text()):
            if DEAD in shown:
                raise RuntimeError(
                    f"the program ended before it showed {text!r}: {shown.split(DEAD)[1][:40]}"
                )
            if time.monotonic() > end:
                raise RuntimeError(f"the pane never showed {text!r} but: {shown.strip()[:400]!r}")
            time.sleep(0.003)

    def cpu_seconds(self) -> float:
        """User and system time that the program has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Its resident memory in MiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    @contextlib.contextmanager
    def shaken(self, keys: Sequence[str] = ("j", "j", "k")) -> Iterator[list[int]]:
        """Resize the pane and scroll in it for the length of a block. Yields the count of resizes."""
        stop = threading.Event()
        count = [0]

        def shake() -> None:
            sizes = itertools.cycle(SIZES)
            while not stop.is_set():
                self.resize(*next(sizes))
                count[0] += 1
                self.keys(*keys)
                stop.wait(0.1)

        thread = threading.Thread(target=shake)
        thread.start()
        try:
            yield count
        finally:
            stop.set()
            thread.join()

    def close(self) -> None:
        """End the program and its server."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)


@contextlib.contextmanager
def terminal(scratch: Path, command: Sequence[str], **variables: str) -> Iterator[Terminal]:
    """A program in a pane of 120x36 for the length of a block."""
    if shutil.which("tmux") is None:
        raise RuntimeError("tmux is not installed")
    socket = scratch / "tmux"
    opened = Terminal(socket, command, variables)
    try:
        yield opened
    finally:
        opened.close()
        socket.unlink(missing_ok=True)
