"""What a view or a program talks to, whether the runtime is in this process or behind the socket."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec

from event_monitor.errors import NoBus, ReadOnly, error_from_code
from event_monitor.messages import GetSnapshot, Message
from event_monitor.messages.catalogue import COMMANDS, REPLY_OF

_MAX_REPLY = 64 * 1024 * 1024
# Questions that may be under way at once, beside the picture.
_OVERLAP = 3
_ADVICE = "start event-monitor, or check EVENT_MONITOR_HOME"


class Client(Protocol):
    """One face for both clients."""

    async def request(self, message: Message) -> Any:
        """Send a command or query and return its reply.

        Raises the ``EventMonitorError`` that the runtime answered with, or ``NoBus`` when the
        connection is gone (the next request tries to connect again).
        """

    def silence(self) -> str | None:
        """Why the bus does not answer just now, as far as it can be told without asking it."""

    def apart(self, timeout: float) -> Client:
        """A client of its own for what takes long, up to ``timeout`` seconds: nothing waits behind it.
        Its owner closes it."""

    async def close(self) -> None:
        """Let go of the connection. Safe to call twice."""


def refuse_command(message: Message, read_only: bool) -> None:
    """Raise ``ReadOnly`` for a message that changes something, from a view that may not."""
    if read_only and isinstance(message, COMMANDS):
        raise ReadOnly("this view is read-only", "start event-monitor without --read-only")


class SocketClient:
    """The client for a runtime in another process. Connects when asked and again after a loss.

    Pictures have a connection of their own, and a few more are opened while questions overlap: a long
    query holds up neither the screen nor the next one."""

    def __init__(self, path: str, *, timeout: float = 30.0, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._timeout = timeout
        self._pictures = _Wire(path)
        self._others = [_Wire(path) for _ in range(_OVERLAP)]

    async def request(self, message: Message) -> Any:
        """See ``Client.request``. Raises ``NoBus`` also when no answer comes in time or none that can
        be understood, and ``ReadOnly`` for a command from a read-only view."""
        refuse_command(message, self._read_only)
        wire = self._wire_for(message)
        try:
            line = await wire.ask(msgspec.json.encode(message) + b"\n", self._timeout)
        except (OSError, ValueError, TimeoutError) as error:
            raise NoBus(f"no answer on {self._path}: {str(error) or 'timed out'}", _ADVICE) from error
        try:
            envelope = msgspec.json.decode(line, type=_Envelope)
            if envelope.error is not None:
                failure = envelope.error
                raise error_from_code(failure.code, failure.message, failure.advice, failure.retry_after)
            return msgspec.json.decode(envelope.result, type=REPLY_OF[type(message)])
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            wire.hang_up()
            raise NoBus(
                f"the answer on {self._path} cannot be understood: {error}",
                "use the same version of event-monitor at both ends",
            ) from error

    def _wire_for(self, message: Message) -> _Wire:
        if isinstance(message, GetSnapshot):
            return self._pictures
        return min(self._others, key=lambda wire: wire.asked_for)

    def silence(self) -> str | None:
        """See ``Client.silence``. Nothing is known of another process."""
        return None

    def apart(self, timeout: float) -> SocketClient:
        """See ``Client.apart``: connections of its own."""
        return SocketClient(self._path, timeout=timeout, read_only=self._read_only)

    async def close(self) -> None:
        """See ``Client.close``."""
        for wire in (self._pictures, *self._others):
            wire.hang_up()


class _Wire:
    """One connection, on which one request waits for its reply at a time. ``asked_for`` says how many
    requests have it or wait for it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.asked_for = 0

    async def ask(self, request: bytes, timeout: float) -> bytes:
        """The reply to a request, within ``timeout`` of its turn. Whatever ends it early ends the
        connection too: the late reply must not be taken for the next one's."""
        self.asked_for += 1
        try:
            async with self._turn:
                try:
                    async with asyncio.timeout(timeout):
                        return await self._exchange(request)
                except BaseException:
                    self.hang_up()
                    raise
        finally:
            self.asked_for -= 1

    async def _exchange(self, request: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self._path, limit=_MAX_REPLY)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the connection was closed")
        return line

    def hang_up(self) -> None:
        """Let go of the connection: a reply that is still to come is nobody's."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


class _Failure(msgspec.Struct):
    code: str
    message: str
    advice: str = ""
    retry_after: float | None = None


class _Envelope(msgspec.Struct):
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Failure | None = None
