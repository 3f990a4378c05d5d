"""How fast a backlog drains, how soon the first event is delivered, and how much memory it takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.bench.backlog import fill
from tests.bench.measure import interleaved, medians
from tests.bench.options import Options
from tests.bench.report import Report
from tests.processes import headless, wait_for

COUNTS = (1_000, 100_000, 1_000_000)
COLUMNS = (
    "what", "pending", "events_per_s", "x_of_1000", "first_delivery_ms", "ready_ms", "over_empty_mb", "note",
)  # fmt: skip


def run(options: Options) -> Report:
    """The bus alone in a process, then the program ``event-monitor --headless`` on a real home."""
    counts = COUNTS[:2] if options.quick else COUNTS
    rounds = options.rounds(3)
    commands = {str(count): options.worker("drain", "full", count) for count in counts}
    results, failures = interleaved(commands, rounds, options.scratch)
    rows: list[dict[str, Any]] = []
    base: float | None = None
    for count in counts:
        row: dict[str, Any] = {"what": "bus, counting handler", "pending": count}
        if str(count) in failures:
            row["note"] = failures[str(count)]
        else:
            middle = medians(results[str(count)])
            base = base or middle["events_per_s"]
            row |= {name: round(middle[name], 1) for name in middle if name in COLUMNS}
            row["x_of_1000"] = round(middle["events_per_s"] / base, 2)
        rows.append(row)
    rows.append(_program(options.scratch / "home", counts[-1]))
    notes = [
        f"median of {rounds} interleaved rounds, durability full, handler batches of 256; "
        "over_empty_mb is the largest resident memory over that of a bus with an empty store",
        "bus: first delivery counted from before the store is opened; program: from the start of the "
        "process until events.jsonl holds a line, polled each 2 ms; its log target syncs each batch",
    ]
    return Report("drain", "Draining a backlog", COLUMNS, rows, notes)


def _program(home: Path, count: int) -> dict[str, Any]:
    bus_dir = home / "event-bus"
    bus_dir.mkdir(parents=True)
    (bus_dir / "event-monitor.yaml").write_text("queue: {max_backlog: 2000000}\n")
    empty_home = home.with_name("empty")
    with headless(empty_home) as bus:
        wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0)
        empty = bus.resident_bytes()
    fill(bus_dir / "events.db", count)
    log = bus_dir / "logs" / "events.jsonl"
    begun = time.perf_counter()
    with headless(home) as bus:
        ready = time.perf_counter()
        while not (log.exists() and log.stat().st_size):
            time.sleep(0.002)
        first = time.perf_counter()
        largest = 0
        while bus.ask(do="get_stats")["pending"]:
            largest = max(largest, bus.resident_bytes())
            time.sleep(0.1)
        drained = time.perf_counter()
    return {
        "what": "event-monitor --headless, log target",
        "pending": count,
        "events_per_s": round(count / (drained - ready)),
        "first_delivery_ms": round((first - begun) * 1_000),
        "ready_ms": round((ready - begun) * 1_000),
        "over_empty_mb": round((largest - empty) / 2**20, 1),
    }
