"""Who looks on while it goes wrong: an attached view that takes snapshots, and a follower of the stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from event_monitor import messages as m
from event_monitor.control.client import SocketClient
from event_monitor.errors import EventMonitorError
from event_monitor.model import Snapshot
from event_monitor.replies.general import Stats

REFRESH = 1.0
EACH = 2.0
AGAIN = 0.2


@dataclass(frozen=True)
class Sample:
    """The bus's figures at one moment; ``at`` is in seconds since the soak began, ``life`` counts its
    processes."""

    at: float
    phase: str
    life: int
    state: str
    published: int
    pending: int
    parked: int
    dead_letters: int
    per_second: float
    p95_ms: float | None
    rss_mib: float
    fds: int
    tasks: int
    threads: int
    wal_mib: float


@dataclass
class View:
    """What was seen. ``lost`` counts answers that did not come, ``gaps`` events that the stream said
    it had left out."""

    path: str
    begun: float = field(default_factory=time.monotonic)
    phase: str = "faults"
    samples: list[Sample] = field(default_factory=list)
    snapshots: int = 0
    lost: int = 0
    streamed: int = 0
    gaps: int = 0
    _life: int = 0
    _uptime: float = float("inf")

    async def look_on(self) -> None:
        """Take a snapshot as often as a dashboard does, and the figures now and then."""
        client = SocketClient(self.path)
        revision, due = -1, 0.0
        try:
            while True:
                try:
                    seen: Snapshot = await client.request(m.GetSnapshot(feed_revision=revision))
                    revision = seen.feed_revision
                    self.snapshots += 1
                    if time.monotonic() >= due:
                        due = time.monotonic() + EACH
                        self._take(await client.request(m.GetStats()))
                except EventMonitorError:
                    self.lost += 1
                    revision = -1
                    await asyncio.sleep(AGAIN)
                    continue
                await asyncio.sleep(REFRESH)
        finally:
            await client.close()

    def _take(self, stats: Stats) -> None:
        self._life += stats.uptime < self._uptime
        self._uptime = stats.uptime
        self.samples.append(
            Sample(
                at=round(time.monotonic() - self.begun, 1),
                phase=self.phase,
                life=self._life,
                state=stats.state.value,
                published=stats.published,
                pending=stats.pending,
                parked=stats.parked,
                dead_letters=stats.dead_letters,
                per_second=stats.events_per_second,
                p95_ms=stats.latency_ms.p95,
                rss_mib=round(stats.rss_bytes / 1_048_576, 1),
                fds=stats.fds,
                tasks=stats.tasks,
                threads=stats.threads,
                wal_mib=round(stats.wal_bytes / 1_048_576, 2),
            )
        )

    async def follow(self) -> None:
        """Read the stream of all events, from now on anew whenever it ends."""
        request = json.dumps({"do": "subscribe", "pattern": "#"}).encode() + b"\n"
        while True:
            with contextlib.suppress(OSError, ValueError):
                reader, writer = await asyncio.open_unix_connection(self.path, limit=1 << 22)
                try:
                    writer.write(request)
                    while line := await reader.readline():
                        self._hear(json.loads(line))
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN)

    def _hear(self, said: dict[str, Any]) -> None:
        self.streamed += 1
        self.gaps += int(said.get("gap", 0))

    def series(self) -> list[dict[str, Any]]:
        """The samples, as JSON has them."""
        return [asdict(sample) for sample in self.samples]
