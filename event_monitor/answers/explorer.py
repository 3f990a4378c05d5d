"""What the queries that look through history answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from event_monitor import messages as m
from event_monitor.bus import explorer
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.history import SIMPLE_STATES, to_event
from event_monitor.bus.wanted import make_ready
from event_monitor.clock import parse_time, to_iso
from event_monitor.errors import InvalidRequest
from event_monitor.model import DeliveryState, Status
from event_monitor.redaction import redact
from event_monitor.replies import explorer as r
from event_monitor.summary import summarise

_MAX_LIMIT = 1_000
_decode_targets = msgspec.json.Decoder(tuple[str, ...]).decode


class ExplorerAnswers:
    """Answers messages with the bus's history; summaries mask the values of keys that contain a word
    of ``mask``."""

    def __init__(self, bus: EventBus, mask: Sequence[str]) -> None:
        self._bus = bus
        self._mask = tuple(mask)
        self.handlers: dict[type[m.Message], Callable[[Any], Awaitable[Any]]] = {
            m.QueryHistory: self._history,
            m.FindMoment: self._moment,
        }

    async def _history(self, message: m.QueryHistory) -> r.HistoryPage:
        if message.limit < 1 or len(message.ids) > _MAX_LIMIT:
            raise InvalidRequest(f"1 to {_MAX_LIMIT} events make a page", "choose another limit")
        wanted = make_ready(message.where, self._bus.clock.wall())
        limit = min(message.limit, _MAX_LIMIT)

        def look(connection: sqlite3.Connection) -> r.HistoryPage:
            if message.ids:
                found = explorer.read_rows(connection, message.ids)
            else:
                found = explorer.read_page(
                    connection,
                    wanted,
                    clock=self._bus.clock.monotonic,
                    newest_first=message.newest_first,
                    after_id=message.after_id,
                    before_id=message.before_id,
                    limit=limit,
                )
            return self._page(connection, message, found)

        def read(connection: sqlite3.Connection) -> r.HistoryPage:
            # One transaction, so that the ends belong to the page.
            connection.execute("BEGIN")
            try:
                return look(connection)
            finally:
                connection.execute("COMMIT")

        if message.ids or message.before_id is None:
            await self._bus.store.catch_up()
        return await self._bus.store.read(read)

    def _page(
        self, connection: sqlite3.Connection, message: m.QueryHistory, found: explorer.Found
    ) -> r.HistoryPage:
        oldest, newest = explorer.ends(connection)
        missed, capped = 0, False
        if message.after_id is not None and newest is not None:
            if message.ids:
                missed, capped = explorer.count_between(connection, message.after_id, newest + 1)
            elif message.newest_first and found.cursor is not None:
                missed, capped = explorer.count_between(connection, message.after_id, found.cursor)
        return r.HistoryPage(
            rows=[] if message.full else self._rows(connection, found.rows),
            events=[to_event(row) for row in found.rows] if message.full else [],
            cursor=found.cursor,
            scanned=found.scanned,
            reached=found.reached,
            oldest_id=oldest,
            newest_id=newest,
            between=missed,
            capped=capped,
        )

    def _rows(self, connection: sqlite3.Connection, rows: Sequence[explorer.Row]) -> list[r.HistoryRow]:
        states: dict[int, dict[str, DeliveryState]] = {row[0]: {} for row in rows}
        stored = connection.execute(
            "SELECT event_id, target, state FROM deliveries "
            f"WHERE event_id IN ({', '.join('?' * len(states))})",
            tuple(states),
        )
        for event_id, target, state in stored:
            states[event_id][target] = DeliveryState(state)
        return [self._row(row, states[row[0]]) for row in rows]

    def _row(self, row: explorer.Row, known: dict[str, DeliveryState]) -> r.HistoryRow:
        event = to_event(row)
        simple = SIMPLE_STATES.get(event.status, DeliveryState.DELIVERED)
        owed = () if event.status is Status.SAMPLED else _decode_targets(row[-1] or "[]")
        outcomes = dict.fromkeys(owed, simple) | known
        return r.HistoryRow(
            id=event.id,
            timestamp=event.timestamp,
            priority=event.priority,
            event_type=event.event_type,
            summary=summarise(event.event_type, redact(event.payload, self._mask)),
            status=event.status,
            source=event.source,
            outcomes=tuple(outcomes.items()),
            replay_of=event.replay_of,
        )

    async def _moment(self, message: m.FindMoment) -> r.Moment:
        at = to_iso(parse_time(message.at, self._bus.clock.wall()))
        await self._bus.store.catch_up()
        found = await self._bus.store.read(lambda connection: explorer.find_moment(connection, at))
        if found is None:
            return r.Moment(event_id=None, at=at)
        return r.Moment(event_id=found[0], at=at, timestamp=found[1])
