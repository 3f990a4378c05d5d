"""Wakes the retries that are due. They wait on disk; memory knows only when the next one is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock, from_iso, to_iso
from event_monitor.errors import StoreUnavailable

STORE_RETRY = 1.0
# Times on disk are cut to microseconds: without it a timer could find its retry not yet due, and spin.
_LEEWAY = 0.001


class RetryTimer:
    """One timer for all retries of a store. ``on_due`` hears how many were queued for each
    (target, priority)."""

    def __init__(
        self, store: EventStore, clock: Clock, on_due: Callable[[Counter[tuple[str, int]]], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_due = on_due
        self._due = float("inf")
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Queue what is due already and go on from there."""
        self._due = self._clock.steady()
        self._changed.set()
        self._task = asyncio.create_task(self._run(), name="bus-retries")

    async def stop(self) -> None:
        """Leave what waits to the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def schedule(self, due: float) -> None:
        """A retry was written down for ``due`` (steady seconds)."""
        if due < self._due:
            self._due = due
            self._changed.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            wait = self._due - self._clock.steady()
            if wait > 0:
                timer = loop.call_later(wait, self._changed.set) if wait < float("inf") else None
                await self._changed.wait()
                self._changed.clear()
                if timer is not None:
                    timer.cancel()
                continue
            await self._promote()

    async def _promote(self) -> None:
        self._due = float("inf")
        now = to_iso(self._clock.steady() + _LEEWAY)
        try:
            moved, following = await self._store.write(lambda ledger: ledger.promote_due(now))
        except StoreUnavailable:
            self.schedule(self._clock.steady() + STORE_RETRY)
            return
        if moved:
            self._on_due(moved)
        if following is not None:
            self.schedule(from_iso(following))
