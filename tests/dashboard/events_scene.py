"""A fixed history for tests and pictures, answered by the real reader of history on a small database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec

from event_monitor.answers.explorer import ExplorerAnswers
from event_monitor.bus import history, schema
from event_monitor.bus.event_bus import EventBus
from event_monitor.messages import FindMoment, GetEvent, Message, QueryHistory
from event_monitor.model import Delivery, DeliveryState, Snapshot, Status
from event_monitor.replies.general import EventDetail
from tests.bus.big_history import DELIVERY
from tests.dashboard import scene

MASK = ("authorization", "token", "password")
_ERRORS = '[{"at":"2026-03-14T15:41:45.300000Z","error":"ConnectionError: storage did not answer"}]'
_OPEN = {DeliveryState.QUEUED, DeliveryState.RETRYING, DeliveryState.PARKED}


def _connection(rounds: int) -> sqlite3.Connection:
    """The story of ``scene.feed`` going back from its moment, a minute and some between two events."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate_to_newest(connection)
    items = scene.feed(rounds)
    routes: dict[str, int] = {}
    for place, item in enumerate(items):
        back = timedelta(seconds=(len(items) - place) * 71.371)
        at = (scene.NOW - back).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        states = {state for _, state in item.outcomes}
        dead = DeliveryState.DEAD in states
        status = Status.PENDING if states & _OPEN else Status.DEAD if dead else Status.DELIVERED
        targets = msgspec.json.encode([target for target, _ in item.outcomes]).decode()
        route = routes.setdefault(targets, len(routes) + 1)
        connection.execute("INSERT OR IGNORE INTO routes VALUES (?, ?)", (route, targets))
        payload = {"message": item.summary, "token": "hunter2", "exit_code": place % 3, "tried": ["stdio"]}
        connection.execute(
            "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count, priority, source, "
            "route, correlation_id, causation_id) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
            (
                item.id,
                at,
                item.event_type,
                msgspec.json.encode(payload).decode(),
                status.value,
                item.priority.rank,
                "hook",
                route,
                f"c-{item.id // 13}",
                item.id - 1 if item.event_type in ("mcp.server.down", "backup.completed") else None,
            ),
        )
        for target, state in item.outcomes:
            if state is not DeliveryState.DELIVERED:
                connection.execute(
                    f"INSERT INTO deliveries {DELIVERY} VALUES (?, ?, ?, ?, 3, NULL, ?, ?)",
                    (item.id, target, state.value, item.priority.rank, _ERRORS, at),
                )
    return connection


class HistoryClient(scene.FakeClient):
    """Answers what the Events tab asks from the fixed history. ``hold`` keeps an answer back."""

    def __init__(self, rounds: int = 8, picture: Snapshot | None = None) -> None:
        super().__init__(picture)
        self.connection = _connection(rounds)
        self.hold: Callable[[Message], Any] | None = None
        bus: Any = SimpleNamespace(
            clock=SimpleNamespace(wall=scene.NOW.timestamp, monotonic=lambda: 0.0),
            store=SimpleNamespace(catch_up=self._nothing, read=self._read),
        )
        self._handlers = ExplorerAnswers(_as_bus(bus), MASK).handlers

    async def _nothing(self) -> None:
        """All is on disk."""

    async def _read(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return work(self.connection)

    async def _answer(self, message: Message) -> Any:
        if self.error is None and isinstance(message, QueryHistory | FindMoment):
            if self.hold is not None:
                await self.hold(message)
            return await self._handlers[type(message)](message)
        if self.error is None and isinstance(message, GetEvent):
            return self._detail(message.event_id)
        return await super()._answer(message)

    def _detail(self, event_id: int) -> EventDetail:
        found = history.read_event(self.connection, event_id)
        assert found is not None
        event, targets, known = found
        by_target = {delivery.target for delivery in known}
        done = [
            Delivery(event_id=event_id, target=target, state=DeliveryState.DELIVERED, attempts=1)
            for target in targets
            if target not in by_target
        ]
        return EventDetail(
            event=event,
            targets=list(targets),
            deliveries=done + known,
            causes=history.read_causes(self.connection, event),
            effects=history.read_effects(self.connection, event_id),
        )


def _as_bus(bus: Any) -> EventBus:
    found: EventBus = bus
    return found
