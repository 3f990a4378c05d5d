"""The one source of time for everything that waits, expires or stamps.

Durations use the event loop's clock, so a test can run a day in seconds. What is saved and must
be compared in the same run uses ``steady``: wall time at the start plus what the loop's clock has
measured since, so that a jump of the wall clock neither hurries nor delays anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from event_monitor.errors import InvalidRequest

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_LATEST = 253_402_300_799.0


class Clock(Protocol):
    """What the parts ask for the time. All three answer seconds."""

    def monotonic(self) -> float:
        """For durations within this run."""

    def wall(self) -> float:
        """Epoch seconds, for stamps that people read."""

    def steady(self) -> float:
        """Epoch seconds that never jump within this run, for deadlines that are saved."""


class LoopClock:
    """The clock of a running event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wall: Callable[[], float] = time.time) -> None:
        self.monotonic = loop.time
        self.wall = wall
        self._offset = wall() - loop.time()

    def steady(self) -> float:
        return self.monotonic() + self._offset


class Stamper:
    """Formats epoch seconds as ISO 8601 UTC with microseconds; keeps the last second's text."""

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def __call__(self, epoch: float) -> str:
        second = int(epoch)
        if second != self._second:
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            self._second = second
        return f"{self._prefix}{int((epoch - second) * 1_000_000):06d}Z"


def to_iso(epoch: float) -> str:
    """Epoch seconds as ISO 8601 UTC with microseconds and ``Z``."""
    return Stamper()(epoch)


def nearest_iso(epoch: float) -> str:
    """The same to the nearest microsecond: a time that was read from text becomes that text again."""
    return to_iso(epoch + 5e-7)


def from_iso(text: str) -> float:
    """Epoch seconds of an ISO 8601 time; one without an offset is read as UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def parse_time(text: str, now: float) -> float:
    """Epoch seconds of a time as people write it: ISO 8601, epoch seconds, or relative to
    ``now`` (``-15m``, ``-2h``, ``now``), within the years 1970 to 9999. Raises ``InvalidRequest``."""
    seconds = _seconds(text.strip(), now)
    if seconds is None or not math.isfinite(seconds):
        raise InvalidRequest(
            f"{text[:60]!r} is not a time",
            "write 2026-11-23T15:42:07Z, epoch seconds, or a relative time such as -15m, -2h, -3d",
        )
    return min(max(seconds, 0.0), _LATEST)


def _seconds(word: str, now: float) -> float | None:
    if word == "now":
        return now
    if len(word) > 2 and word[0] in "+-" and word[-1] in _UNITS:
        with contextlib.suppress(ValueError):
            return now + float(word[:-1]) * _UNITS[word[-1]]
    for read in (float, from_iso):
        with contextlib.suppress(ValueError, OverflowError):
            return read(word)
    return None
