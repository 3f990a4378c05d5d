"""JSON-RPC 2.0 as MCP speaks it: one message a line, requests matched to answers by id.

Whatever is no message is counted and passed over, as every real client does; an answer that comes
after its caller has gone is dropped by its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from event_monitor.services.base import ServiceDown, ServiceError

MAX_LINE = 16 * 1_048_576
METHOD_NOT_FOUND = -32_601

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class RpcError(ServiceError):
    """The server answered with an error: it is alive, and would not do this."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"error {code}: {message}")
        self.code = code


@dataclass(slots=True)
class WireCounters:
    """What passed. ``noise`` are lines that were no messages, ``late`` answers that nobody waited
    for any more, ``oversized`` lines over ``MAX_LINE`` bytes."""

    requests: int = 0
    answers: int = 0
    late: int = 0
    noise: int = 0
    oversized: int = 0
    notifications: int = 0


class Wire:
    """One connection. ``send`` takes a whole line; ``feed`` is given whatever arrives."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self.counters = WireCounters()
        self._send = send
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._closed: str | None = None
        self._buffer = bytearray()
        self._skipping = False
        self._replies: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """Requests without an answer."""
        return len(self._waiting)

    @property
    def is_open(self) -> bool:
        """Whether an answer may still come."""
        return self._closed is None

    async def request(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result. Sets no limit of its own: a caller that gives up is cancelled, the server is
        told with ``notifications/cancelled``, and its late answer is dropped. Raises ``RpcError`` for
        an error answer and ``ServiceDown`` when the connection ends."""
        self._check_open()
        self._next_id += 1
        number = self._next_id
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
        if params is not None:
            message["params"] = params
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self.counters.requests += 1
        try:
            await self._send(encode(message))
            return await answer
        except asyncio.CancelledError:
            self._tell_cancelled(number, method)
            raise
        finally:
            del self._waiting[number]
            if answer.done() and not answer.cancelled():
                answer.exception()

    async def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Send what expects no answer. Raises ``ServiceDown``."""
        self._check_open()
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        await self._send(encode(message))

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrive, in pieces of any size."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            piece = data[start:end]
            start = end + 1
            if self._skipping:
                self._skipping = False
            elif len(self._buffer) + len(piece) > MAX_LINE:
                self.counters.oversized += 1
            elif self._buffer:
                self._buffer += piece
                self._line(bytes(self._buffer))
            else:
                self._line(piece)
            self._buffer.clear()
        if self._skipping:
            return
        self._buffer += data[start:]
        if len(self._buffer) > MAX_LINE:
            self.counters.oversized += 1
            self._skipping = True
            self._buffer = bytearray()

    def close(self, reason: str) -> None:
        """The connection has ended: every caller hears so at once. Safe to call twice."""
        if self._closed is not None:
            return
        self._closed = reason
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ServiceDown(reason))

    def _check_open(self) -> None:
        if self._closed is not None:
            raise ServiceDown(self._closed)

    def _line(self, line: bytes) -> None:
        message = decode(line)
        if message is None:
            if line.strip():
                self.counters.noise += 1
        elif "method" in message:
            self._incoming(message)
        else:
            self._answer(message)

    def _answer(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        waiting = self._waiting.get(number) if type(number) is int else None
        if waiting is None or waiting.done():
            self.counters.late += 1
            return
        self.counters.answers += 1
        outcome = result_of(message)
        if isinstance(outcome, RpcError):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)

    def _incoming(self, message: dict[str, Any]) -> None:
        """The server's own requests get an answer, lest it waits for ever; we offer it nothing."""
        number = message.get("id")
        if number is None:
            self.counters.notifications += 1
        elif message["method"] == "ping":
            self._in_background(encode({"jsonrpc": "2.0", "id": number, "result": {}}))
        else:
            error = {"code": METHOD_NOT_FOUND, "message": "this client offers nothing"}
            self._in_background(encode({"jsonrpc": "2.0", "id": number, "error": error}))

    def _tell_cancelled(self, number: int, method: str) -> None:
        if self._closed is None and method != "initialize":
            params = {"requestId": number, "reason": "the time limit was reached"}
            self._in_background(
                encode({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
            )

    def _in_background(self, line: bytes) -> None:
        # A server that asks without ever reading its answers gets no more than a few.
        if len(self._replies) < 16:
            task = asyncio.create_task(self._quietly(line), name="mcp-reply")
            self._replies.add(task)
            task.add_done_callback(self._replies.discard)

    async def _quietly(self, line: bytes) -> None:
        try:
            await self._send(line)
        except ServiceError as error:
            self.close(str(error))


def encode(message: dict[str, Any]) -> bytes:
    """One line. Raises ``TypeError`` for what JSON cannot say."""
    return _encode(message) + b"\n"


def decode(text: bytes) -> dict[str, Any] | None:
    """A JSON-RPC message, or ``None`` if the text is none."""
    try:
        message = _decode(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return None
    is_call = isinstance(message.get("method"), str)
    return message if is_call or "result" in message or "error" in message else None


def result_of(message: dict[str, Any]) -> Any:
    """An answer's result, or the ``RpcError`` that it says."""
    if "result" in message:
        return message["result"]
    error = message.get("error")
    if not isinstance(error, dict):
        return RpcError(0, str(error)[:200])
    code = error.get("code")
    return RpcError(code if isinstance(code, int) else 0, str(error.get("message", ""))[:500])
