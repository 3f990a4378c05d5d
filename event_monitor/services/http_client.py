"""One HTTP exchange with nothing but the standard library: blocking, so it runs in a thread.

Each client has threads of its own: one that hangs holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from event_monitor.resilience.timeouts import remaining
from event_monitor.services.base import ServiceDown

LIMIT = 30.0
MAX_BODY = 16 * 1_048_576
AT_ONCE = 10
# Probes, and threads whose caller has gone while they still try to connect.
_FURTHER_THREADS = 8


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. The names of ``headers`` are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Makes requests to one address, each over a connection of its own, ``at_once`` calls at a time
    and probes beside them. A caller that is cancelled closes its connection, so that no thread waits
    on."""

    def __init__(self, url: str, headers: Mapping[str, str], at_once: int = AT_ONCE) -> None:
        """Raises ``ValueError`` for a URL that is not http or https with a host."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http or https URL with a host")
        if any(char <= " " or char == "\x7f" for char in url) or not url.isascii():
            raise ValueError("the URL holds a space, a control character or one that is not ASCII")
        _ = parts.port
        self._parts = parts
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = dict(headers)
        self._tls: ssl.SSLContext | None = None
        self._at_once = at_once
        self._threads: ThreadPoolExecutor | None = None

    @property
    def address(self) -> str:
        """Where requests go, without a password or query that the URL may hold."""
        parts = self._parts
        port = f":{parts.port}" if parts.port else ""
        return SplitResult(parts.scheme, f"{parts.hostname}{port}", parts.path, "", "").geturl()

    async def request(
        self,
        method: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        until: Callable[[bytearray], bool] | None = None,
    ) -> Reply:
        """The answer, read until its end or until ``until`` says of what has come that it is
        enough. Raises ``ServiceDown`` if there is none within the caller's deadline, at most 30 s."""
        loop = asyncio.get_running_loop()
        seconds = max(0.001, min(LIMIT, remaining(loop.time())))
        connection = self._connect(seconds)
        sent = {**self._headers, **(headers or {})}
        work = loop.run_in_executor(self._pool(), self._exchange, connection, method, body, sent, until)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            _hang_up(connection)
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    def close(self) -> None:
        """Let the threads go. A later request starts new ones."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            name = f"http-{self._parts.hostname}"
            self._threads = ThreadPoolExecutor(self._at_once + _FURTHER_THREADS, thread_name_prefix=name)
        return self._threads

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=seconds)
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=self._tls)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        body: bytes | None,
        headers: Mapping[str, str],
        until: Callable[[bytearray], bool] | None,
    ) -> Reply:
        with _as_down(self.address), closing(connection):
            connection.request(method, self._path, body=body, headers=dict(headers))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            received = bytearray()
            while until is None or not until(received):
                piece = response.read1(65_536)
                if not piece:
                    # ``read1`` does not tell an answer that was cut short from one that has ended.
                    if response.length:
                        raise ServiceDown(f"{self.address}: its answer was cut short")
                    break
                received += piece
                if len(received) > MAX_BODY:
                    raise ServiceDown(f"{self.address}: its answer is over {MAX_BODY} bytes")
            return Reply(response.status, names, bytes(received))


@contextmanager
def _as_down(address: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ServiceDown(f"{address}: no answer in time") from error
    except OSError as error:
        raise ServiceDown(f"{address}: {error.strerror or error}") from error
    except (http.client.HTTPException, ValueError, AttributeError) as error:
        # AttributeError: http.client's own, when the connection is closed under a waiting thread.
        raise ServiceDown(f"{address}: not an HTTP answer ({type(error).__name__})") from error


def _hang_up(connection: http.client.HTTPConnection) -> None:
    sock = connection.sock
    if isinstance(sock, socket.socket):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
