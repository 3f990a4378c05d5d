"""A proxy on loopback that spoils connections on demand, with the faults of Shopify's toxiproxy.

Each way, to the server (``upstream``) and back (``downstream``), has its own ``Faults``; spoiling one
of them alone is a one-way partition. They may be changed at any time and hold for the connections
that are open too. What a hang has held back goes on when it ends, as TCP would send it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass
from typing import Self

Address = tuple[str, int] | str
"""A TCP host and port, or the path of a Unix socket."""

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)
_STREAM_ERRORS = (OSError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to the bytes of one way.

    ``latency`` and ``jitter`` delay each piece by ``latency`` ± ``jitter`` seconds. While ``hang`` is
    true nothing passes, not even the end. ``slice_bytes`` cuts what passes into pieces of at most so
    many bytes, each sent on its own. After ``limit_bytes`` of a connection it is ended, and with
    ``reset`` torn down as by a crash.
    """

    latency: float = 0.0
    jitter: float = 0.0
    hang: bool = False
    slice_bytes: int | None = None
    limit_bytes: int | None = None
    reset: bool = False

    def __post_init__(self) -> None:
        if self.latency < 0 or self.jitter < 0:
            raise ValueError("latency and jitter must be 0 or more seconds")
        if self.slice_bytes is not None and self.slice_bytes < 1:
            raise ValueError("slice_bytes must be 1 or more")
        if self.limit_bytes is not None and self.limit_bytes < 0:
            raise ValueError("limit_bytes must be 0 or more")


NONE = Faults()


class _LimitReached(Exception):
    """A connection has carried all that it may."""


class Way:
    """One way of all connections. ``carried`` counts the bytes that came out."""

    def __init__(self, rng: random.Random) -> None:
        self.carried = 0
        self._rng = rng
        self._faults = NONE
        self._passable = asyncio.Event()
        self._passable.set()

    @property
    def faults(self) -> Faults:
        """What is wrong with it now."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        if faults.hang:
            self._passable.clear()
        else:
            self._passable.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one connection sends, its end included. Raises ``_LimitReached``."""
        passed = 0
        while chunk := await reader.read(_CHUNK):
            await self._delay()
            for piece in self._pieces(chunk):
                await self._passable.wait()
                limit = self._faults.limit_bytes
                allowed = piece if limit is None else piece[: max(0, limit - passed)]
                writer.write(allowed)
                await writer.drain()
                passed += len(allowed)
                self.carried += len(allowed)
                if len(allowed) < len(piece):
                    raise _LimitReached
        await self._passable.wait()
        if writer.can_write_eof():
            writer.write_eof()

    async def _delay(self) -> None:
        faults = self._faults
        if faults.latency or faults.jitter:
            spread = self._rng.uniform(-faults.jitter, faults.jitter)
            await asyncio.sleep(max(0.0, faults.latency + spread))

    def _pieces(self, chunk: bytes) -> list[bytes]:
        size = self._faults.slice_bytes or len(chunk)
        return [chunk[place : place + size] for place in range(0, len(chunk), size)]


class FaultyProxy:
    """Stands between clients and the server at ``target``; ``async with`` starts and ends it.

    Listens at ``listen``, a free TCP port of loopback by default. While ``refuse`` is true every new
    connection is reset. Used from one event loop.
    """

    def __init__(
        self, target: Address, *, listen: Address = ("127.0.0.1", 0), rng: random.Random | None = None
    ) -> None:
        rng = rng or random.Random()
        self.upstream = Way(rng)
        self.downstream = Way(rng)
        self.refuse = False
        self.accepted = 0
        self._target = target
        self._listen = listen
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}

    async def __aenter__(self) -> Self:
        if isinstance(self._listen, str):
            self._server = await asyncio.start_unix_server(self._serve, self._listen)
        else:
            self._server = await asyncio.start_server(self._serve, *self._listen)
        return self

    async def __aexit__(self, *_: object) -> None:
        server = self._server
        if server is None:
            return
        server.close()
        links = list(self._links)
        self.reset_all()
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await server.wait_closed()

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._links)

    def spoil(self, faults: Faults) -> None:
        """Put the same faults on both ways."""
        self.upstream.faults = self.downstream.faults = faults

    def heal(self) -> None:
        """End all faults."""
        self.spoil(NONE)
        self.refuse = False

    def reset_all(self) -> None:
        """Tear down every open connection, at both ends."""
        for writers in self._links.values():
            for writer in writers:
                tear_down(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = asyncio.current_task()
        assert link is not None
        self._links[link] = (writer,)
        try:
            if self.refuse:
                tear_down(writer)
                return
            with contextlib.suppress(*_STREAM_ERRORS):
                await self._join(link, reader, writer)
        except asyncio.CancelledError:
            # Only ``__aexit__`` cancels; the stream's own callback would report it as an error.
            return
        finally:
            for end in self._links.pop(link):
                end.close()

    async def _join(
        self, link: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry both ways of a connection until both have ended or one failed."""
        try:
            there, there_writer = await self._connect()
        except OSError:
            tear_down(writer)
            return
        self._links[link] = (writer, there_writer)
        up = asyncio.create_task(self.upstream.carry(reader, there_writer), name="proxy-up")
        down = asyncio.create_task(self.downstream.carry(there, writer), name="proxy-down")
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_EXCEPTION)
        finally:
            up.cancel()
            down.cancel()
            outcomes = await asyncio.gather(up, down, return_exceptions=True)
        for way, outcome in ((self.upstream, outcomes[0]), (self.downstream, outcomes[1])):
            cut_short = isinstance(outcome, _LimitReached) and not way.faults.reset
            if isinstance(outcome, Exception) and not cut_short:
                tear_down(writer)
                tear_down(there_writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)


def tear_down(writer: asyncio.StreamWriter) -> None:
    """End a connection at once, as a crash does; over TCP the other end sees a reset."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
