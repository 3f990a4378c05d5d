"""An MCP server over streamable HTTP: somebody else runs it, we ask and call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from event_monitor.resilience.health import CheckKind, Probe, Undecided
from event_monitor.resilience.locks import TrackedLock
from event_monitor.services.base import CallerError, ServiceDown, ServiceError
from event_monitor.services.http_client import AT_ONCE, HttpClient, Reply
from event_monitor.services.mcp_session import MODERN, McpSession
from event_monitor.services.mcp_wire import RpcError, decode, encode, result_of

_ACCEPT = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}

_SESSION_CODES = (-32_000, -32_001)
_GOODBYE_LIMIT = 1.0


class NeedsAuth(CallerError):
    """The server is alive and wants to know who asks."""


class SessionEnded(ServiceDown):
    """The server does not know our session any more."""


class HttpTransport:
    """JSON-RPC, one POST a request; the answer is JSON or a stream of events. Raises ``RpcError``,
    ``NeedsAuth``, ``SessionEnded`` and ``ServiceError``."""

    def __init__(self, client: HttpClient) -> None:
        self.session_id: str | None = None
        self.version: str | None = None
        self._client = client
        self._next_id = 0

    async def request(self, method: str, params: dict[str, Any] | None = None) -> Any:
        self._next_id += 1
        number = self._next_id
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
        if params is not None:
            message["params"] = params
        reply = await self._client.request(
            "POST",
            encode(message),
            self._headers(method, params or {}),
            until=lambda received: received.endswith(b"\n") and _streamed(received, number) is not None,
        )
        self._check(reply)
        if "mcp-session-id" in reply.headers:
            self.session_id = reply.headers["mcp-session-id"]
        answer = _found(reply, number)
        if answer is None:
            raise ServiceError(f"{self._client.address}: its answer is no JSON-RPC message")
        outcome = result_of(answer)
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome

    async def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        self._check(await self._client.request("POST", encode(message), self._headers(method, params or {})))

    async def end(self) -> None:
        """Tell the server that the session is over, if there is one; it need not answer."""
        if self.session_id is not None:
            headers = self._headers("", {})
            self.session_id = None
            with contextlib.suppress(ServiceError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_LIMIT):
                    await self._client.request("DELETE", headers=headers, until=lambda _: True)

    def _headers(self, method: str, params: dict[str, Any]) -> dict[str, str]:
        headers = dict(_ACCEPT)
        version = self.version or (MODERN if method == "server/discover" else None)
        if version is not None:
            headers["MCP-Protocol-Version"] = version
        if self.session_id is not None:
            headers["Mcp-Session-Id"] = self.session_id
        if version == MODERN and method:
            headers["Mcp-Method"] = method
            name = params.get("name", params.get("uri"))
            if isinstance(name, str) and name.isascii() and name.isprintable():
                headers["Mcp-Name"] = name
        return headers

    def _check(self, reply: Reply) -> None:
        if reply.status < 400:
            return
        told = f"{self._client.address}: it answered {reply.status}"
        if reply.status in (401, 403):
            raise NeedsAuth(f"{told}: it needs authorisation (headers in its settings)")
        if reply.status >= 500 or reply.status in (408, 429):
            raise ServiceError(told)
        message = decode(reply.body)
        outcome = result_of(message) if message is not None and "error" in message else None
        error = outcome if isinstance(outcome, RpcError) else RpcError(reply.status, told)
        # The specification says 404; servers made after the SDK's example answer 400 with -32000.
        forgotten = reply.status == 404 or (reply.status == 400 and error.code in _SESSION_CODES)
        if forgotten and self.session_id is not None:
            self.session_id = None
            raise SessionEnded(f"{told}: the session has ended")
        raise error


class McpHttpService:
    """Alive and ready when it answers; 401 and 403 mean alive. The session is opened with the first
    question, and again when the server has forgotten it."""

    def __init__(
        self, name: str, url: str, headers: Mapping[str, str] | None = None, at_once: int = AT_ONCE
    ) -> None:
        """Raises ``ValueError`` for a URL that cannot be asked."""
        self.name = name
        self._client = HttpClient(url, headers or {}, at_once)
        self._transport = HttpTransport(self._client)
        self._session: McpSession | None = None
        self._opening = TrackedLock(f"session of {name}")
        self._calls = 0
        self._answered = 0
        self._seen: dict[CheckKind, int] = {}
        self._needs_auth = False

    async def start(self) -> None:
        """The first probe connects."""

    async def stop(self) -> None:
        self._session = None
        await self._transport.end()
        self._client.close()

    async def restart(self, reason: str) -> None:
        """The next question opens a new session."""
        await self.stop()

    def probes(self) -> Mapping[CheckKind, Probe]:
        return {kind: partial(self._check, kind) for kind in CheckKind}

    async def call(self, operation: str, **arguments: Any) -> Any:
        """A tool's result, or a method's if ``operation`` has a slash in it."""
        self._calls += 1
        try:
            result = await (await self._open()).call(operation, arguments)
            self._answered += 1
            return result
        except SessionEnded:
            self._session = None
            raise
        finally:
            self._calls -= 1

    def describe(self) -> dict[str, Any]:
        session = self._session
        return {
            "transport": "streamable http",
            "address": self._client.address,
            "protocol": session.version if session else None,
            "server": session.server if session else "",
            "note": "needs auth" if self._needs_auth else "",
        }

    async def _open(self) -> McpSession:
        async with self._opening:
            if self._session is None:
                self._transport = HttpTransport(self._client)
                session = McpSession(self._transport)
                await session.open()
                self._transport.version = session.version
                self._session = session
            return self._session

    async def _check(self, kind: CheckKind) -> None:
        if self._calls and self._session is not None:
            seen, self._seen[kind] = self._seen.get(kind), self._answered
            if self._answered == seen:
                raise Undecided("a call is under way, and none was answered since the last look")
            return
        try:
            await self._ask()
        except NeedsAuth:
            self._needs_auth = True
            return
        self._needs_auth = False

    async def _ask(self) -> None:
        fresh = self._session is None
        try:
            await (await self._open()).ping()
        except SessionEnded:
            self._session = None
            if fresh:
                raise
            await (await self._open()).ping()


def _found(reply: Reply, number: int) -> dict[str, Any] | None:
    if reply.headers.get("content-type", "").startswith("text/event-stream"):
        return _streamed(reply.body, number)
    message = decode(reply.body)
    return message if message is not None and message.get("id") == number else None


def _streamed(received: bytes | bytearray, number: int) -> dict[str, Any] | None:
    """The answer with this id among the events of a stream, if it has come."""
    for event in bytes(received).replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = (line for line in event.split(b"\n") if line.startswith(b"data:"))
        message = decode(b"\n".join(line[5:].removeprefix(b" ") for line in lines))
        if message is not None and message.get("id") == number and "method" not in message:
            return message
    return None
