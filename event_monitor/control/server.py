"""The control socket's server: one JSON object a line in, one line out, in order.

A reply is ``{"ok":true,"result":...}`` or ``{"ok":false,"error":{"code","message","advice"}}``.
A stream answers ``{"ok":true,"result":{"stream":true}}`` and then one line an item, until either
side ends the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from event_monitor.bus.streams import EventStream
from event_monitor.bus.turns import publisher
from event_monitor.config import SocketSettings
from event_monitor.control.framing import Frames
from event_monitor.control.peer import peer_uid
from event_monitor.errors import AlreadyRunning, Busy, EventMonitorError, InvalidRequest
from event_monitor.messages import GetSnapshot
from event_monitor.messages.catalogue import AnyMessage

logger = logging.getLogger(__name__)

Handle = Callable[[Any], Awaitable[Any]]

# A Unix socket refuses at once whom its queue has no place for: a burst must fit into it.
_BACKLOG = 1_024
# asyncio accepts so many at a time, and when descriptors have run out fails as often, each time to the log.
_AT_ONCE = 16
_READ_AHEAD = 64
_HIGH_WATER = 262_144
# A deadline that is met so much later says that this process did not run, not that a client is slow.
_LATE = 0.5
_decode = msgspec.json.Decoder(AnyMessage).decode
_encode = msgspec.json.Encoder().encode


class ControlServer:
    """Listens on a Unix socket and passes every message to ``handle``."""

    def __init__(self, path: str, handle: Handle, settings: SocketSettings) -> None:
        self.path = Path(path)
        self.handle = handle
        self.settings = settings
        self.connections: dict[Connection, None] = {}
        self._server: asyncio.Server | None = None
        self._bound: tuple[int, int] | None = None

    async def start(self) -> None:
        """Bind and listen. A dead owner's socket at that path is replaced; a live one, and anything
        that is no socket, is left alone and ``AlreadyRunning`` raised."""
        directory = self.path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_directory(directory)
        temporary = f"{self.path}~"
        for path in (str(self.path), temporary):
            _check_replaceable(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            listener.bind(temporary)
            os.chmod(temporary, 0o600)
            listener.listen(_BACKLOG)
            self._bound = _identity(temporary)
            os.replace(temporary, self.path)
            listener.setblocking(False)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(
                lambda: Connection(self), sock=listener, backlog=_AT_ONCE
            )
            # asyncio has set the queue to its own number.
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise

    async def stop(self) -> None:
        """Refuse new connections, end the open ones, remove the socket unless another is in its place."""
        if self._server is not None:
            with contextlib.suppress(FileNotFoundError):
                if _identity(self.path) == self._bound:
                    os.unlink(self.path)
            self._server.close()
            self._server = None
        tasks = [connection.end() for connection in list(self.connections)]
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)

    def admit(self, connection: Connection) -> bool:
        """Whether a new connection finds a place; one that never sent a request makes way."""
        if len(self.connections) >= self.settings.max_connections:
            silent = next((other for other in self.connections if not other.served), None)
            if silent is None:
                return False
            silent.drop("it sent no request and its place was needed")
        self.connections[connection] = None
        return True


def _check_replaceable(path: str) -> None:
    """Nothing is at ``path``, or a socket that nobody listens on."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise AlreadyRunning(f"{path} is not a socket", "move it away, then start again")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        # A listener whose queue is full must not hold the start up; it lives too.
        visitor.setblocking(False)
        try:
            visitor.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            pass
    raise AlreadyRunning(
        f"another process listens on {path}", "end it, or choose another home with EVENT_MONITOR_HOME"
    )


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _check_directory(directory: Path) -> None:
    """The directory keeps others out: it is ours, and so is a link that leads to it."""
    found = directory.stat()
    if {found.st_uid, directory.lstat().st_uid} != {os.getuid()}:
        raise AlreadyRunning(
            f"{directory} belongs to another user", "choose another home with EVENT_MONITOR_HOME"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        directory.chmod(0o700)


class Connection(asyncio.Protocol):
    """One client. Its requests are answered one after the other."""

    def __init__(self, server: ControlServer) -> None:
        self.served = False
        self.viewing = False
        self._server = server
        self._settings = server.settings
        self._frames = Frames(server.settings.max_frame_bytes)
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._deadline: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._stream: EventStream | None = None
        self._refusing = False
        self._finished = False

    # --- what asyncio calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection = transport.get_extra_info("socket")
        try:
            uid = peer_uid(connection)
        except OSError as error:
            logger.warning("a peer could not be identified: %s", error)
            transport.abort()
            return
        if uid != os.getuid():
            logger.warning("a connection of user %d was refused", uid)
            transport.abort()
            return
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        if not self._server.admit(self):
            self._refuse(Busy("too many connections", "close some, then try again"))
            return
        self._expect_frame()
        self._task = asyncio.create_task(self._serve(), name="control-connection")

    def data_received(self, data: bytes) -> None:
        if self._refusing:
            return
        try:
            completed = self._frames.feed(data)
        except InvalidRequest as error:
            self._refuse(error)
            return
        if completed or (self._frames.begun and self._deadline is None):
            self._expect_frame()
        if completed:
            self._arrived.set()
        if self._frames.waiting > _READ_AHEAD and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has nothing more to ask; what it asked is still answered, a stream ends."""
        if self._task is None:
            return False
        self._finished = True
        if self._stream is not None:
            self._stream.close()
        self._arrived.set()
        return True

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.pop(self, None)
        self._cancel_deadline()
        self._writable.set()
        if self._stream is not None:
            self._stream.close()
        if self._task is not None:
            self._task.cancel()

    # --- serving ----------------------------------------------------------------------------

    async def _serve(self) -> None:
        publisher.set(f"connection {id(self)}")
        while True:
            while self._frames.waiting:
                line = self._frames.take()
                if self._frames.waiting == _READ_AHEAD // 2 and self._transport is not None:
                    self._transport.resume_reading()
                await self._answer(line)
                # Most requests are answered without a wait: a long row of them must let others in.
                await asyncio.sleep(0)
            if self._finished and self._transport is not None:
                self._transport.close()
            if self._finished or self._refusing:
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def _answer(self, line: bytes) -> None:
        self.served = True
        try:
            message = _parse(line)
            self.viewing = self.viewing or isinstance(message, GetSnapshot)
            reply = await self._server.handle(message)
        except EventMonitorError as error:
            self._send_error(error)
        except Exception:
            logger.exception("a request failed")
            self._send_error(EventMonitorError("internal error", "see the monitor's log for details"))
        else:
            if isinstance(reply, EventStream):
                await self._pump(reply)
            else:
                self._send(b'{"ok":true,"result":' + _encode(reply) + b"}\n")

    async def _pump(self, stream: EventStream) -> None:
        self._stream = stream
        if self._finished:
            stream.close()
        self._cancel_deadline()
        self._send(b'{"ok":true,"result":{"stream":true}}\n')
        try:
            async for item in stream:
                self._send(_encode(item) + b"\n")
                await self._writable.wait()
        finally:
            stream.close()
            self._stream = None

    def _send(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > self._settings.max_unread_bytes:
            self.drop("it does not read its replies")
            return
        transport.write(data)

    def _send_error(self, error: EventMonitorError) -> None:
        body: dict[str, Any] = {"code": error.code, "message": error.message, "advice": error.advice}
        if error.retry_after is not None:
            body["retry_after"] = error.retry_after
        self._send(b'{"ok":false,"error":' + _encode(body) + b"}\n")

    # --- ending -----------------------------------------------------------------------------

    def _refuse(self, error: EventMonitorError) -> None:
        """Answer with an error and end; nothing that follows is looked at."""
        self._refusing = True
        self._frames.clear()
        self._send_error(error)
        if self._transport is not None:
            self._transport.close()

    def drop(self, why: str) -> None:
        """End the connection at once."""
        logger.info("a connection was dropped: %s", why)
        self._server.connections.pop(self, None)
        if self._transport is not None:
            self._transport.abort()

    def end(self) -> asyncio.Task[None] | None:
        """Close after what was written has gone out; answers the task to wait for."""
        if self._stream is not None:
            self._stream.close()
        elif self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.close()
        return self._task

    def _expect_frame(self) -> None:
        """A begun frame, and the first one, must be complete within the limit."""
        self._cancel_deadline()
        if self._frames.begun or not (self.served or self._frames.waiting):
            loop = asyncio.get_running_loop()
            due = loop.time() + self._settings.half_frame_timeout
            self._deadline = loop.call_at(due, self._overdue, due)

    def _overdue(self, due: float) -> None:
        """End a connection that was slow; where this process stood still, read first what waits."""
        if asyncio.get_running_loop().time() > due + _LATE:
            self._expect_frame()
        else:
            self.drop("its request did not arrive in time")

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _parse(line: bytes) -> Any:
    try:
        return _decode(line)
    except RecursionError:
        raise InvalidRequest("the request is nested too deeply", "send a flat JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"the request cannot be understood: {error}", 'send one JSON object a line, with a known "do"'
        ) from None
