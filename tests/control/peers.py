"""A stand-in for the runtime, and clients that say exactly what they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from event_monitor.bus.streams import EventStream
from event_monitor.config import SocketSettings
from event_monitor.control.server import ControlServer
from event_monitor.errors import NotFound
from event_monitor.messages import GetEvent, PublishText, Subscribe
from event_monitor.model import Event
from event_monitor.replies.general import Done
from event_monitor.topics import TopicPattern

PATIENCE = 20.0
"""Seconds to wait for the other side of a socket."""

PING = b'{"do":"ping"}\n'


def event(number: int, text: str = "") -> Event:
    return Event(id=number, timestamp="2026-01-01T00:00:00.000000Z", event_type="a.b", payload={"text": text})


class Backend:
    """Stands for the runtime: remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.streams: list[EventStream] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.stream_limit = 1_000

    async def handle(self, message: Any) -> Any:
        self.asked.append(message)
        await self.gate.wait()
        match message:
            case Subscribe():
                stream = EventStream(TopicPattern(message.pattern), limit=self.stream_limit)
                self.streams.append(stream)
                return stream
            case GetEvent(event_id=404):
                raise NotFound("no event has the number 404", "look elsewhere")
            case GetEvent(event_id=500):
                raise RuntimeError("a secret stack")
            case PublishText():
                return Done(message="x" * int(message.payload))
        return Done(count=len(self.asked))


@contextlib.asynccontextmanager
async def serving(path: str, backend: Backend, **limits: Any) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, backend.handle, SocketSettings(**limits))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "control-connection"]


class Peer:
    """A client that says exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def hear(self) -> Any:
        """The next line, ``None`` at the end of the connection."""
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self.reader.readline()
        except ConnectionError:
            return None
        return json.loads(line) if line else None

    async def ask(self, data: bytes) -> Any:
        await self.say(data)
        return await self.hear()


@contextlib.asynccontextmanager
async def peer(path: str) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


async def until(condition: Callable[[], Any]) -> None:
    """Wait for the other side of a socket to have noticed."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - no event crosses a socket
            await asyncio.sleep(0.002)


async def still_serves(path: str) -> None:
    async with peer(path) as honest:
        assert (await honest.ask(PING))["ok"] is True
