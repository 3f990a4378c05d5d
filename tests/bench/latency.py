"""Publish to handler at fixed rates, with the bus alone and under a screen that is never left alone."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from event_monitor.paths import HomePaths
from tests.bench.measure import ROOT, environ, medians, percentiles
from tests.bench.options import Options
from tests.bench.report import Report
from tests.processes import connect, exchange, wait_for
from tests.terminal.pane import Terminal, terminal

RATES = (100, 1_000, 5_000)
PROGRAM = (sys.executable, "-m", "event_monitor")
CONDITIONS = ("headless", "dashboard, left alone", "dashboard, resized and scrolled")
COLUMNS = (
    "condition", "rate", "p50_ms", "p95_ms", "p99_ms", "max_ms", "due_p99_ms", "bus_p50_ms", "bus_p99_ms",
    "events", "achieved_per_s", "resizes", "note",
)  # fmt: skip


def run(options: Options) -> Report:
    """One row a condition and rate: the median of the rounds' percentiles."""
    seconds = 2.0 if options.quick else 6.0
    rounds = options.rounds(2)
    missing = importlib.util.find_spec("event_monitor.dashboard.app") is None
    conditions = CONDITIONS[:1] if missing else CONDITIONS
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    failed: dict[tuple[str, int], str] = {}
    number = 0
    for _ in range(rounds):
        for condition in conditions:
            for rate in RATES:
                number += 1
                home = options.scratch / f"latency-{number}"
                try:
                    one = _measure(home, condition, rate, seconds)
                except (RuntimeError, AssertionError, subprocess.SubprocessError) as error:
                    failed[condition, rate] = str(error)[:200]
                else:
                    found.setdefault((condition, rate), []).append(one)
    rows = []
    for case in ((condition, rate) for condition in conditions for rate in RATES):
        row: dict[str, Any] = {"condition": case[0], "rate": case[1]}
        if case in found:
            row |= medians(found[case])
        if case in failed:
            row["note"] = f"{rounds - len(found.get(case, []))} of {rounds} rounds failed: {failed[case]}"
        rows.append(row)
    if missing:
        rows += [
            {"condition": name, "note": "event_monitor.dashboard.app is missing"} for name in CONDITIONS[1:]
        ]
    notes = [
        f"median of {rounds} rounds of {seconds:.0f} s after 1 s of warm-up; durability full, shipped rules "
        "and targets; the program is the installed one, its bus in its own thread under the dashboard",
        "p50..max: from just before another process sends the request over the socket to the entry of an "
        "asynchronous py: handler in the bus's process; due_p99: from the moment the schedule names (open "
        "loop, the generator's lateness is in it); bus_*: what `event-cli stats` says (accepted to handler)",
        f"achieved_per_s: measured events over the time from first to last handled; "
        f"{RATES[-1]:,}/s come as 5 events each millisecond",
    ]
    return Report("latency", "Publish to handler, ms", COLUMNS, rows, notes)


def _measure(home: Path, condition: str, rate: int, seconds: float) -> dict[str, Any]:
    socket = HomePaths(str(home)).socket
    result = home.with_suffix(".json")
    with contextlib.ExitStack() as stack:
        pane = stack.enter_context(_program(home, condition))
        wait_for(lambda: Path(socket).exists())
        control = stack.enter_context(connect(socket))
        reply = exchange(
            control,
            {"do": "subscribe", "pattern": "probe.#", "name": "probe",
             "handler": "py:tests.bench.workers.probe:handle"},
        )  # fmt: skip
        assert reply["ok"], reply
        shaken = [0]
        if pane is not None and condition == CONDITIONS[2]:
            pane.wait_for("HEALTHY")
            shaken = stack.enter_context(pane.shaken())
        arguments = (socket, str(rate), str(seconds), str(result))
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.workers.generator", *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environ(),
            check=False,
            timeout=60 + 3 * seconds,
        )
        if done.returncode:
            raise RuntimeError(f"generator: {done.stderr.strip().splitlines()[-1]}")
        stats = exchange(control, {"do": "get_stats"})["result"]["latency_ms"]
        wait_for(result.exists, timeout=60)
        resizes = shaken[0]
    times = json.loads(result.read_text())
    assert len(times) == json.loads(done.stdout)["sent"], "events are missing"
    took = (max(entered for *_, entered in times) - times[0][1]) / 1e9
    return {
        **percentiles([(entered - sent) / 1e9 for _, sent, entered in times]),
        "due_p99_ms": percentiles([(entered - due) / 1e9 for due, _, entered in times])["p99_ms"],
        "bus_p50_ms": stats["p50"],
        "bus_p99_ms": stats["p99"],
        "events": len(times),
        "achieved_per_s": round(len(times) / took),
        "resizes": resizes,
    }


@contextlib.contextmanager
def _program(home: Path, condition: str) -> Iterator[Terminal | None]:
    """The program on ``home``; its pane, if it has one. It can import the probe."""
    home.mkdir(parents=True)
    variables = {"PYTHONPATH": str(ROOT), "EVENT_MONITOR_HOME": str(home)}
    if condition != CONDITIONS[0]:
        with terminal(home, PROGRAM, **variables) as pane:
            yield pane
        return
    with home.with_suffix(".stderr").open("wb") as errors:
        process = subprocess.Popen(
            [*PROGRAM, "--headless"], env=environ() | variables, stdout=subprocess.DEVNULL, stderr=errors
        )
    try:
        yield None
    finally:
        process.terminate()
        process.wait(timeout=30)
