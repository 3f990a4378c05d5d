"""Takes the picture of the whole that every view shows, once a second, without touching the disk."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from event_monitor import __version__
from event_monitor.clock import to_iso
from event_monitor.model import DeliveryState, QueueView, RateView, ServiceView, Snapshot, Totals
from event_monitor.replies.general import BreakerReport, Pong, Stats
from event_monitor.system.resources import open_descriptors, resident_bytes, task_count

if TYPE_CHECKING:
    from event_monitor.runtime import Runtime

_ALERTS = 50
_TYPES = 12


class Overview:
    """Reads the runtime's live figures. Every figure is kept up to date by its owner."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._clock = runtime.bus.clock
        self._started = self._clock.monotonic()

    def snapshot(self, feed_revision: int) -> Snapshot:
        """The picture; without the feed if that still is at ``feed_revision``."""
        runtime = self._runtime
        feed, machine = runtime.feed, runtime.machine
        state, since, reason = runtime.driver.shown()
        return Snapshot(
            at=to_iso(self._clock.wall()),
            home=runtime.paths.home,
            version=__version__,
            uptime=self._clock.monotonic() - self._started,
            pid=os.getpid(),
            state=state,
            state_since=since,
            state_reason=reason,
            transitions=tuple(machine.history)[-10:],
            rate=self._rate(),
            types=runtime.bus.types.top(_TYPES),
            queue=self._queue(),
            services=self._services(),
            totals=self._totals(),
            alerts=runtime.alerts.newest(_ALERTS),
            unacknowledged=runtime.alerts.unacknowledged,
            feed=None if feed.revision == feed_revision else feed.items(),
            feed_revision=feed.revision,
            views=1 + runtime.views,
            durability=runtime.settings.store.durability,
            demo=runtime.demo,
            unwatched=runtime.desk.unwatched,
            rss_bytes=resident_bytes(),
            kill_switch=runtime.switch.engaged,
            replay=runtime.replays.mark(),
        )

    def _rate(self) -> RateView:
        bus = self._runtime.bus
        series = bus.rate.series()
        return RateView(
            per_second=round(bus.rate.per_second(), 1),
            peak=max(series, default=0),
            series=series,
            latency_ms=bus.dispatcher.latency.percentiles(),
        )

    def _queue(self) -> QueueView:
        bus = self._runtime.bus
        window, counts = bus.dispatcher.window, bus.dispatcher.counts
        by_priority = tuple(map(sum, zip(window.in_memory, window.on_disk, strict=True)))
        return QueueView(
            depth=sum(by_priority),
            limit=self._runtime.settings.queue.max_backlog,
            in_memory=window.count,
            on_disk=sum(window.on_disk) + max(0, counts[DeliveryState.QUEUED]),
            by_priority=(by_priority[0], by_priority[1], by_priority[2], by_priority[3]),
            oldest_age=bus.dispatcher.oldest_age(),
            parked=self._parked(),
            retrying=counts[DeliveryState.RETRYING],
            dead=counts[DeliveryState.DEAD],
            sampled=bus.store.counters["sampled"],
        )

    def _parked(self) -> int:
        return sum(lane.parked for lane in self._runtime.bus.dispatcher.lanes.values())

    def _services(self) -> tuple[ServiceView, ...]:
        """All services, then the targets whose breaker does not stand closed by itself."""
        runtime = self._runtime
        views = [guard.view() for guard in runtime.services.values()]
        for name in runtime.breakers.names:
            if name in runtime.services:
                continue
            report = runtime.breakers.report(name)
            if report.state == "CLOSED" and report.forced is None:
                continue
            views.append(
                ServiceView(
                    name=name,
                    kind="target",
                    breaker=report.state,
                    forced=report.forced,
                    failure_count=report.failure_count,
                    failure_threshold=report.failure_threshold,
                    busy=report.busy,
                    max_concurrent=report.max_concurrent,
                    retry_after=report.retry_after,
                    note=_note(report),
                )
            )
        return tuple(views)

    def _totals(self) -> Totals:
        bus = self._runtime.bus
        counters = bus.store.counters
        return Totals(
            published=counters["accepted"],
            delivered=counters["delivered"],
            pending=bus.pending,
            dead=counters["dead"],
            parked=self._parked(),
            expired=counters["expired"],
            sampled=counters["sampled"],
        )

    def stats(self) -> Stats:
        """The figures of ``event-cli stats``."""
        runtime = self._runtime
        totals, queue, rate = self._totals(), self._queue(), self._rate()
        store_bytes, wal_bytes = runtime.bus.store.sizes()
        admission = runtime.bus.admission
        storms = list(admission.storms.counts())
        return Stats(
            state=runtime.driver.shown()[0],
            events_per_second=rate.per_second,
            queue_depth=queue.depth,
            published=totals.published,
            delivered=totals.delivered,
            pending=totals.pending,
            dead=totals.dead,
            parked=totals.parked,
            expired=totals.expired,
            sampled=totals.sampled,
            latency_ms=rate.latency_ms,
            breakers={name: runtime.breakers.report(name).state for name in runtime.breakers.names},
            dead_letters=queue.dead,
            retrying=queue.retrying,
            in_memory=queue.in_memory,
            rss_bytes=resident_bytes(),
            fds=open_descriptors(),
            threads=threading.active_count(),
            tasks=task_count(),
            uptime=round(self._clock.monotonic() - self._started, 3),
            store_bytes=store_bytes,
            wal_bytes=wal_bytes,
            targets={
                name: {"waiting": lane.waiting, "handled": lane.handled, "failed": lane.failed}
                for name, lane in runtime.bus.dispatcher.lanes.items()
            },
            delayed=sum(count.delayed for count in storms),
            refused=sum(count.refused for count in storms),
            shed={source or "": count for source, count in admission.turns.shed.items()},
            waiting_publishers=admission.turns.waiting,
            storms=storms,
        )

    def pong(self) -> Pong:
        """Who answers."""
        return Pong(pid=os.getpid(), version=__version__, home=self._runtime.paths.home)


def _note(report: BreakerReport) -> str:
    """Why a breaker is as it is, in a few words."""
    if report.forced is not None:
        return f'"{report.forced_reason}"' if report.forced_reason else f"by {report.forced_by}"
    parts = [f"{report.parked:,} parked"] if report.parked else []
    if report.retry_after:
        parts.append(f"tries in {report.retry_after:.0f} s")
    return ", ".join(parts) or (report.last_error or "")
