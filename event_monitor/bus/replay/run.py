"""Carries one replay out: reads, waits as recorded, publishes, and sees what becomes of it."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.history import SCAN_LIMIT, scan_events, to_event
from event_monitor.bus.replay.jobs import Job
from event_monitor.bus.replay.outstanding import Outstanding
from event_monitor.bus.replay.pace import Pace
from event_monitor.bus.replay.selection import ID, Choice, Chooser, Selection
from event_monitor.clock import from_iso
from event_monitor.errors import BusFull, EventMonitorError, InvalidEvent, StoreUnavailable
from event_monitor.model import Event, Priority, ReplayState

logger = logging.getLogger(__name__)

PAGE = 500
# Replayed events that memory owes something at a time: what a live event of the same priority may wait for.
WINDOW = 512
LOW_WATER = 256
# Replayed events that may wait on disk to be retried, before the replay waits for them.
WRITTEN = 10_000
POLL = 1.0
AGAIN = 1.0
# What is due within the resolution of recorded times is due.
INSTANT = 1e-6


@dataclass(frozen=True, slots=True)
class _Sent:
    """A recorded event that was dealt with; without a future none was published for it."""

    event: Event
    future: asyncio.Future[int] | None
    known_as: int = 0


class ReplayRun:
    """Publishes the events of ``job``, each once, in the order of their ids, as LOW events: live traffic
    goes first, and what was in order stays in order. Its controls may be used at any time."""

    def __init__(self, bus: EventBus, job: Job, selection: Selection, chooser: Callable[[], Chooser]) -> None:
        self.job = job
        self.outstanding = Outstanding(bus.store, self._stir)
        self.pace = Pace(bus.clock, job.clock, job.speed)
        self.waits = ""
        self._bus = bus
        self._selection = selection
        self._chooser = chooser
        self._sent: list[_Sent] = []
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._changed = asyncio.Event()
        self._steps = 0
        self._stepped = 0
        self._full = False
        self._stopping = False
        self._published = False
        self._polled = 0.0
        self._begun = (bus.clock.monotonic(), job.replayed)

    # --- controls ---------------------------------------------------------------------------

    def pause(self) -> None:
        """Publish nothing more until it is resumed."""
        self.job.state = ReplayState.PAUSED
        self._steps = 0
        self.pace.stand()
        self._stir()

    def resume(self) -> None:
        """Go on, at the recorded time where it was paused."""
        self.job.state = ReplayState.RUNNING
        self.job.note = ""
        self._begun = (self._bus.clock.monotonic(), self.job.replayed)
        self.pace.run()
        self._stir()

    def step(self, count: int) -> None:
        """Pause, and publish the next ``count`` events at once."""
        self.pause()
        self.job.note = ""
        if not self._published:
            self._steps = count
            self._quiet.clear()
            self._stir()

    def stop(self) -> None:
        """End: what was published stays on its way, the rest is not replayed."""
        self._stopping = True
        self._stir()

    def set_speed(self, speed: float | None) -> None:
        """Go on at another speed."""
        self.job.speed = self.pace.speed = speed
        self._begun = (self._bus.clock.monotonic(), self.job.replayed)
        self._stir()

    async def quiet(self) -> None:
        """Return when all that was to be published is on disk and nothing more is about to be."""
        await self._quiet.wait()

    @property
    def seconds_left(self) -> float | None:
        """An estimate of the time to the end; ``None`` if there is no telling."""
        plan, job = self.job.plan, self.job
        if self.pace.speed is not None and plan.first is not None:
            end = from_iso(plan.first) + plan.recorded_seconds
            return max(0.0, self.pace.wait(end))
        began, before = self._begun
        elapsed = self._bus.clock.monotonic() - began
        done = job.replayed - before
        return job.left * elapsed / done if done and job.state is ReplayState.RUNNING else None

    # --- the work ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Replay to the end. When it returns, the job has ended; a cancelled run goes on from its job."""
        try:
            await self._run()
        finally:
            self._quiet.set()

    async def _run(self) -> None:
        await self.outstanding.recover(self.job.mark)
        if self.job.state is ReplayState.RUNNING:
            self.pace.run()
        while True:
            try:
                await self._publish_all()
                break
            except StoreUnavailable as error:
                await self._give_back()
                await self._wait_again(error)
        self._published = True
        self._steps = 0
        self._quiet.set()
        await self._settle()
        job = self.job
        job.state = ReplayState.STOPPED if self._stopping else ReplayState.DONE
        job.skipped = job.plan.skipped + max(0, job.plan.events - job.replayed)
        self.save()

    async def _publish_all(self) -> None:
        after: int | None = self.job.position
        while after is not None and not self._stopping:
            begin = after
            events, after = await self._bus.store.read(lambda c, begin=begin: self._page(c, begin))  # type: ignore[misc]
            chooser = self._chooser()
            for recorded in events:
                event, choice = chooser.of_event(recorded)
                if not choice.targets:
                    self._skip(event)
                else:
                    await self._publish(event, choice)
        await self._flush()

    def _page(self, connection: sqlite3.Connection, after: int) -> tuple[list[Event], int | None]:
        """The next events that are taken, and the id to go on from; ``None`` at the end."""
        chosen = self._selection
        events: list[Event] = []
        rows = scan_events(
            connection,
            after_id=after,
            last_id=self.job.plan.last_id,
            since=chosen.since,
            until=chosen.until,
            event_type=chosen.literal_type,
        )
        for scanned, row in enumerate(rows, 1):
            if chosen.takes(row):
                events.append(to_event(row))
            if len(events) == PAGE or scanned == SCAN_LIMIT:
                return events, row[ID]
        return events, None

    async def _turn(self, event: Event) -> bool:
        """Wait until an event may be published. False if it is not to be."""
        recorded = from_iso(event.timestamp)
        while not self._stopping:
            wait = self._wait_for(recorded)
            if wait <= INSTANT:
                self.pace.jump(recorded)
                return True
            idle = not self._sent
            await self._flush()
            # What reached the disk may have made room: it was known there already, or is settled.
            if idle:
                await self._rest(wait)
        return False

    def _wait_for(self, recorded: float) -> float:
        """Seconds until an event may be published, infinite if something must happen first."""
        if self._is_full():
            return math.inf
        if self.job.state is ReplayState.PAUSED:
            if not self._steps:
                return math.inf
            self._steps -= 1
            self._stepped += 1
            return 0.0
        return self.pace.wait(recorded)

    def _is_full(self) -> bool:
        """Whether so much is under way that the replay waits; from then on until it is much less."""
        limit = LOW_WATER if self._full else WINDOW
        self._full = len(self.outstanding.in_memory) >= limit or len(self.outstanding.written) >= WRITTEN
        return self._full

    async def _publish(self, event: Event, choice: Choice) -> None:
        """Publish an event when its time has come and there is room for it, unless it is stopped before."""
        while await self._turn(event):
            try:
                self._submit(event, choice)
            except BusFull as error:
                self._take_back_step()
                await self._flush()
                await self._wait_again(error)
            else:
                return

    def _submit(self, event: Event, choice: Choice) -> None:
        self._quiet.clear()
        try:
            future, receipt = self._bus.submit(
                event.event_type,
                event.payload,
                priority=Priority.LOW,
                key=f"{self.job.mark}{event.id}",
                source=event.source,
                correlation_id=event.correlation_id,
                depth=0,
                schema_version=event.schema_version,
                replay_of=event.id,
                targets=choice.targets,
            )
        except InvalidEvent as error:
            logger.warning("replay %d: event %d cannot be published: %s", self.job.id, event.id, error)
            self._skip(event)
            return
        self.outstanding.in_memory.add(receipt.id)
        self._sent.append(_Sent(event, future, receipt.id))

    def _skip(self, event: Event) -> None:
        self._sent.append(_Sent(event, None))

    async def _flush(self) -> None:
        """See all that was submitted on disk, and note how far that is. Raises ``StoreUnavailable``: then
        none of it counts, and what did reach the disk is known by its key when it is submitted again."""
        sent = self._sent
        for one in sent:
            if one.future is not None and await one.future != one.known_as:
                self.outstanding.in_memory.discard(one.known_as)
        if sent:
            job = self.job
            published = sum(one.future is not None for one in sent)
            job.replayed += published
            job.skipped += len(sent) - published
            job.position = sent[-1].event.id
            job.at = sent[-1].event.timestamp
            self._sent = []
            self._stepped = 0
            self.save()
        if not self._steps:
            self._quiet.set()

    async def _give_back(self) -> None:
        """After a failure: nothing that was submitted counts. It is begun again from the position."""
        sent, self._sent = self._sent, []
        futures = [one.future for one in sent if one.future is not None]
        results = await asyncio.gather(*futures, return_exceptions=True)
        for one, result in zip((one for one in sent if one.future is not None), results, strict=True):
            if result != one.known_as:
                self.outstanding.in_memory.discard(one.known_as)
        while self._stepped:
            self._take_back_step()

    def _take_back_step(self) -> None:
        """An event that was to be published by a step was not."""
        if self._stepped:
            self._stepped -= 1
            self._steps += self.job.state is ReplayState.PAUSED

    async def _wait_again(self, error: EventMonitorError) -> None:
        self.waits = str(error)
        await self._rest(AGAIN)
        self.waits = ""

    def save(self) -> None:
        """Note with the next transaction how far it is."""
        self.job.clock = self.pace.at
        self.job.failed = self.outstanding.failed
        self._bus.store.change(self.job.saving())

    async def _settle(self) -> None:
        """Wait until all that was replayed is concluded, unless it is stopped."""
        while len(self.outstanding) and not self._stopping:
            await self._rest(POLL)
        await self._poll()

    async def _poll(self) -> None:
        """See how what is under way stands, at most once in ``POLL`` seconds unless it is ending."""
        now = self._bus.clock.monotonic()
        if not len(self.outstanding) or (now < self._polled + POLL and not self._stopping):
            return
        self._polled = now
        try:
            await self.outstanding.poll()
        except StoreUnavailable as error:
            logger.warning("replay %d: %s", self.job.id, error)

    # --- waiting ----------------------------------------------------------------------------

    def _stir(self) -> None:
        self._changed.set()

    async def _rest(self, seconds: float) -> None:
        """Return after so many seconds, or earlier when something has changed."""
        if len(self.outstanding):
            seconds = min(seconds, POLL)
        timer = None
        if seconds < math.inf:
            timer = asyncio.get_running_loop().call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._changed.clear()
        await self._poll()
