"""The kill switch: stops dispatch of all but CRITICAL events and opens breakers until a person resumes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from event_monitor.breakers import BreakerDesk
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.errors import NotFound
from event_monitor.resilience.retry import PermanentError

BY = "kill switch"
_ENGAGED = "kill_switch"
_LAST = "kill_switch_event"


class KillSwitch:
    """Engaged by events, resumed by a person. Saved, so that a restart does not resume.

    ``services`` answers whose breakers there are to open; ``on_change`` hears whether it is engaged
    now and why.
    """

    def __init__(
        self, store: EventStore, breakers: BreakerDesk, services: Callable[[], Sequence[str]]
    ) -> None:
        self._store = store
        self._breakers = breakers
        self._services = services
        self._last = 0
        self.engaged = False
        self.on_change: Callable[[bool, str], None] = lambda engaged, reason: None

    async def load(self) -> None:
        """Take up what a former run left."""

        def read(connection: sqlite3.Connection) -> dict[str, int]:
            return dict(
                connection.execute("SELECT name, value FROM counters WHERE name IN (?, ?)", (_ENGAGED, _LAST))
            )

        saved = await self._store.read(read)
        self._last = saved.get(_LAST, 0)
        self.engaged = bool(saved.get(_ENGAGED, 0))
        if self.engaged:
            self.on_change(True, "the kill switch was engaged before the restart")

    async def engage(self, services: Sequence[str] | None, reason: str, event_id: int) -> None:
        """See ``Switch.engage``."""
        if event_id <= self._last:
            return
        known = set(self._services())
        unknown = sorted(set(services or ()) - known)
        if unknown:
            raise PermanentError(f"no service is named {', '.join(unknown)}: nothing was stopped")
        await self._save(True, event_id)
        self._last, self.engaged = event_id, True
        self.on_change(True, reason)
        for name in sorted(known) if services is None else services:
            await self._breakers.set(name, "open", BY, reason)

    async def resume(self, by: str, reason: str) -> bool:
        """Dispatch again and give back the breakers that the switch opened. False if it was not
        engaged."""
        if not self.engaged:
            return False
        await self._save(False, self._last)
        self.engaged = False
        for name in self._breakers.names:
            if self._breakers.report(name).forced_by == BY:
                try:
                    await self._breakers.set(name, "reset", by, reason)
                except NotFound:
                    continue
        self.on_change(False, f"resumed by {by}: {reason}" if reason else f"resumed by {by}")
        return True

    async def _save(self, engaged: bool, event_id: int) -> None:
        rows = [(_ENGAGED, int(engaged)), (_LAST, event_id)]

        def write(ledger: Ledger) -> None:
            ledger.connection.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?)", rows)

        await self._store.write(write)
