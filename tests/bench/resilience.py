"""What each resilience pattern costs a successful call, and a rejection, beside other libraries."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.bench.installed import NotInstalled
from tests.bench.measure import ROOT, environ
from tests.bench.options import PEER_LOOPS, Options
from tests.bench.report import Report

OURS = "event-monitor"
BARE = "bare call"
STANDARD = "asyncio"
PEERS = (
    "anyio", "pybreaker", "purgatory", "aiobreaker", "circuitbreaker", "hyx", "pyresilience", "fluxgate",
    "redress", "aioresilience", "tenacity", "stamina", "tenacity+aiobreaker",
)  # fmt: skip
PATTERNS = (BARE, "breaker", "rejection", "retry", "bulkhead", "timeout", "retry and breaker", "pipeline")
COLUMNS = ("pattern", "contestant", "used", "ns", "lowest", "highest", "net_ns", "x_best_peer", "note")

Case = tuple[str, str]


class Contestant:
    """A process that measures its own cases one at a time, when it is told to."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environ(),
        )
        self.cases: list[str] = json.loads(self._line())

    def measure(self, case: str) -> float:
        """Nanoseconds of one call. Raises ``RuntimeError`` with its last words if it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{case}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        return float(self._line())

    def end(self) -> None:
        """It ends with its input."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=30)

    def _line(self) -> str:
        assert self._process.stdout is not None and self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read().strip().splitlines()
            raise RuntimeError(said[-1] if said else f"exit {self._process.wait()}")
        return line


def run(options: Options) -> Report:
    """Every case of every contestant once a round, in an order that is shuffled anew."""
    rounds = 3 if options.quick else 21
    with _contestants(options) as (contestants, missing):
        order = [(name, case) for name, one in contestants.items() for case in one.cases]
        found: dict[Case, list[float]] = {key: [] for key in order}
        shuffle = random.Random(1).shuffle
        for number in range(rounds + 1):
            shuffle(order)
            for name, case in order:
                spent = contestants[name].measure(case)
                if number:
                    found[name, case].append(spent)
    rows = _rows(found)
    rows += [{"pattern": "", "contestant": name, "note": why} for name, why in missing.items()]
    notes = [
        f"medians of {rounds} shuffled rounds after one unmeasured, each a batch of about 15 ms; nanoseconds "
        "of the thread's processor time for one call, all contestants in turns on the same interpreter",
        "net_ns: less the bare call; x_best_peer: the time of the cheapest peer of the pattern over ours, "
        "above 1 ours is cheaper",
        "pipeline: timeout, bulkhead, breaker, retry and fallback; ours also has a retry budget",
    ]
    return Report("resilience", "Resilience, ns of processor time a call", COLUMNS, rows, notes)


@contextlib.contextmanager
def _contestants(options: Options) -> Iterator[tuple[dict[str, Contestant], dict[str, str]]]:
    """Ours, the standard library and the peers that can be started, and why the others cannot."""
    script = str(PEER_LOOPS / "guarded_calls.py")
    commands = {
        OURS: [sys.executable, "-m", "tests.bench.workers.guarded_calls"],
        STANDARD: [sys.executable, script, STANDARD],
    }
    missing: dict[str, str] = {}
    for name in PEERS:
        try:
            commands[name] = [options.peers.python(name), script, name]
        except NotInstalled as error:
            missing[name] = f"not installed: {error}"
    started: dict[str, Contestant] = {}
    try:
        for name, command in commands.items():
            try:
                started[name] = Contestant(command)
            except RuntimeError as error:
                missing[name] = str(error)
        yield started, missing
    finally:
        for contestant in started.values():
            contestant.end()


def _rows(found: dict[Case, list[float]]) -> list[dict[str, Any]]:
    """By pattern, the cheapest first."""
    middle = {key: statistics.median(times) for key, times in found.items()}
    bare = middle[STANDARD, BARE]
    rows = []
    for pattern in PATTERNS:
        cases = sorted((key for key in found if key[1].split("|")[0] == pattern), key=middle.__getitem__)
        best = min((middle[key] for key in cases if key[0] != OURS), default=None)
        for key in cases:
            name, case = key
            row: dict[str, Any] = {
                "pattern": pattern,
                "contestant": name,
                "used": case.partition("|")[2],
                "ns": round(middle[key]),
                "lowest": round(min(found[key])),
                "highest": round(max(found[key])),
                "net_ns": round(middle[key] - bare),
            }
            if name == OURS and best is not None:
                row["x_best_peer"] = round(best / middle[key], 2)
            rows.append(row)
    return rows
