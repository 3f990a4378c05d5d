"""The load: events with idempotency keys, each tried until it is accepted, through every death of the bus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from event_monitor import spooling
from event_monitor.control.client import SocketClient
from event_monitor.errors import EventMonitorError
from event_monitor.messages import Publish, PublishText
from event_monitor.model import Priority
from event_monitor.paths import HomePaths

MOST_AT_ONCE = 200
_AGAIN = (0.05, 0.15)
_PATIENCE = 5.0
_PRIORITIES = (Priority.CRITICAL, Priority.HIGH, Priority.NORMAL, Priority.NORMAL, Priority.LOW, None)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that a publisher was told is accepted, at ``at`` (epoch seconds). ``target`` is where it
    goes."""

    name: str
    target: str
    at: float


class Publisher:
    """Publishes ``rate`` events a second for ``orders``, and ``calls_rate`` for each service.

    ``accepted`` is what the bus (or the spool, while ``spools``) has taken, ``spooled`` counts what the
    spool has, ``refused`` by code what the bus has not. ``socket`` is where the bus is reached: its own, or
    one of a proxy before it."""

    def __init__(
        self, paths: HomePaths, socket: str, rng: random.Random, *, rate: float, services: tuple[str, ...]
    ) -> None:
        self.rate = rate
        self.calls_rate = 8.0
        self.spools = False
        self.spooled = 0
        self.accepted: dict[str, Accepted] = {}
        self.refused: Counter[str] = Counter()
        self._paths = paths
        self._services = services
        self._rng = rng
        self._client = SocketClient(socket, timeout=_PATIENCE)
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._going = asyncio.Event()
        self._going.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0
        self._last = ""

    def hold(self) -> None:
        """Publish nothing new until ``go_on``."""
        self._going.clear()

    def go_on(self) -> None:
        """End a ``hold``."""
        self._going.set()

    @property
    def under_way(self) -> int:
        """Events that are not accepted yet."""
        return len(self._tasks)

    @property
    def last_refusal(self) -> str:
        """Why the last of those that were refused was."""
        return self._last

    async def run(self) -> None:
        """Publish until cancelled; what is under way then goes on."""
        async with asyncio.TaskGroup() as together:
            together.create_task(self._orders())
            for service in self._services:
                together.create_task(self._calls(service))

    async def settled(self) -> None:
        """Return when all that is under way was accepted."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def close(self) -> None:
        """Give up what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    async def _orders(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self._rng.uniform(0.0, 2.0) / self.rate, time.monotonic() - 1.0)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._begin("chaos.order.new", "orders")

    async def _calls(self, service: str) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(0.0, 2.0) / self.calls_rate)
            await self._begin(f"chaos.call.{service}", "calls", {"service": service})

    async def _begin(self, event_type: str, target: str, payload: dict[str, str] | None = None) -> None:
        await self._going.wait()
        await self._places.acquire()
        self._number += 1
        event = Publish(
            event_type=event_type,
            payload={"name": f"e{self._number}", **(payload or {})},
            key=f"e{self._number}",
            priority=self._rng.choice(_PRIORITIES),
            source="chaos",
        )
        task = asyncio.create_task(self._insist(event, target))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.release()

    async def _insist(self, event: Publish, target: str) -> None:
        while True:
            event = msgspec.structs.replace(event, payload={**event.payload, "at": time.time()})
            try:
                if self.spools:
                    await asyncio.to_thread(self._spool, event)
                    self.spooled += 1
                else:
                    await self._client.request(event)
                break
            except EventMonitorError as error:
                self.refused[error.code] += 1
                self._last = str(error)
            await asyncio.sleep(self._rng.uniform(*_AGAIN))
        name = event.payload["name"]
        self.accepted[name] = Accepted(name, target, event.payload["at"])

    def _spool(self, event: Publish) -> None:
        """Store an event as ``event-cli publish`` does where no bus runs."""
        entry = PublishText(
            event_type=event.event_type, payload=json.dumps(event.payload), key=event.key, source=event.source
        )
        spooling.write_entry(self._paths.spool, spooling.entry_name("event"), [msgspec.json.encode(entry)])


@contextlib.asynccontextmanager
async def publishing(publisher: Publisher) -> AsyncIterator[None]:
    """Let it publish for the length of a block; what it began goes on after it."""
    task = asyncio.create_task(publisher.run(), name="publisher")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
