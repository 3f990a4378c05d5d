"""What a replay would do: counted by SQL where types alone decide, event by event where payloads do.

The plan and the run ask the same ``Selection`` and ``Chooser``, so what is planned is what happens.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from event_monitor.bus.history import scan_events, to_event
from event_monitor.bus.replay.selection import (
    FILTERED,
    ID,
    NO_TARGET,
    PAYLOAD,
    REPLAY_OF,
    REPLAYS,
    TIMESTAMP,
    VERSION,
    WHY,
    Choice,
    Chooser,
    Selection,
)
from event_monitor.bus.store import EventStore
from event_monitor.clock import from_iso
from event_monitor.messages import Speed
from event_monitor.model import Event
from event_monitor.replies.replays import ReplayPlan

# Rows that one read may count, or look into: a read is short, for the bus's own wait behind it.
COUNTED = 20_000
SCANNED = 500

# From a place in the index on timestamps; spelt out, for SQLite compares rows at twice the cost.
_SPAN = "timestamp >= ? AND timestamp < ? AND (timestamp > ? OR id > ?)"
_END_OF_CHUNK = f"SELECT timestamp, id FROM events WHERE {_SPAN} ORDER BY timestamp, id LIMIT 1 OFFSET ?"
_COUNT = f"""
SELECT event_type, schema_version, replay_of IS NOT NULL, COUNT(*), MIN(id), MAX(id), MAX(timestamp)
FROM events WHERE {_SPAN} {{end}} AND id <= ? GROUP BY 1, 2, 3"""


class Plan(msgspec.Struct, frozen=True):
    """What a replay takes, fixed when it was made: nothing with an id over ``last_id``.

    ``recorded_seconds`` lie between the first event and the latest; times are ISO 8601. ``excluded``
    is as in ``ReplayPlan``.
    """

    events: int = 0
    first_id: int = 0
    last_id: int = 0
    first: str | None = None
    last: str | None = None
    recorded_seconds: float = 0.0
    by_type: dict[str, int] = {}
    by_target: dict[str, int] = {}
    excluded: dict[str, int] = {}
    why: dict[str, str] = {}

    @property
    def skipped(self) -> int:
        """Events that were asked for and are not taken."""
        return self.excluded.get(REPLAYS, 0) + self.excluded.get(NO_TARGET, 0)

    def overlaps(self, other: Plan) -> bool:
        """Whether both take the same recorded events, or might."""
        apart = self.last_id < other.first_id or other.last_id < self.first_id
        return not apart and not self.by_type.keys().isdisjoint(other.by_type)

    def reply(self, selection: Selection, speed: Speed) -> ReplayPlan:
        """The answer to a dry run."""
        return ReplayPlan(
            events=self.events,
            first=self.first,
            last=self.last,
            seconds=0.0 if speed == "max" else round(self.recorded_seconds / speed, 3),
            by_type=self.by_type,
            by_target=self.by_target,
            excluded=self.excluded,
            why=self.why,
            since=selection.since,
            until=selection.until,
            speed=speed,
            first_id=self.first_id or None,
            last_id=self.last_id or None,
        )


async def make_plan(store: EventStore, selection: Selection, chooser: Chooser) -> Plan:
    """Look through what is recorded now. Raises ``StoreUnavailable``."""
    await store.catch_up()
    (ceiling,) = await store.read(lambda c: c.execute("SELECT COALESCE(MAX(id), 0) FROM events").fetchone())
    tally = _Tally()
    unsure: dict[str, set[int]] = {}
    place: _Place | None = _Place(selection.since, 0)
    while place is not None:
        groups, place = await store.read(lambda c, place=place: _count(c, selection, place, ceiling))  # type: ignore[misc]
        for group in groups:
            refusal = selection.refusal_of_type(group.event_type, group.is_replay)
            choice = chooser.of_type(group.event_type, group.schema_version)
            if refusal is not None:
                tally.excluded[refusal] += group.events
            elif choice is None or selection.looks_into(group.event_type):
                unsure.setdefault(group.event_type, set()).add(group.schema_version)
            else:
                tally.add(group, choice)
    for event_type, versions in sorted(unsure.items()):
        await _look_into(store, selection, chooser, event_type, versions, ceiling, tally)
    return await _finished(store, tally, chooser.why)


class _Place(NamedTuple):
    """How far the index on timestamps was read."""

    timestamp: str
    id: int


class _Group(NamedTuple):
    """Events of one type and version."""

    event_type: str
    schema_version: int
    is_replay: bool
    events: int
    first_id: int
    last_id: int
    latest: str


class _Tally:
    """Counts while the plan is made."""

    def __init__(self) -> None:
        self.by_type: Counter[str] = Counter()
        self.by_target: Counter[str] = Counter()
        self.excluded: Counter[str] = Counter()
        self.first_id = 0
        self.last_id = 0
        self.latest = ""

    def add(self, group: _Group, choice: Choice) -> None:
        """Events that were asked for, and where all of them go."""
        for name in choice.left_out:
            self.excluded[name] += group.events
        if not choice.targets:
            self.excluded[NO_TARGET] += group.events
            return
        self.by_type[group.event_type] += group.events
        for name in choice.targets:
            self.by_target[name] += group.events
        self.first_id = min(self.first_id or group.first_id, group.first_id)
        self.last_id = max(self.last_id, group.last_id)
        self.latest = max(self.latest, group.latest)


def _count(
    connection: sqlite3.Connection, selection: Selection, place: _Place, ceiling: int
) -> tuple[list[_Group], _Place | None]:
    """The next events of the span in groups, and where to go on; ``None`` at the end."""
    span = (place.timestamp, selection.until, *place)
    end = connection.execute(_END_OF_CHUNK, (*span, COUNTED - 1)).fetchone()
    bounded, ends = "", ()
    if end is not None:
        bounded, ends = "AND timestamp <= ? AND (timestamp < ? OR id <= ?)", (end[0], *end)
    rows = connection.execute(_COUNT.format(end=bounded), (*span, *ends, ceiling)).fetchall()
    return [_Group(*row) for row in rows], None if end is None else _Place(*end)


class _Seen(NamedTuple):
    """What one read has looked into: groups whose targets are known, events whose targets are not, how
    many were refused, and the id to go on from, ``None`` at the end."""

    groups: list[_Group]
    events: list[Event]
    refused: int
    last: int | None


async def _look_into(
    store: EventStore,
    selection: Selection,
    chooser: Chooser,
    event_type: str,
    versions: set[int],
    ceiling: int,
    tally: _Tally,
) -> None:
    """Decide on the events of a type one by one."""
    known = {version: chooser.of_type(event_type, version) for version in versions}
    search = selection.filter.search if selection.looks_into(event_type) else None

    def read(connection: sqlite3.Connection, after: int) -> _Seen:
        groups: dict[int, _Group] = {}
        events, refused, last = [], 0, None
        rows = scan_events(
            connection,
            after_id=after,
            last_id=ceiling,
            since=selection.since,
            until=selection.until,
            event_type=event_type,
            limit=SCANNED,
        )
        for scanned, row in enumerate(rows, 1):
            if scanned == SCANNED:
                last = row[ID]
            version = row[VERSION]
            if version not in versions or (row[REPLAY_OF] is not None and not selection.replays):
                continue
            if search is not None and not search(row[PAYLOAD]):
                refused += 1
            elif known[version] is None:
                events.append(to_event(row))
            else:
                groups[version] = _one_more(groups.get(version), event_type, version, row[ID], row[TIMESTAMP])
        return _Seen(list(groups.values()), events, refused, last)

    after: int | None = 0
    while after is not None:
        seen = await store.read(lambda c, after=after: read(c, after))  # type: ignore[misc]
        tally.excluded[FILTERED] += seen.refused
        for group in seen.groups:
            tally.add(group, known[group.schema_version] or Choice(()))
        chosen: dict[Choice, _Group] = {}
        for event in seen.events:
            _, choice = chooser.of_event(event)
            chosen[choice] = _one_more(chosen.get(choice), event_type, 0, event.id, event.timestamp)
        for choice, group in chosen.items():
            tally.add(group, choice)
        after = seen.last


def _one_more(group: _Group | None, event_type: str, version: int, event_id: int, timestamp: str) -> _Group:
    """A group with one event more, which has a higher id than all before it."""
    if group is None:
        return _Group(event_type, version, False, 1, event_id, event_id, timestamp)
    _, _, _, events, first_id, _, latest = group
    return _Group(event_type, version, False, events + 1, first_id, event_id, max(latest, timestamp))


async def _finished(store: EventStore, tally: _Tally, why: Callable[[str], str]) -> Plan:
    excluded = {name: count for name, count in sorted(tally.excluded.items()) if count}
    reasons = {name: WHY.get(name) or why(name) for name in excluded}
    if not tally.by_type:
        return Plan(excluded=excluded, why=reasons)
    ends = (tally.first_id, tally.last_id)
    times = dict(
        await store.read(
            lambda c: c.execute("SELECT id, timestamp FROM events WHERE id IN (?, ?)", ends).fetchall()
        )
    )
    first = times.get(tally.first_id, tally.latest)
    return Plan(
        events=tally.by_type.total(),
        first_id=tally.first_id,
        last_id=tally.last_id,
        first=first,
        last=times.get(tally.last_id, tally.latest),
        recorded_seconds=max(0.0, from_iso(tally.latest) - from_iso(first)),
        by_type=dict(sorted(tally.by_type.items())),
        by_target=dict(sorted(tally.by_target.items())),
        excluded=excluded,
        why=reasons,
    )
