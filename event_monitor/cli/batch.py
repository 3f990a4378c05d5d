"""``event-cli publish - --batch``: one JSON event a line on stdin, many lines in flight.

Every line is sent with an idempotency key, made here for a line that has none, for the same reason as
in ``publish``: lines whose reply did not come before the connection ended go to the spool with the
same keys, and those that the bus did accept are recognised there.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from event_monitor import spooling
from event_monitor.cli import stdio
from event_monitor.cli.connection import Connection
from event_monitor.cli.output import exit_status, report
from event_monitor.cli.publish import causing_event
from event_monitor.cli.spooled import check
from event_monitor.errors import BusClosed, EventMonitorError, InvalidEvent, NoBus
from event_monitor.grammar.decode import publish_from_line
from event_monitor.messages import PublishLines
from event_monitor.paths import HomePaths
from event_monitor.replies import PublishedLines

# A frame's bytes before its lines are quoted again, which can double them.
FRAME_BYTES = 262_144
FRAME_LINES = 500
MAX_IN_FLIGHT = 4
MAX_LINE_BYTES = 500_000

_NOT_AN_EVENT = 'a line is a JSON object such as {"event_type": "a.b", "payload": {}}'


class _Keyed(msgspec.Struct):
    """What must be known of a line before it is sent."""

    key: str | None = None
    causation_id: int | None = None


class Summary(msgspec.Struct, kw_only=True):
    """What became of the lines."""

    accepted: int = 0
    duplicates: int = 0
    spooled: int = 0
    refused: int = 0
    first_id: int | None = None
    last_id: int | None = None


class _Frame(msgspec.Struct):
    """Lines on their way, with their 1-based numbers."""

    lines: list[str]
    numbers: list[int]
    size: int = 0


_keyed_decoder = msgspec.json.Decoder(_Keyed)


class Batch:
    """Publishes lines. ``source`` fills in where a line names none; ``progress`` is called with the
    summary so far after each frame."""

    def __init__(
        self, paths: HomePaths, source: str | None = None, progress: Callable[[Summary], None] | None = None
    ) -> None:
        self.summary = Summary()
        self._paths = paths
        self._source = source
        self._progress = progress
        self._status = 0
        self._cause = causing_event()
        self._prefix = os.urandom(8).hex()
        self._connection: Connection | None = None
        self._in_flight: deque[_Frame] = deque()
        self._number = 0

    def run(self, bursts: Iterable[Sequence[bytes]]) -> int:
        """Publish all lines and return the exit status: 2 if one was no event, else 1 if one was
        refused for another reason. Each of them is reported with its number; the others are published.
        A burst is sent when it ends; an empty one says that no other is at hand, and is the time to
        hear what became of those before.

        Raises ``OSError`` if stdin cannot be read or the spool cannot be written.
        """
        with contextlib.suppress(NoBus):
            self._connection = Connection(self._paths)
        try:
            for burst in bursts:
                for frame in self._frames(burst):
                    self._send(frame)
                if not burst:
                    self._settle(0)
            self._settle(0)
        finally:
            if self._connection is not None:
                self._connection.close()
        return self._status

    def _frames(self, lines: Sequence[bytes]) -> Iterator[_Frame]:
        frame = _Frame([], [])
        for line in lines:
            self._number += 1
            text = self._prepare(line, self._number)
            if text is None:
                continue
            if frame.lines and (frame.size + len(line) > FRAME_BYTES or len(frame.lines) >= FRAME_LINES):
                yield frame
                frame = _Frame([], [])
            frame.lines.append(text)
            frame.numbers.append(self._number)
            frame.size += len(line)
        if frame.lines:
            yield frame

    def _prepare(self, line: bytes, number: int) -> str | None:
        """The line as it is sent, with a key; ``None`` for a blank line or one that cannot be sent."""
        line = line.strip()
        if not line:
            return None
        if len(line) > MAX_LINE_BYTES:
            self._refuse(number, InvalidEvent(f"longer than {MAX_LINE_BYTES:,} bytes"))
            return None
        try:
            keyed = _keyed_decoder.decode(line)
            text = line.decode()
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._refuse(number, InvalidEvent(f"not an event: {error}", _NOT_AN_EVENT))
            return None
        members = [] if keyed.key is not None else [f'"key":"batch:{self._prefix}:{number}"']
        if keyed.causation_id is None and self._cause:
            members.append(f'"causation_id":{int(self._cause)}')
        return _with_members(text, members)

    def _send(self, frame: _Frame) -> None:
        if self._connection is None:
            self._spool(frame)
            return
        self._in_flight.append(frame)
        try:
            self._connection.send(PublishLines(lines=frame.lines, source=self._source))
        except NoBus:
            # Replies that came before the connection ended can still be read.
            self._settle(0)
            return
        self._settle(MAX_IN_FLIGHT - 1)

    def _settle(self, left: int) -> None:
        """Wait for replies until at most ``left`` frames are on their way."""
        while self._connection is not None and len(self._in_flight) > left:
            try:
                reply = self._connection.receive()
            except (NoBus, BusClosed):
                self._lose_connection()
                return
            except EventMonitorError as error:
                for number in self._in_flight.popleft().numbers:
                    self._refuse(number, error)
                continue
            self._count(self._in_flight.popleft(), reply)

    def _count(self, frame: _Frame, reply: PublishedLines) -> None:
        summary = self.summary
        summary.accepted += reply.accepted
        summary.duplicates += reply.duplicates
        summary.first_id = reply.first_id if summary.first_id is None else summary.first_id
        summary.last_id = reply.last_id if reply.last_id is not None else summary.last_id
        for error in reply.errors:
            self._complain(frame.numbers[error.line], error.code, error.message)
        self._show_progress()

    def _lose_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        while self._in_flight:
            self._spool(self._in_flight.popleft())

    def _spool(self, frame: _Frame) -> None:
        good = [
            line for line, number in zip(frame.lines, frame.numbers, strict=True) if self._valid(line, number)
        ]
        if good:
            data = "".join(f"{line}\n" for line in good).encode()
            spooling.write_entry(self._paths.spool, spooling.entry_name("lines"), [data])
            self.summary.spooled += len(good)
        self._show_progress()

    def _valid(self, line: str, number: int) -> bool:
        try:
            check(publish_from_line(line))
        except EventMonitorError as error:
            self._refuse(number, error)
            return False
        return True

    def _refuse(self, number: int, error: EventMonitorError) -> None:
        self._complain(number, error.code, str(error))

    def _complain(self, number: int, code: str, message: str) -> None:
        self.summary.refused += 1
        self._status = max(self._status, 2 if exit_status(code) == 2 else 1)
        report(f"line {number}: {message}")

    def _show_progress(self) -> None:
        if self._progress is not None:
            self._progress(self.summary)


def _with_members(line: str, members: list[str]) -> str:
    """A line of JSON with more members in its object."""
    own = line[1:-1].strip()
    return f"{{{','.join([own, *members] if own else members)}}}"


def bursts_of(fd: int) -> Iterator[list[bytes]]:
    """The lines of a stream without their newlines: those that arrive together, together, and an
    empty list before each wait for more. Of a line that is too long to be an event only as much is
    kept as shows that."""
    rest = b""
    while True:
        if not _has_more(fd):
            yield []
        chunk = os.read(fd, stdio.CHUNK)
        if not chunk:
            break
        first, *others = chunk.split(b"\n")
        rest += first if len(rest) <= MAX_LINE_BYTES else b""
        if others:
            yield [rest, *others[:-1]]
            rest = others[-1]
    if rest:
        yield [rest]


def _has_more(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])
