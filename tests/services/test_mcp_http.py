"""MCP over streamable HTTP: answers as JSON and as events, sessions that end, and who needs to say a name."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from event_monitor.resilience.health import CheckKind
from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.mcp_http import McpHttpService, SessionEnded

NO_SESSION = b'{"jsonrpc":"2.0","error":{"code":-32000,"message":"no session"},"id":null}'


class Server(http.server.ThreadingHTTPServer):
    """What the handler does, set by a test."""

    era = "handshake"
    streams = False
    status = 0
    forgotten = 404
    sessions: set[str]
    seen: list[tuple[str, str | None, str | None]]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_DELETE(self) -> None:
        self.server.sessions.discard(self.headers["Mcp-Session-Id"])
        self.answer(200, b"")

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, session = message["method"], self.headers.get("Mcp-Session-Id")
        self.server.seen.append((method, self.headers.get("MCP-Protocol-Version"), session))
        modern = self.server.era == "modern"
        if self.server.status:
            self.answer(self.server.status, b"")
        elif "id" not in message:
            self.answer(202, b"")
        elif method == "server/discover" and modern:
            self.say(message["id"], {"supportedVersions": ["2026-07-28"], "serverInfo": {"name": "stub"}})
        elif method == "initialize" and not modern:
            session = f"s{len(self.server.seen)}"
            self.server.sessions.add(session)
            self.say(
                message["id"], {"protocolVersion": "2025-11-25", "serverInfo": {"name": "stub"}}, session
            )
        elif not modern and session is None:
            self.answer(400, NO_SESSION)
        elif not modern and session not in self.server.sessions:
            self.answer(self.server.forgotten, NO_SESSION)
        elif method == "tools/call":
            assert not modern or self.headers["Mcp-Name"] == message["params"]["name"]
            self.say(message["id"], {"content": [message["params"]["arguments"]], "isError": False})
        else:
            self.say(message["id"], {})

    def say(self, number: int, result: dict[str, Any], session: str | None = None) -> None:
        text = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
        if self.server.streams:
            noise = (
                b': hello\r\n\r\nevent: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\r\n\r\n'
            )
            self.answer(200, noise + b"data: " + text + b"\r\n\r\n", "text/event-stream", session)
            self.wfile.flush()
            self.server.released.wait(20)  # type: ignore[attr-defined]
        else:
            self.answer(200, text, "application/json", session)

    def answer(
        self, status: int, body: bytes, kind: str = "application/json", session: str | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if kind == "application/json":
            self.send_header("Content-Length", str(len(body)))
        if session:
            self.send_header("Mcp-Session-Id", session)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.sessions, server.seen = set(), []
        server.released = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def service_of(server: Server) -> McpHttpService:
    return McpHttpService("web", f"http://127.0.0.1:{server.server_port}/mcp")


async def check(service: McpHttpService) -> None:
    await service.probes()[CheckKind.READINESS]()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("era", "version"), [("handshake", "2025-11-25"), ("modern", "2026-07-28")])
async def test_both_eras_and_both_kinds_of_answer(
    server: Server, era: str, version: str, streams: bool
) -> None:
    server.era, server.streams = era, streams
    service = service_of(server)
    await check(service)
    assert (await service.call("echo", text="a"))["content"] == [{"text": "a"}]
    said = service.describe()
    assert (said["protocol"], said["server"]) == (version, "stub")
    assert server.seen[-1][1] == version
    await service.stop()
    assert server.sessions == set()


@pytest.mark.parametrize("status", [404, 400])
async def test_a_forgotten_session_is_opened_again_by_the_next_check(server: Server, status: int) -> None:
    server.forgotten = status
    service = service_of(server)
    await check(service)
    server.sessions.clear()
    with pytest.raises(SessionEnded):
        await service.call("echo")
    await check(service)
    await service.call("echo")
    server.sessions.clear()
    await check(service)
    assert len(server.sessions) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_one_that_asks_for_a_name_is_alive(server: Server, status: int) -> None:
    server.status = status
    service = service_of(server)
    await check(service)
    assert service.describe()["note"] == "needs auth"
    with pytest.raises(CallerError, match="needs authorisation"):
        await service.call("echo")
    server.status = 0
    await check(service)
    assert service.describe()["note"] == ""


@pytest.mark.parametrize("status", [500, 429, 418])
async def test_one_that_refuses_everything_is_not(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(ServiceError, match=str(status)):
        await check(service_of(server))
