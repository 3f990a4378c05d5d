"""What the benches and their workers share: the payload, percentiles, and runs in rounds.

Imports the standard library only, so that a peer's process can use it.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PAYLOAD: dict[str, Any] = {
    "order": 123_456,
    "customer": "alice",
    "total": 99.95,
    "items": [1, 2, 3],
    "note": "leave at the door; ring twice, then wait for a minute before you go",
    "address": {"street": "Marktgasse 12", "city": "Bern", "zip": "3011"},
    "channel": "web",
}
"""About 220 bytes of JSON: what every contestant publishes."""

LONGEST = 120.0
"""Seconds after which a contestant is ended and reported as failed."""

ROOT = Path(__file__).resolve().parents[2]


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the maximum in milliseconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    shares = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
    return {
        name: round(ordered[min(last, int(share * len(ordered)))] * 1_000, 3)
        for name, share in shares.items()
    }


def medians(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of every number that all results have, over their rounds."""
    rounds = list(results)
    shared = {name for name in rounds[0] if all(isinstance(one.get(name), int | float) for one in rounds)}
    return {
        name: statistics.median(one[name] for one in rounds) if name in shared else rounds[0][name]
        for name in rounds[0]
    }


def interleaved(
    commands: Mapping[str, Sequence[str]], rounds: int, scratch: Path, *, seed: int = 1
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Run every command once a round, in an order that is shuffled anew, each in its own process.

    A command prints one JSON object as its last line; the word ``{directory}`` in it becomes a new
    directory below ``scratch``, which is removed afterwards. Answers the objects by name, and the last
    line of stderr for those that failed.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    failures: dict[str, str] = {}
    order = list(commands)
    shuffle = random.Random(seed).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            with tempfile.TemporaryDirectory(dir=scratch) as directory:
                command = [word.replace("{directory}", directory) for word in commands[name]]
                try:
                    done = subprocess.run(
                        command,
                        capture_output=True,
                        text=True,
                        cwd=ROOT,
                        env=environ(),
                        check=False,
                        timeout=LONGEST,
                    )
                except subprocess.TimeoutExpired:
                    failures[name] = f"did not end within {LONGEST:.0f} s"
                    continue
            if done.returncode or not done.stdout.strip():
                failures[name] = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
                continue
            results.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1]))
    return results, failures


def environ() -> dict[str, str]:
    """This process's environment without what could point a child at a real home."""
    dropped = ("EVENT_MONITOR", "CLAUDE_CONFIG_DIR", "PYTHONWARNINGS", "NO_COLOR", "TMUX")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def fsync_ms(directory: Path, count: int = 50) -> float:
    """The median time of an append of 4 KiB with fsync, in milliseconds."""
    path = directory / "fsync-probe"
    times = []
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(count):
            os.write(file, b"x" * 4_096)
            begun = time.perf_counter()
            os.fsync(file)
            times.append(time.perf_counter() - begun)
    finally:
        os.close(file)
        path.unlink()
    return round(statistics.median(times) * 1_000, 3)
