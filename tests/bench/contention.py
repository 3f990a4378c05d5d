"""What a publisher notices of retention, a slow reader of history and a replay, all at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from event_monitor import messages
from tests.bench.backlog import fill_history
from tests.bench.measure import ROOT, environ, medians
from tests.bench.options import Options
from tests.bench.report import Report
from tests.processes import headless, wait_for

RATE = 200
READ_AT_ONCE = 65_536
READ_PAUSE = 0.02
CLI = str(Path(sys.executable).with_name("event-cli"))
ALONE, TOGETHER, REPLAYING = "alone", "retention and a slow reader", "retention, a slow reader and a replay"
HAVE_REPLAY = hasattr(messages, "StartReplay")
COLUMNS = (
    "condition", "p50_ms", "p95_ms", "p99_ms", "max_ms", "due_p99_ms", "x_alone_p99", "events", "forgotten",
    "read_mb", "replayed", "note",
)  # fmt: skip


def run(options: Options) -> Report:
    """One row a condition: the median of the shuffled rounds' percentiles."""
    seconds = 3.0 if options.quick else 10.0
    history = 60_000 if options.quick else 300_000
    rounds = options.rounds(3)
    conditions = [ALONE, TOGETHER, *([REPLAYING] if HAVE_REPLAY else [])]
    found: dict[str, list[dict[str, Any]]] = {}
    failed: dict[str, str] = {}
    shuffle = random.Random(1).shuffle
    order = list(conditions)
    for number in range(rounds):
        shuffle(order)
        for condition in order:
            home = options.scratch / f"contention-{number}-{conditions.index(condition)}"
            try:
                found.setdefault(condition, []).append(_measure(home, condition, history, seconds))
            except (RuntimeError, AssertionError, subprocess.SubprocessError) as error:
                failed[condition] = str(error)[:200]
    rows = [_row(condition, found, failed) for condition in conditions]
    if not HAVE_REPLAY:
        rows.append({"condition": REPLAYING, "note": "there is no replay in this version"})
    notes = [
        f"medians of {rounds} shuffled rounds of {seconds:.0f} s, each on a home of its own with {history:,} "
        f"events, half of them past the retention; {RATE} events/s one at a time, durability full",
        "p50..max: from the request to the reply, which comes when the event is on disk; due_p99: from the "
        "moment the schedule names; forgotten, read_mb, replayed: what the others did meanwhile",
        "the reader is `event-cli events --limit 0` whose output is taken 50 times a second, at most 64 KiB",
    ]
    return Report("contention", "Publish latency beside other work, ms", COLUMNS, rows, notes)


def _row(condition: str, found: dict[str, list[dict[str, Any]]], failed: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"condition": condition}
    if condition in found:
        row |= medians(found[condition])
        if ALONE in found:
            row["x_alone_p99"] = round(row["p99_ms"] / medians(found[ALONE])["p99_ms"], 2)
    if condition in failed:
        row["note"] = failed[condition]
    return row


def _measure(home: Path, condition: str, history: int, seconds: float) -> dict[str, Any]:
    bus_dir = home / "event-bus"
    bus_dir.mkdir(parents=True)
    (bus_dir / "routing-rules.json").write_text('{"routing": {"bench.cleanup": ["cleanup"]}}')
    now = datetime.now(UTC)
    database = bus_dir / "events.db"
    fill_history(database, history, now - timedelta(days=60), now)
    with headless(home) as bus, contextlib.ExitStack() as stack:
        read = [0]
        if condition != ALONE:
            bus.ask(do="publish", event_type="bench.cleanup", payload={})
            wait_for(lambda: _count(database, "id <= ?", history) < history)
            read = stack.enter_context(_slow_reader(home))
            wait_for(lambda: read[0])
        if condition == REPLAYING:
            bus.ask(do="start_replay", since=(now - timedelta(days=29)).isoformat(), speed="max")
            wait_for(lambda: _count(database, "replay_of IS NOT NULL"))
        left = _count(database, "id <= ?", history)
        begun = read[0], _count(database, "replay_of IS NOT NULL")
        measured = _publish(bus.socket, seconds)
        return measured | {
            "forgotten": left - _count(database, "id <= ?", history),
            "read_mb": round((read[0] - begun[0]) / 2**20, 1),
            "replayed": _count(database, "replay_of IS NOT NULL") - begun[1],
        }


def _publish(socket: str, seconds: float) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.workers.publisher", socket, str(RATE), str(seconds)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environ(),
        check=False,
        timeout=60 + 3 * seconds,
    )
    if done.returncode:
        raise RuntimeError(f"publisher: {done.stderr.strip().splitlines()[-1]}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _count(database: Path, condition: str, *values: object) -> int:
    """How many stored events there are of a kind, asked beside the bus."""
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        found = connection.execute(f"SELECT COUNT(*) FROM events WHERE {condition}", values).fetchone()
    return int(found[0])


@contextlib.contextmanager
def _slow_reader(home: Path) -> Iterator[list[int]]:
    """``event-cli events --limit 0`` over and over, read slowly; the bytes read so far."""
    read = [0]
    stop = threading.Event()
    command = [CLI, "--home", str(home), "events", "--limit", "0"]

    def take() -> None:
        while not stop.is_set():
            with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ()) as process:
                assert process.stdout is not None
                while not stop.wait(READ_PAUSE) and (part := os.read(process.stdout.fileno(), READ_AT_ONCE)):
                    read[0] += len(part)
                process.terminate()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield read
    finally:
        stop.set()
        thread.join()
