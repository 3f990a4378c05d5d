"""What the process uses, and limits that are crossed once and not at each small step around them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import statistics
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SAMPLES = 30
SAMPLE_INTERVAL = 60.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Figures of this process and its disk. ``fd_limit`` is 0 where there is none."""

    rss_bytes: int
    fds: int
    fd_limit: int
    threads: int
    disk_free: int


def read_usage(home: Path) -> Usage:
    """Look now. May touch the disk: not for the loop's thread. Raises ``OSError``."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    disk = os.statvfs(home)
    return Usage(
        rss_bytes=resident_bytes(),
        fds=open_descriptors(),
        fd_limit=0 if soft == resource.RLIM_INFINITY else soft,
        threads=threading.active_count(),
        disk_free=disk.f_bavail * disk.f_frsize,
    )


def resident_bytes() -> int:
    """This process's resident memory; on macOS its peak, which is what the system tells cheaply."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def open_descriptors() -> int:
    """How many file descriptors this process has open; 0 if the system does not tell."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        try:
            # The listing itself has one open.
            return len(os.listdir(directory)) - 1
        except OSError:
            continue
    return 0


def open_elsewhere(path: Path) -> list[str]:
    """Other processes of this user that have a file open, as ``name (process id)``; none where the
    system does not tell."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if any(_points_to(entry, path) for entry in (process / "fd").iterdir()):
                found.append(f"{(process / 'comm').read_text().strip()} ({process.name})")
    return sorted(found)


def _points_to(entry: Path, path: Path) -> bool:
    try:
        return os.readlink(entry) == str(path)
    except OSError:
        # Closed since it was listed.
        return False


def task_count() -> int:
    """Tasks of the running loop."""
    return len(asyncio.all_tasks())


class Threshold:
    """A limit that is crossed at ``limit`` and left again only beyond ``clear``: above it first if the
    limit is a most, below it first if it is a least."""

    def __init__(self, limit: float, clear: float) -> None:
        self.limit = limit
        self.clear = clear
        self.crossed = False

    def update(self, value: float) -> bool:
        """Take a figure; answers whether ``crossed`` has changed."""
        sign = 1 if self.clear <= self.limit else -1
        edge = self.clear if self.crossed else self.limit
        before, self.crossed = self.crossed, sign * value >= sign * edge
        return before is not self.crossed


class GrowthMeter:
    """How fast a figure grows, in units a minute, over half an hour.

    A single step is no growth: both halves of the time must rise. 0 until there is enough to tell.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def add(self, value: float) -> float:
        """Take a figure, at most one a minute counts; answers the growth."""
        now = self._clock()
        if not self._samples or now - self._samples[-1][0] >= SAMPLE_INTERVAL:
            self._samples.append((now, value))
        return self.per_minute()

    def per_minute(self) -> float:
        """The slower growth of the two halves."""
        samples = list(self._samples)
        if len(samples) < SAMPLES:
            return 0.0
        half = SAMPLES // 2
        return max(0.0, min(_slope(samples[:half]), _slope(samples[half:])))


def _slope(samples: list[tuple[float, float]]) -> float:
    times, values = zip(*samples, strict=True)
    return 60.0 * statistics.linear_regression(times, values).slope
