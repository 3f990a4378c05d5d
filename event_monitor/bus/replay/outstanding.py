"""What has become of replayed events: how many are under way, how many deliveries were given up."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import islice

from event_monitor.bus.inflight import InFlight
from event_monitor.bus.store import EventStore
from event_monitor.model import Status

PAGE = 500
RECOVERED = 5_000


class Outstanding:
    """The replayed events that are not concluded.

    Those ``in_memory`` are heard of at once; those ``written`` down to be retried, or left by a former
    run, are looked up by ``poll``. ``moved`` is called when there are fewer.
    """

    def __init__(self, store: EventStore, moved: Callable[[], None]) -> None:
        self.in_memory: set[int] = set()
        self.written: set[int] = set()
        self.failed = 0
        self._store = store
        self._moved = moved

    def __len__(self) -> int:
        return len(self.in_memory) + len(self.written)

    def settled(self, record: InFlight) -> None:
        """An outcome of a replayed event is known; memory may owe it nothing any more."""
        event_id = record.event.id
        if record.outstanding or event_id not in self.in_memory:
            return
        self.in_memory.discard(event_id)
        if record.unusual:
            self.written.add(event_id)
        self._moved()

    async def poll(self) -> None:
        """Look up how those stand that were written down, and whatever was not heard of."""
        waiting = iter((*self.written, *self.in_memory))
        while page := list(islice(waiting, PAGE)):
            found = await self._store.read(lambda c, page=page: _statuses(c, page))  # type: ignore[misc]
            for event_id in page:
                status = found.get(event_id)
                if status == Status.PENDING or (status is None and event_id in self.in_memory):
                    continue
                self._conclude(event_id, status)

    def _conclude(self, event_id: int, status: str | None) -> None:
        if event_id not in self.in_memory and event_id not in self.written:
            return
        self.in_memory.discard(event_id)
        self.written.discard(event_id)
        self.failed += status == Status.DEAD
        self._moved()

    async def recover(self, mark: str) -> None:
        """Take up what a former run published under keys that begin with ``mark``."""
        after, end = mark, mark[:-1] + chr(ord(mark[-1]) + 1)
        failed = 0
        while True:
            rows = await self._store.read(lambda c, after=after: _published(c, after, end))  # type: ignore[misc]
            for _, event_id, status in rows:
                if status == Status.PENDING:
                    self.written.add(event_id)
                failed += status == Status.DEAD
            if len(rows) < RECOVERED:
                break
            after = rows[-1][0]
        self.failed = max(self.failed, failed)


def _statuses(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, str]:
    places = ", ".join("?" * len(ids))
    return dict(connection.execute(f"SELECT id, status FROM events WHERE id IN ({places})", ids).fetchall())


def _published(connection: sqlite3.Connection, after: str, end: str) -> list[tuple[str, int, str]]:
    return connection.execute(
        "SELECT key, id, status FROM events WHERE key > ? AND key < ? ORDER BY key LIMIT ?",
        (after, end, RECOVERED),
    ).fetchall()
