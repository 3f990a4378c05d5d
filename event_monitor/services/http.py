"""A service that is reached over HTTP: any answer below 500 is a sign of life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.http_client import AT_ONCE, HttpClient, Reply

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NEEDS_AUTH = (401, 403)


class HttpService:
    """Checks its URL with GET. 401 and 403 mean alive, and that it wants to know who asks."""

    def __init__(
        self, name: str, url: str, headers: Mapping[str, str] | None = None, at_once: int = AT_ONCE
    ) -> None:
        """Raises ``ValueError`` for a URL that cannot be asked."""
        self.name = name
        self._client = HttpClient(url, headers or {}, at_once)
        self._last: int | None = None

    async def start(self) -> None:
        """There is nothing to start."""

    async def stop(self) -> None:
        """Each request closes its connection; only threads are left."""
        self._client.close()

    async def restart(self, reason: str) -> None:
        """Each request connects anew anyway."""

    def probes(self) -> Mapping[CheckKind, Probe]:
        return dict.fromkeys(CheckKind, self._check)

    async def call(self, operation: str, **arguments: Any) -> Any:
        """``operation`` is a method (``get``), ``arguments`` may hold ``body`` (text) and ``headers``.
        Answers ``status``, ``headers`` and ``body``."""
        method, body, headers = operation.upper(), arguments.pop("body", None), arguments.pop("headers", {})
        if method not in METHODS:
            raise CallerError(f"{operation!r} is not an HTTP method: choose {', '.join(METHODS)}")
        if arguments or not isinstance(body, str | None) or not _are_headers(headers):
            raise CallerError("an HTTP call takes body (text) and headers (text by text), nothing else")
        data = None if body is None else body.encode(errors="replace")
        reply = self._judged(await self._client.request(method, data, headers))
        if reply.status >= 400 and reply.status not in (*NEEDS_AUTH, 408, 429):
            raise CallerError(f"{self._client.address}: it answered {reply.status}")
        if reply.status >= 400:
            raise ServiceError(f"{self._client.address}: it answered {reply.status}")
        return {
            "status": reply.status,
            "headers": dict(reply.headers),
            "body": reply.body.decode(errors="replace"),
        }

    def describe(self) -> dict[str, Any]:
        return {
            "transport": "http",
            "address": self._client.address,
            "last_status": self._last,
            "note": "needs auth" if self._last in NEEDS_AUTH else "",
        }

    async def _check(self) -> None:
        # An answer may be long or never end: its head is enough.
        self._judged(await self._client.request("GET", until=lambda _: True))

    def _judged(self, reply: Reply) -> Reply:
        self._last = reply.status
        if reply.status >= 500:
            raise ServiceError(f"{self._client.address}: it answered {reply.status}")
        return reply


def _are_headers(headers: Any) -> bool:
    return isinstance(headers, dict) and all(
        isinstance(name, str) and isinstance(value, str) for name, value in headers.items()
    )
