"""What a view or a program talks to, whether the runtime is in this process or behind the socket."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec

from event_monitor.errors import NoBus, ReadOnly, error_from_code
from event_monitor.messages import Message
from event_monitor.messages.catalogue import COMMANDS, REPLY_OF

_MAX_REPLY = 64 * 1024 * 1024
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

    async def close(self) -> None:
        """Let go of the connection. Safe to call twice."""


def refuse_command(message: Message, read_only: bool) -> None:
    """Raise ``ReadOnly`` for a message that changes something, from a view that may not."""
    if read_only and isinstance(message, COMMANDS):
        raise ReadOnly("this view is read-only", "start event-monitor without --read-only")


class SocketClient:
    """The client for a runtime in another process. Connects when asked and again after a loss."""

    def __init__(self, path: str, *, timeout: float = 10.0, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, message: Message) -> Any:
        """See ``Client.request``. Raises ``NoBus`` also when no answer comes in time or none that can
        be understood, and ``ReadOnly`` for a command from a read-only view."""
        refuse_command(message, self._read_only)
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout):
                    line = await self._exchange(msgspec.json.encode(message) + b"\n")
            except (OSError, ValueError, TimeoutError) as error:
                self._hang_up()
                raise NoBus(f"no answer on {self._path}: {str(error) or 'timed out'}", _ADVICE) from error
            except BaseException:
                self._hang_up()
                raise
        try:
            envelope = msgspec.json.decode(line, type=_Envelope)
            if envelope.error is not None:
                failure = envelope.error
                raise error_from_code(failure.code, failure.message, failure.advice, failure.retry_after)
            return msgspec.json.decode(envelope.result, type=REPLY_OF[type(message)])
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._hang_up()
            raise NoBus(
                f"the answer on {self._path} cannot be understood: {error}",
                "use the same version of event-monitor at both ends",
            ) from error

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

    def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    def silence(self) -> str | None:
        """See ``Client.silence``. Nothing is known of another process."""
        return None

    async def close(self) -> None:
        """See ``Client.close``."""
        self._hang_up()


class _Failure(msgspec.Struct):
    code: str
    message: str
    advice: str = ""
    retry_after: float | None = None


class _Envelope(msgspec.Struct):
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Failure | None = None
