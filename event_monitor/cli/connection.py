"""A blocking connection to the control socket: requests in order, or one stream of events."""

from __future__ import annotations

import select
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from event_monitor.cli.wire import MAX_FRAME_BYTES
from event_monitor.errors import InvalidRequest, NoBus, error_from_code
from event_monitor.messages import Message
from event_monitor.messages.catalogue import REPLY_OF
from event_monitor.paths import HomePaths

# A query over a long history may take a while; a bus that is silent for longer is not well.
REPLY_SECONDS = 30.0

_encoder = msgspec.json.Encoder()


class _Failure(msgspec.Struct):
    code: str
    message: str
    advice: str = ""
    retry_after: float | None = None


class _Answer(msgspec.Struct):
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Failure | None = None


class Item(msgspec.Struct):
    """One line of a stream: an event as its JSON text, or a number of events that were skipped."""

    event: msgspec.Raw = msgspec.Raw(b"")
    gap: int = 0


_answer_decoder = msgspec.json.Decoder(_Answer)
_item_decoder = msgspec.json.Decoder(Item)


def no_bus(home: str) -> NoBus:
    """The error for a home whose bus cannot be reached."""
    return NoBus(f"no bus is running for {home}", "start event-monitor, or event-monitor --headless")


def silent_bus(home: str) -> NoBus:
    """The error for a home whose bus is there and does not answer."""
    return NoBus(f"the bus of {home} does not answer", "look into its log, and restart it if it hangs")


class Connection:
    """One connection. ``seconds`` is how long a reply may take. Use it in a ``with`` statement."""

    def __init__(
        self, paths: HomePaths, seconds: float = REPLY_SECONDS, *, connected: socket.socket | None = None
    ) -> None:
        """Connect, or take over a socket that is ``connected``. Raises ``NoBus``."""
        self._home = paths.home
        self._waiting: deque[type[Message]] = deque()
        self._received = bytearray()
        self._lines: deque[bytes] = deque()
        self._socket = connected or socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if connected is not None:
            connected.settimeout(seconds)
            return
        try:
            self._socket.settimeout(seconds)
            self._socket.connect(paths.socket)
        except (TimeoutError, BlockingIOError):
            self._socket.close()
            raise silent_bus(paths.home) from None
        except OSError:
            self._socket.close()
            raise no_bus(paths.home) from None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection. Safe to call twice."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor to wait on, together with others, for more of a stream."""
        return self._socket.fileno()

    def request(self, message: Message) -> Any:
        """Send a message and return its reply.

        Raises the error that the bus answered with, or ``NoBus`` when the connection is gone."""
        self.send(message)
        return self.receive()

    def send(self, message: Message) -> None:
        """Send a message without waiting for its reply. Raises ``InvalidRequest`` for one that does
        not fit into a frame, ``NoBus`` when the connection is gone."""
        frame = _encoder.encode(message) + b"\n"
        if len(frame) > MAX_FRAME_BYTES:
            raise InvalidRequest("the request is larger than 1 MiB", "send less at once")
        self._waiting.append(type(message))
        try:
            self._socket.sendall(frame)
        except TimeoutError:
            raise silent_bus(self._home) from None
        except OSError:
            raise no_bus(self._home) from None

    def receive(self) -> Any:
        """The reply to the oldest message whose reply was not yet received."""
        kind = self._waiting.popleft()
        answer = self._decode(_answer_decoder, self._line())
        if answer.error is not None or not answer.ok:
            failure = answer.error or _Failure("failed", "the bus refused without a reason")
            raise error_from_code(failure.code, failure.message, failure.advice, failure.retry_after)
        return self._decode(msgspec.json.Decoder(REPLY_OF[kind]), bytes(answer.result))

    def finish(self) -> None:
        """Read the replies that are still to come."""
        while self._waiting:
            self.receive()

    def open_stream(self, message: Message) -> None:
        """Send a subscription that turns the connection into a stream; ``items`` reads it."""
        self.send(message)
        self._waiting.clear()
        answer = self._decode(_answer_decoder, self._line())
        if answer.error is not None:
            raise error_from_code(answer.error.code, answer.error.message, answer.error.advice)
        self._socket.settimeout(None)

    def items(self, watched: int | None = None) -> Iterator[Item]:
        """The stream until the bus ends it (``NoBus``), or until nobody reads the pipe ``watched``."""
        while True:
            while self._lines:
                yield self._decode(_item_decoder, self._lines.popleft())
            if watched is not None and not self._readable_before_closed(watched):
                return
            self._fill()

    def _readable_before_closed(self, watched: int) -> bool:
        """Wait for data; ``False`` if the reader of ``watched`` goes first."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(watched, 0)
        ready = dict(poll.poll())
        return watched not in ready

    def _line(self) -> bytes:
        while not self._lines:
            self._fill()
        return self._lines.popleft()

    def _fill(self) -> None:
        try:
            chunk = self._socket.recv(262_144)
        except TimeoutError:
            raise silent_bus(self._home) from None
        except OSError:
            chunk = b""
        if not chunk:
            raise no_bus(self._home)
        self._received += chunk
        *lines, rest = self._received.split(b"\n") if b"\n" in chunk else (self._received,)
        self._lines.extend(map(bytes, lines))
        self._received = rest

    def _decode(self, decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
        try:
            return decoder.decode(line)
        except (msgspec.DecodeError, UnicodeError):
            raise NoBus(
                "what answers on the socket does not speak this protocol",
                "install the same version of event-monitor and event-cli",
            ) from None
