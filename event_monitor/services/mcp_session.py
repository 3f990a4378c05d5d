"""One conversation with an MCP server, over any transport and in either era of the protocol.

Since 2026-07-28 there is no handshake: ``server/discover`` tells who is there, every request says
who asks, and ``ping`` is gone. Before, ``initialize`` comes first and ``ping`` is the sign of life.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from event_monitor import __version__
from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.mcp_wire import METHOD_NOT_FOUND, RpcError

MODERN = "2026-07-28"
HANDSHAKE = "2025-11-25"
DISCOVER_LIMIT = 10.0
_CALLERS_FAULT = (-32_600, METHOD_NOT_FOUND, -32_602)
_CLIENT = {"name": "event-monitor", "version": __version__}
_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": _CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Transport(Protocol):
    """What carries requests. Raises ``RpcError`` and ``ServiceDown``."""

    async def request(self, method: str, params: dict[str, Any] | None = None) -> Any: ...

    async def notify(self, method: str, params: dict[str, Any] | None = None) -> None: ...


class McpSession:
    """``version`` is the protocol that both speak, ``None`` until ``open`` has returned."""

    def __init__(self, transport: Transport) -> None:
        self.version: str | None = None
        self.server = ""
        self._transport = transport

    @property
    def is_modern(self) -> bool:
        """Whether there was no handshake."""
        return self.version == MODERN

    async def open(self) -> None:
        """Find out what the server speaks, and shake hands if it must be. Raises ``ServiceError``."""
        if await self._discover():
            return
        try:
            await self._initialize()
        except RpcError:
            # A server that was too slow for the first question may be one that shakes no hands.
            if not await self._discover():
                raise

    async def ping(self) -> None:
        """Returns if the server answers. That it does not know the question is an answer too."""
        try:
            if self.is_modern:
                await self._transport.request("server/discover", {"_meta": _META})
            else:
                await self._transport.request("ping")
        except RpcError as error:
            if error.code != METHOD_NOT_FOUND:
                raise

    async def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        """The result of a tool, or of a method if ``operation`` has a slash in it (``tools/list``).
        A result with ``isError`` is the tool's word and returned like any other. Raises
        ``CallerError`` for a tool, method or argument that the server does not take."""
        if "/" in operation:
            method, params = operation, dict(arguments)
        else:
            method, params = "tools/call", {"name": operation, "arguments": arguments}
        if self.is_modern:
            given = params.get("_meta")
            params["_meta"] = {**(given if isinstance(given, dict) else {}), **_META}
        try:
            return await self._transport.request(method, params)
        except RpcError as error:
            if error.code in _CALLERS_FAULT:
                raise CallerError(f"{operation}: {error}") from error
            raise
        except TypeError as error:
            raise CallerError(f"{operation}: the arguments are not JSON: {error}") from error

    async def _discover(self) -> bool:
        try:
            async with asyncio.timeout(DISCOVER_LIMIT):
                found = await self._transport.request("server/discover", {"_meta": _META})
        except (RpcError, TimeoutError):
            return False
        if not isinstance(found, dict) or MODERN not in (found.get("supportedVersions") or ()):
            return False
        meta = found.get("_meta")
        named = meta.get("io.modelcontextprotocol/serverInfo") if isinstance(meta, dict) else None
        self.version, self.server = MODERN, _named(found.get("serverInfo") or named)
        return True

    async def _initialize(self) -> None:
        params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": _CLIENT}
        answer = await self._transport.request("initialize", params)
        if not isinstance(answer, dict) or not isinstance(answer.get("protocolVersion"), str):
            raise ServiceError("its answer to initialize names no protocol version")
        await self._transport.notify("notifications/initialized")
        self.version, self.server = answer["protocolVersion"], _named(answer.get("serverInfo"))


def _named(info: Any) -> str:
    if not isinstance(info, dict):
        return ""
    text = f"{info.get('name', '')} {info.get('version', '')}".strip()
    return "".join(char for char in text if char.isprintable())[:200]
