"""Time to first paint, processor time and memory of the dashboard beside other Textual programs."""

from __future__ import annotations

import contextlib
import importlib.util
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from event_monitor.paths import HomePaths
from tests.bench.measure import ROOT, environ
from tests.bench.options import PEER_LOOPS, Options
from tests.bench.report import Report
from tests.processes import connect, exchange, wait_for
from tests.terminal.pane import Terminal, terminal

COLUMNS = (
    "program", "condition", "first_text_ms", "x_one_label", "complete_ms", "cpu_percent", "resident_mb",
    "note",
)  # fmt: skip


LIVE_RATES = (1, 1_000, 5_000)
OURS = (str(Path(sys.executable).with_name("event-monitor")),)


@dataclass(frozen=True)
class Program:
    """A full-screen program: the first text that it shows, and a text of its complete screen."""

    name: str
    command: list[str]
    first: str
    complete: str


def run(options: Options) -> Report:
    """First paints in interleaved rounds, then each program idle, then ours with live data."""
    rounds = 2 if options.quick else 7
    seconds, idle = (2.0, 2.0) if options.quick else (15.0, 60.0)
    programs, rows = _programs(options)
    paints: dict[str, list[tuple[float, float]]] = {program.name: [] for program in programs}
    failed: dict[str, str] = {}
    shuffle = random.Random(1).shuffle
    order = list(programs)
    for number in range(rounds + 1):
        shuffle(order)
        for program in order:
            if program.name in failed:
                continue
            try:
                painted = _first_paint(program, options.scratch / f"paint-{program.name}-{number}")
            except RuntimeError as error:
                failed[program.name] = str(error)
            else:
                if number:
                    paints[program.name].append(painted)
    label = paints["one label"]
    for program in programs:
        row: dict[str, Any] = {"program": program.name, "condition": "nothing changes"}
        if program.name in failed:
            rows.append(row | {"note": failed[program.name]})
            continue
        first = statistics.median(paint[0] for paint in paints[program.name])
        row["first_text_ms"] = round(first)
        row["complete_ms"] = round(statistics.median(paint[1] for paint in paints[program.name]))
        if label:
            row["x_one_label"] = round(first / statistics.median(paint[0] for paint in label), 2)
        rows.append(row | _settled(program, options.scratch / f"idle-{program.name}", idle))
    headless = Program("event-monitor --headless", [*OURS, "--headless"], '"ready"', '"ready"')
    for program in (headless, *(one for one in programs if one.name == "event-monitor")):
        for rate in LIVE_RATES:
            home = options.scratch / f"live-{program.name.split()[-1]}-{rate}"
            row = {"program": program.name, "condition": f"{rate:,} events/s"}
            try:
                rows.append(
                    row | _settled(program, home, seconds, partial(traffic, rate=rate, seconds=seconds))
                )
            except RuntimeError as error:
                rows.append(row | {"note": str(error)})
    if any(one.name == "event-monitor" for one in programs):
        rows += _grown(programs[0], options.scratch / "grown", 20_000 if options.quick else 1_000_000)
    notes = [
        f"first paint: median of {rounds} interleaved starts at 120x36 in tmux on fresh homes after one "
        "unmeasured, from the start of tmux's command until capture-pane shows the text",
        "first_text: the frame is there; complete: the text that needs data from the bus, for peers the same "
        "text; x_one_label: against a Textual program with one label in this run",
        f"cpu_percent: user and system time of the program over {idle:.0f} s while nothing changes, "
        f"{seconds:.0f} s with live data, 100 is one core; ours holds bus and screen in one process; "
        "resident_mb at the end of that time",
        "memray's live view looks at a program that sleeps; its figures hold both",
    ]
    return Report("dashboard", "Dashboard", COLUMNS, rows, notes)


def _programs(options: Options) -> tuple[list[Program], list[dict[str, Any]]]:
    """The programs that can be started, and a row for each that cannot."""
    programs: list[Program] = []
    rows: list[dict[str, Any]] = []
    if importlib.util.find_spec("event_monitor.dashboard.app") is None:
        rows.append({"program": "event-monitor", "note": "event_monitor.dashboard.app is missing"})
    else:
        programs.append(Program("event-monitor", [*OURS], "event-monitor", "HEALTHY  up"))
    log = options.scratch / "some.log"
    log.write_text("".join(f"2026-11-23 12:00:{n % 60:02d} INFO line {n} of a log\n" for n in range(2_000)))
    for name, peer, command, text in (
        ("one label", "textual", [str(PEER_LOOPS / "one_label.py")], "one label"),
        ("toolong", "toolong", [str(log)], "of a log"),
        ("memray", "memray", ["run", "--live", str(PEER_LOOPS / "sleeper.py")], "Heap Usage"),
        ("posting", "posting", [], "Collection"),
    ):
        if (why := options.have(peer)) is not None:
            rows.append({"program": name, "note": why})
            continue
        start = options.peers.python(peer) if peer == "textual" else options.peers.program(peer)
        programs.append(Program(name, [start, *command], text, text))
    return programs, rows


def _grown(program: Program, home: Path, events: int) -> list[dict[str, Any]]:
    """Memory before and after many events, all of them handled; a quarter of them are warm-up."""
    rows = []
    with _open(program, home) as pane:
        pane.wait_for(program.complete)
        for share, total in ((events // 4, events // 4), (events - events // 4, events)):
            _publish_many(home, share)
            with contextlib.closing(connect(HomePaths(str(home)).socket)) as connection:
                _until_handled(connection)
            rows.append(
                {
                    "program": program.name,
                    "condition": f"after {total:,} events",
                    "resident_mb": round(pane.resident_mb(), 1),
                }
            )
    return rows


def _until_handled(connection: socket.socket) -> None:
    wait_for(lambda: exchange(connection, {"do": "get_stats"})["result"]["pending"] == 0, 300.0)


def _publish_many(home: Path, events: int) -> None:
    lines = "".join(f'{{"event_type": "load.test", "payload": {{"n": {n}}}}}\n' for n in range(events))
    subprocess.run(
        [str(Path(sys.executable).with_name("event-cli")), "publish", "-", "--batch"],
        input=lines, text=True, check=True, stdout=subprocess.DEVNULL,
        env=environ() | {"EVENT_MONITOR_HOME": str(home)},
    )  # fmt: skip


def _open(program: Program, home: Path) -> contextlib.AbstractContextManager[Terminal]:
    home.mkdir(parents=True, exist_ok=True)
    return terminal(home, program.command, EVENT_MONITOR_HOME=str(home), HOME=str(home), TERM="tmux-256color")


def _first_paint(program: Program, home: Path) -> tuple[float, float]:
    """Milliseconds until the first text and until the complete screen."""
    begun = time.perf_counter()
    with _open(program, home) as pane:
        pane.wait_for(program.first)
        first = time.perf_counter()
        pane.wait_for(program.complete)
        return (first - begun) * 1_000, (time.perf_counter() - begun) * 1_000


def _settled(
    program: Program,
    home: Path,
    seconds: float,
    traffic: Callable[[Path], contextlib.AbstractContextManager[None]] = lambda home: (
        contextlib.nullcontext()
    ),
) -> dict[str, float]:
    """Processor share and memory once its start is over."""
    with _open(program, home) as pane:
        pane.wait_for(program.complete)
        with traffic(home):
            time.sleep(3.0)
            before, begun = pane.cpu_seconds(), time.perf_counter()
            time.sleep(seconds)
            used = (pane.cpu_seconds() - before) / (time.perf_counter() - begun)
            return {"cpu_percent": round(100 * used, 2), "resident_mb": round(pane.resident_mb(), 1)}


@contextlib.contextmanager
def traffic(home: Path, rate: int, seconds: float) -> Iterator[None]:
    """Events at a rate for the length of the block, none at 0, from another process above one a second."""
    if not rate:
        yield
        return
    path = HomePaths(str(home)).socket
    wait_for(lambda: Path(path).exists())
    if rate == 1:
        stop = threading.Event()

        def publish() -> None:
            with contextlib.closing(connect(path)) as connection:
                while not stop.wait(1.0):
                    exchange(connection, {"do": "publish", "event_type": "probe.event", "payload": {"n": 1}})

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        return
    words = (path, str(rate), str(seconds + 10), str(home / "unused"))
    generator = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.workers.generator", *words],
        cwd=ROOT, env=environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
        if generator.poll() is not None:
            raise RuntimeError("the generator ended before the measurement did")
    finally:
        generator.terminate()
        generator.wait(timeout=30)
