"""Subscriptions that outlive the process: kept in the store, served again at each start."""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.rules import compile_filter
from event_monitor.bus.subscribers import Handler
from event_monitor.clock import to_iso
from event_monitor.errors import EventMonitorError, InvalidRequest, NotFound
from event_monitor.messages import Subscribe
from event_monitor.replies.general import SubscriptionInfo
from event_monitor.targets.handlers import CommandHandler, python_handler
from event_monitor.topics import TopicPattern

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


class Subscriptions:
    """The kept subscriptions of one home. ``exec:`` and ``py:`` handlers become targets."""

    def __init__(self, bus: EventBus, home: str) -> None:
        self._bus = bus
        self._home = home
        self._kept: dict[str, SubscriptionInfo] = {}

    async def load(self) -> list[str]:
        """Serve what a former run kept. Answers what could not be served, and why."""

        def read(connection: sqlite3.Connection) -> list[SubscriptionInfo]:
            rows = connection.execute(
                "SELECT name, pattern, handler, filter, created_at FROM subscriptions"
            ).fetchall()
            return [
                SubscriptionInfo(
                    name=row[0], pattern=row[1], handler=row[2], filter=row[3], created_at=row[4]
                )
                for row in rows
            ]

        problems: list[str] = []
        for info in await self._bus.store.read(read):
            self._kept[info.name] = info
            try:
                self._serve(info)
            except EventMonitorError as error:
                problems.append(f"subscription {info.name}: {error}")
                self._serve(info, _unavailable(str(error)))
        return problems

    async def add(self, message: Subscribe) -> SubscriptionInfo:
        """Check, keep and serve a new subscription. Raises ``InvalidRequest``."""
        digest = hashlib.sha256(f"{message.pattern} {message.handler} {message.filter}".encode()).hexdigest()[
            :8
        ]
        name = message.name or f"{message.handler.partition(':')[0]}-{digest}"
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name[:80]!r} cannot be a subscription's name",
                "use up to 80 lower-case letters, digits, . _ -",
            )
        if name in self._kept:
            raise InvalidRequest(
                f"a subscription named {name} exists", f"remove it first: event-cli subscribe remove {name}"
            )
        info = SubscriptionInfo(
            name=name,
            pattern=message.pattern,
            handler=message.handler,
            filter=message.filter,
            created_at=to_iso(self._bus.clock.wall()),
        )
        self._serve(info)
        row = (info.name, info.pattern, info.handler, info.filter, info.created_at)
        try:
            await self._bus.store.write(
                lambda ledger: ledger.connection.execute(
                    "INSERT INTO subscriptions VALUES (?, ?, ?, ?, ?)", row
                )
            )
        except BaseException:
            await self._bus.unsubscribe(name)
            raise
        self._kept[name] = info
        return info

    async def remove(self, name: str) -> None:
        """Stop serving and forget. What it still owed becomes dead letters. Raises ``NotFound``."""
        if name not in self._kept:
            known = ", ".join(sorted(self._kept)) or "none is kept"
            raise NotFound(f"no subscription is named {name}", f"known: {known}")
        await self._bus.store.write(
            lambda ledger: ledger.connection.execute("DELETE FROM subscriptions WHERE name = ?", (name,))
        )
        del self._kept[name]
        await self._bus.unsubscribe(name)

    def all(self) -> list[SubscriptionInfo]:
        """The kept subscriptions by name."""
        return [self._kept[name] for name in sorted(self._kept)]

    def _serve(self, info: SubscriptionInfo, handler: Handler | None = None) -> None:
        TopicPattern(info.pattern)
        matches = compile_filter(info.filter) if info.filter else None
        self._bus.subscribe(
            info.pattern, handler or self._handler(info.handler), name=info.name, matches=matches
        )

    def _handler(self, text: str) -> Handler:
        kind, _, rest = text.partition(":")
        if kind == "exec":
            return CommandHandler(rest, self._home)
        if kind == "py":
            return python_handler(rest)
        raise InvalidRequest(f"{text[:60]!r} is not a handler", "write -, exec:COMMAND or py:module:function")


def _unavailable(reason: str) -> Handler:
    """Stands in for a handler that could not be loaded, so that its events are retried, not lost."""

    async def handler(event: object) -> None:
        raise InvalidRequest(reason)

    return handler
