"""Little servers that a bus under test watches and calls: real ones, which misbehave on demand."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

_LONGEST_HEAD = 65_536
_ANSWER = b"HTTP/1.1 %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class HttpServer:
    """Answers each request with 200; ``async with`` starts and ends it.

    While it ``hangs`` it takes connections and never answers, while it is ``failing`` it answers 503, and
    each answer comes ``delay`` seconds late. ``leave`` closes its port, ``come_back`` opens it again."""

    def __init__(self) -> None:
        self.hangs = False
        self.failing = False
        self.delay = 0.0
        self.answered = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def come_back(self) -> None:
        """Listen, at the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, limit=_LONGEST_HEAD
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def leave(self) -> None:
        """Die: the port is closed, and so are all connections."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
                await self._answer(reader, writer)
        except asyncio.CancelledError:
            # Only ``leave`` cancels; the stream's own callback would report it as an error.
            writer.transport.abort()
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self.hangs:
            await reader.read()
            return
        await asyncio.sleep(self.delay)
        writer.write(_ANSWER % (b"503 Service Unavailable" if self.failing else b"200 OK"))
        await writer.drain()
        self.answered += 1
