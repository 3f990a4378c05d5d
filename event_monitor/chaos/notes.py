"""The notes of handlers under test, by which a bus is called to account.

Each beginning and each end of a handling is a line of ``handled-TARGET.log``, written with one system
call, so that no kill can tear it: ``begin|done PID DELIVERY TIME PUBLISHED NAME``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from event_monitor.model import Event

DIRECTORY = "EVENT_MONITOR_NOTES"
"""The environment variable that tells the bus's process where its handlers write."""

_files: dict[str, int] = {}


class Handling(NamedTuple):
    """One line of a handler's notes. ``published`` is the publisher's clock, ``at`` the handler's;
    ``name`` is what the publisher calls the event, ``-`` if nothing."""

    step: str
    pid: int
    delivery: str
    at: float
    published: float
    name: str


def directory() -> Path:
    """Where this process's handlers write."""
    return Path(os.environ[DIRECTORY])


def note(target: str, step: str, event: Event) -> None:
    """Write a line about an event whose payload has ``at`` and ``name``, or neither."""
    file = _files.get(target)
    if file is None:
        path = directory() / f"handled-{target}.log"
        file = _files[target] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    published, name = event.payload.get("at", 0.0), event.payload.get("name", "-")
    line = f"{step} {os.getpid()} {event.id}:{target} {time.time():.6f} {published:.6f} {name}\n"
    os.write(file, line.encode())


def handlings(place: Path, target: str) -> list[Handling]:
    """All that a target's handler has noted, in order."""
    path = place / f"handled-{target}.log"
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        step, pid, delivery, at, published, name = line.split(" ")
        found.append(Handling(step, int(pid), delivery, float(at), float(published), name))
    return found


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50, p95, p99 and the most, in milliseconds; empty for fewer than two figures."""
    if len(seconds) < 2:
        return {}
    cuts = quantiles(seconds, n=100, method="inclusive")
    values = {"p50_ms": cuts[49], "p95_ms": cuts[94], "p99_ms": cuts[98], "max_ms": max(seconds)}
    return {"count": len(seconds), **{name: round(1_000 * value, 2) for name, value in values.items()}}
