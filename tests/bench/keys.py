"""From a key to the screen: how long after a key is written its effect comes out of the program."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import statistics
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.dashboard import OURS, traffic
from tests.bench.measure import environ
from tests.bench.options import PEER_LOOPS, Options
from tests.bench.report import Report

COLUMNS = ("program", "condition", "key", "presses", "p50_ms", "p99_ms", "max_ms", "x_one_label", "note")
RATES = (0, 1_000, 5_000)
_ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
_PATIENCE = 20.0


@dataclass(frozen=True)
class Stroke:
    """A key and a text that only its effect brings on the screen."""

    name: str
    sent: bytes
    brings: bytes


@dataclass(frozen=True)
class Program:
    """A program, the text of its complete screen, and strokes that together undo each other."""

    name: str
    command: list[str]
    complete: bytes
    strokes: tuple[Stroke, ...]


class Screen:
    """A program on a pseudo-terminal of 120x36 whose output is read at once, with the time of each piece."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**environ(), "TERM": "xterm-256color", **variables},
        )  # fmt: skip
        os.close(theirs)
        self._pieces: list[tuple[float, bytes]] = []
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._ours, 1 << 16):
                with self._news:
                    self._pieces.append((time.perf_counter(), data))
                    self._news.notify_all()

    def wait_for(self, text: bytes, since: int = 0) -> float:
        """When ``text`` had come out, looking at the pieces from number ``since`` on."""
        end = time.perf_counter() + _PATIENCE
        looked, seen = since, b""
        with self._news:
            while True:
                for at, data in self._pieces[looked:]:
                    seen += data
                    looked += 1
                    if text in _ESCAPES.sub(b"", seen):
                        return at
                if not self._news.wait(end - time.perf_counter()):
                    raise RuntimeError(f"{text!r} never came out of it")

    def press(self, stroke: Stroke) -> float:
        """Seconds from the key to its effect."""
        with self._news:
            since = len(self._pieces)
        begun = time.perf_counter()
        os.write(self._ours, stroke.sent)
        return self.wait_for(stroke.brings, since) - begun

    def close(self) -> None:
        """End the program."""
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


def run(options: Options) -> Report:
    """Each program's strokes, ours at several rates of events."""
    presses = 10 if options.quick else 150
    rows: list[dict[str, Any]] = []
    label: float | None = None
    for program in _programs(options, rows):
        rates = RATES if program.name == "event-monitor" else (0,)
        for rate in rates:
            condition = f"{rate:,} events/s" if rate else "nothing changes"
            home = options.scratch / f"keys-{program.name.split()[0]}-{rate}"
            try:
                measured = _measure(program, home, rate, presses)
            except RuntimeError as error:
                rows.append({"program": program.name, "condition": condition, "note": str(error)})
                continue
            for name, seconds in measured.items():
                row = _row(seconds)
                label = label or (row["p50_ms"] if program.name == "one label" else None)
                share = round(row["p50_ms"] / label, 2) if label else None
                rows.append(
                    {
                        "program": program.name,
                        "condition": condition,
                        "key": name,
                        "x_one_label": share,
                        **row,
                    }
                )
    notes = [
        "from the write of a key to a pty of 120x36 until the text that its effect brings is read",
        "? and ctrl+p open a dialog over the whole screen, the first time with the import of what it needs; "
        "after esc Textual waits 100 ms for more of a sequence",
    ]
    return Report("keys", "From key to screen", COLUMNS, rows, notes)


def _measure(program: Program, home: Path, rate: int, presses: int) -> dict[str, list[float]]:
    home.mkdir(parents=True, exist_ok=True)
    variables = {"EVENT_MONITOR_HOME": str(home), "HOME": str(home)}
    times: dict[str, list[float]] = {stroke.name: [] for stroke in program.strokes}
    with _screen(program.command, variables) as screen:
        screen.wait_for(program.complete)
        with traffic(home, rate, presses * 0.5 + 20.0):
            time.sleep(2.0)
            for _ in range(presses):
                for stroke in program.strokes:
                    times[stroke.name].append(screen.press(stroke))
                    time.sleep(0.03)
    return times


@contextlib.contextmanager
def _screen(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[Screen]:
    screen = Screen(command, variables)
    try:
        yield screen
    finally:
        screen.close()


def _row(seconds: list[float]) -> dict[str, Any]:
    ordered = sorted(seconds)
    return {
        "presses": len(ordered),
        "p50_ms": round(statistics.median(ordered) * 1_000, 1),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1_000, 1),
        "max_ms": round(ordered[-1] * 1_000, 1),
    }


def _programs(options: Options, rows: list[dict[str, Any]]) -> Iterator[Program]:
    """The programs that can be started; a row for each that cannot."""
    if (why := options.have("textual")) is not None:
        rows.append({"program": "one label", "note": why})
    else:
        palette = (Stroke("ctrl+p", b"\x10", b"Search for commands"), Stroke("esc", b"\x1b", b"one label"))
        command = [options.peers.python("textual"), str(PEER_LOOPS / "one_label.py")]
        yield Program("one label", command, b"one label", palette)
    dialog = (Stroke("?", b"?", b"Everywhere"), Stroke("q", b"q", b"Events per second"))
    yield Program("event-monitor", [*OURS], b"HEALTHY", dialog)
