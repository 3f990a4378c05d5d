"""All circuit breakers of a home by name: reported, held by a person, and kept across restarts."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from event_monitor.breaker_history import BreakerHistory
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock
from event_monitor.errors import InvalidRequest, NotFound, StoreUnavailable
from event_monitor.replies.general import BreakerReport
from event_monitor.resilience.breaker import BreakerChange, BreakerState, CircuitBreaker, SavedBreaker

TARGET = "target:"
"""What the name of a target's breaker begins with."""


@dataclass(frozen=True, slots=True)
class Load:
    """What goes through a bulkhead now: places taken, places, those who wait for one, and how many
    of these are parked because the breaker lets nothing through."""

    busy: int = 0
    max_concurrent: int = 1
    waiting: int = 0
    parked: int = 0


class BreakerDesk:
    """Knows each breaker from ``adopt`` on. ``on_change`` hears of every change of state; ``load_of``
    answers what goes on behind a breaker."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self._histories: dict[str, BreakerHistory] = {}
        self._saved: dict[str, SavedBreaker] = {}
        self.on_change: Callable[[str, BreakerChange], None] = lambda name, change: None
        self.load_of: Callable[[str], Load] = lambda name: Load()

    async def load(self) -> None:
        """Read what a former run saved. What cannot be read is left to begin afresh."""

        def read(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            return connection.execute("SELECT name, saved FROM breakers").fetchall()

        for name, text in await self._store.read(read):
            try:
                self._saved[name] = msgspec.json.decode(text, type=SavedBreaker)
            except msgspec.MsgspecError:
                continue

    def adopt(self, name: str, breaker: CircuitBreaker) -> None:
        """Look after a breaker: give it back its saved state, and save each change."""
        saved = self._saved.pop(name, None)
        if saved is not None:
            breaker.restore(saved, self._clock.wall())
        self._breakers[name] = breaker
        self._histories[name] = BreakerHistory(breaker.state, self._clock.monotonic())
        breaker.listeners.append(lambda _, change: self._changed(name, breaker, change))

    def replace(self, name: str, breaker: CircuitBreaker) -> None:
        """Look after another breaker in a known one's place. What a person holds stays held; else it
        begins afresh, for what the old one learned was learned of something else."""
        old = self._breakers.pop(name, None)
        if old is not None and old.forced is not None:
            self._saved[name] = old.save(self._clock.wall())
        self.adopt(name, breaker)
        self._store.change(self._saving(name))

    def forget(self, name: str) -> None:
        """Its service or target is gone."""
        self._breakers.pop(name, None)
        self._saved.pop(name, None)
        self._histories.pop(name, None)
        self._store.change(
            lambda ledger: ledger.connection.execute("DELETE FROM breakers WHERE name = ?", (name,))
        )

    def _changed(self, name: str, breaker: CircuitBreaker, change: BreakerChange) -> None:
        if self._breakers.get(name) is not breaker:
            return
        self._histories[name].add(change, self._clock.wall())
        self._store.change(self._saving(name))
        self.on_change(name, change)

    def _saving(self, name: str) -> Callable[[Ledger], object]:
        text = msgspec.json.encode(self._breakers[name].save(self._clock.wall())).decode()

        return lambda ledger: ledger.connection.execute(
            "INSERT OR REPLACE INTO breakers VALUES (?, ?)", (name, text)
        )

    async def set(self, name: str, action: str, by: str, reason: str) -> BreakerReport:
        """Carry out what a person decided; it is on disk when this returns. Raises ``NotFound``, or
        ``StoreUnavailable``: then it holds, but only until a restart."""
        breaker = self._find(name)
        if action == "open":
            breaker.force_open(by, reason)
        elif action == "close":
            breaker.force_close(by, reason)
        elif action == "reset":
            breaker.reset(by, reason)
        elif breaker.forced is not None or breaker.state is not BreakerState.OPEN:
            raise InvalidRequest(
                f"{name} is not open by itself", "half_open is for a breaker that has opened"
            )
        else:
            breaker.half_open(by, reason)
        try:
            await self._store.flush()
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"{name} is {breaker.state}, but that could not be saved", error.advice
            ) from error
        return self.report(name)

    def _find(self, name: str) -> CircuitBreaker:
        found = self._breakers.get(name)
        if found is None:
            known = ", ".join(sorted(self._breakers)) or "none"
            raise NotFound(f"no circuit breaker is named {name[:80]}", f"known: {known}")
        return found

    @property
    def names(self) -> Sequence[str]:
        """The names, in order."""
        return sorted(self._breakers)

    def report(self, name: str) -> BreakerReport:
        """One breaker now. Raises ``NotFound``."""
        breaker = self._find(name)
        wait, load, last = breaker.retry_after, self.load_of(name), self._histories[name].last
        return BreakerReport(
            service=name,
            state=breaker.state.value,
            failure_count=breaker.failure_count,
            failure_threshold=breaker.failure_threshold,
            forced=breaker.forced.value if breaker.forced is not None else None,
            retry_after=None if math.isinf(wait) else round(wait, 3),
            forced_by=breaker.forced_by,
            forced_reason=breaker.forced_reason,
            last_error=breaker.last_error,
            parked=load.parked,
            busy=load.busy,
            max_concurrent=load.max_concurrent,
            waiting=load.waiting,
            since=last.at if last is not None else None,
            reason=last.reason if last is not None else "",
            by=last.by if last is not None else None,
        )

    def history(self, name: str) -> BreakerHistory:
        """What a breaker has been through. Raises ``NotFound``."""
        self._find(name)
        return self._histories[name]
