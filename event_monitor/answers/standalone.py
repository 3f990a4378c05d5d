"""Answers for a home that no bus runs for: what can be done with its store alone.

``event-cli`` starts this as a process of its own and speaks to it as to a bus, over a socket that it
inherits: ``python -m event_monitor.answers.standalone HOME DESCRIPTOR``.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from event_monitor.answers.store import StoreDesk
from event_monitor.bus import history
from event_monitor.bus.rules import compile_regex
from event_monitor.bus.store_files import looking_at
from event_monitor.clock import parse_time
from event_monitor.config import Settings
from event_monitor.configured import read_configuration
from event_monitor.control.server import Connection, ControlServer
from event_monitor.errors import InvalidConfig, NoBus
from event_monitor.messages import Message, QueryEvents
from event_monitor.paths import HomePaths
from event_monitor.replies.general import EventPage
from event_monitor.topics import TopicPattern


class Standalone:
    """Answers what needs no bus; ``NoBus`` to the rest."""

    def __init__(self, paths: HomePaths, settings: Settings) -> None:
        self.desk = StoreDesk(paths, settings.store)
        self._paths = paths

    async def handle(self, message: Message) -> Any:
        """As ``Runtime.handle``."""
        if isinstance(message, QueryEvents):
            return await asyncio.to_thread(self._events, message)
        handler = self.desk.handlers.get(type(message))
        if handler is None:
            raise NoBus(f"no bus is running for {self._paths.home}", "start event-monitor")
        return await handler(message)

    def _events(self, message: QueryEvents) -> EventPage:
        now = time.time()
        wanted = history.EventFilter(
            pattern=TopicPattern(message.type) if message.type else None,
            status=message.status,
            since=parse_time(message.since, now) if message.since else None,
            until=parse_time(message.until, now) if message.until else None,
            matches=compile_regex(message.filter) if message.filter else None,
        )
        with looking_at(Path(self._paths.database)) as connection:
            events, cursor = history.read_events(
                connection,
                wanted,
                newest_first=message.newest_first,
                after_id=message.after_id,
                before_id=message.before_id,
                limit=max(1, min(message.limit, 1_000)),
            )
        return EventPage(events=events, cursor=cursor)


class _Caller(Connection):
    """The one client; the process ends with its connection."""

    def __init__(self, server: ControlServer, ended: asyncio.Event) -> None:
        super().__init__(server)
        self._ended = ended

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._ended.set()


async def serve(home: str, connection: socket.socket) -> None:
    """Answer on a connected socket until its other end is closed."""
    paths = HomePaths(home)
    try:
        settings = (await asyncio.to_thread(read_configuration, paths.settings)).settings
    except InvalidConfig:
        # A broken file is no reason to refuse a look at the store, or its rescue.
        settings = Settings()
    standalone = Standalone(paths, settings)
    ended = asyncio.Event()
    server = ControlServer(paths.socket, standalone.handle, settings.socket)
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(lambda: _Caller(server, ended), connection)
    await ended.wait()
    await standalone.desk.close()


def main() -> None:
    """``HOME DESCRIPTOR`` on the command line."""
    home, descriptor = sys.argv[1:]
    # Ctrl+C is the caller's: it says what it means, and closes its end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(serve(home, socket.socket(fileno=int(descriptor))))


if __name__ == "__main__":
    main()
