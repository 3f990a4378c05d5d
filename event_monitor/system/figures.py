"""Holds the process's figures against their limits, and says what to do where one is passed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from event_monitor.bus.event_bus import EventBus
from event_monitor.config import WatchSettings
from event_monitor.model import Severity
from event_monitor.system.alerts import AlertBook
from event_monitor.system.driver import StateDriver
from event_monitor.system.resources import GrowthMeter, Threshold, Usage, open_elsewhere, read_usage

logger = logging.getLogger(__name__)

MEMORY = "Much memory is used"
GROWTH = "Memory keeps growing"
DESCRIPTORS = "Open files are near their limit"
AGE = "Events wait too long"
LOG = "The store's write-ahead log is large"
DISK = "The disk is nearly full"
# What a figure must fall to, as a share of its limit, before it is well again.
_CLEAR = 0.9
_DISK_CLEAR = 1.5
_MIB = 1_048_576


class FigureWatch:
    """Looks at the figures when told; each limit that is passed is one alert until it is well again.

    A nearly full disk is a condition of the system's state too.
    """

    def __init__(
        self,
        bus: EventBus,
        alerts: AlertBook,
        driver: StateDriver,
        limits: WatchSettings,
        *,
        home: Path,
        usage: Callable[[Path], Usage] = read_usage,
    ) -> None:
        self._bus = bus
        self._alerts = alerts
        self._driver = driver
        self._limits = limits
        self._home = home
        self._usage = usage
        self._named = ""
        self._growth = GrowthMeter(bus.clock.monotonic)
        self._thresholds = {
            MEMORY: _most(limits.rss),
            GROWTH: _most(limits.rss_growth),
            DESCRIPTORS: _most(limits.fds),
            AGE: _most(limits.queue_age),
            LOG: _most(limits.wal),
            DISK: Threshold(limits.disk_free, _DISK_CLEAR * limits.disk_free),
        }

    async def look(self) -> None:
        """Compare all figures with their limits."""
        try:
            usage = await asyncio.to_thread(self._usage, self._home)
            _, wal = await asyncio.to_thread(self._bus.store.sizes)
            readers = await self._readers() if self._limits.wal and wal >= self._limits.wal else ""
        except OSError as error:
            logger.warning("the figures of this process cannot be read: %s", error)
            return
        for title, value, text in self._figures(usage, wal, readers):
            threshold = self._thresholds[title]
            if threshold.limit and threshold.update(value):
                self._changed(title, text, crossed=threshold.crossed)
            elif title == LOG and threshold.crossed and readers and readers != self._named:
                # Only the next checkpoint finds out that a reader is in its way.
                self._alerts.amend(title, text)
        self._named = readers

    def _figures(self, usage: Usage, wal: int, readers: str) -> Iterator[tuple[str, float, str]]:
        limits = self._limits
        rss = usage.rss_bytes
        yield (
            MEMORY,
            rss,
            f"{_mib(rss)} resident, the limit is {_mib(limits.rss)}: restart event-monitor soon",
        )
        growth = self._growth.add(rss)
        yield (
            GROWTH,
            growth,
            f"{_mib(growth)} a minute over half an hour, {_mib(rss)} now: see event-cli debug tasks",
        )
        share = usage.fds / usage.fd_limit if usage.fd_limit else 0.0
        yield (
            DESCRIPTORS,
            share,
            f"{usage.fds} of {usage.fd_limit} are open: raise the limit (ulimit -n) or close clients",
        )
        age = None if self._bus.dispatcher.held else self._bus.dispatcher.oldest_age()
        yield (
            AGE,
            age or 0.0,
            f"the oldest for {age or 0:,.0f} s{self._slowest()}: see event-cli stats and event-cli breaker",
        )
        yield (
            LOG,
            wal,
            f"{_mib(wal)}, the limit is {_mib(limits.wal)}: end what reads events.db for long{readers}; "
            "publishing goes on, and the log shrinks by itself then",
        )
        free = usage.disk_free
        yield (
            DISK,
            free,
            f"{_mib(free)} free, {_mib(limits.disk_free)} are wanted: make room for {self._home}",
        )

    async def _readers(self) -> str:
        """Who keeps the log from being folded into the database, as far as it can be told."""
        if not self._bus.store.pinned:
            return ""
        found = await asyncio.to_thread(open_elsewhere, self._bus.store.path.resolve())
        return f": {', '.join(found)}" if found else ""

    def _slowest(self) -> str:
        lanes = self._bus.dispatcher.lanes.values()
        slowest = max(lanes, key=lambda lane: lane.waiting + lane.running, default=None)
        return f", most of them for {slowest.name}" if slowest is not None and slowest.waiting else ""

    def _changed(self, title: str, text: str, *, crossed: bool) -> None:
        if crossed:
            logger.warning("%s: %s", title, text)
            self._alerts.raise_alert(Severity.WARNING, title, text)
        else:
            logger.info("%s: over", title)
            self._alerts.settle(title, "over since")
        if title == DISK and crossed:
            self._driver.fail("disk", f"the disk is nearly full: {text}")
        elif title == DISK:
            self._driver.clear("disk", "there is room on the disk again")


def _most(limit: float) -> Threshold:
    return Threshold(limit, _CLEAR * limit)


def _mib(count: float) -> str:
    return f"{count / _MIB:,.1f} MiB"
