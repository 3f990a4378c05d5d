"""``event-cli publish - --batch``: one JSON event a line on stdin, many lines in flight.

Every line is sent with an idempotency key, made here for a line that has none, for the same reason as
in ``publish``: lines whose reply did not come before the connection ended go to the spool with the
same keys, and those that the bus did accept are recognised there.

A bus that has enough to do makes the pipe slower: lines that it cannot take yet are sent again, with
the same keys and before anything more is read. Lines keep their order, but for those that were on their
way when the bus first said so.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from event_monitor import spooling
from event_monitor.cli import stdio
from event_monitor.cli.connection import Connection
from event_monitor.cli.output import exit_status, report
from event_monitor.cli.publish import causing_event
from event_monitor.errors import BusClosed, BusFull, Busy, EventMonitorError, InvalidEvent, NoBus, RateLimited
from event_monitor.grammar.decode import publish_from_line
from event_monitor.grammar.spooled import check
from event_monitor.messages import PublishLines
from event_monitor.paths import HomePaths
from event_monitor.replies.general import PublishedLines

# A frame's bytes before its lines are quoted again, which can double them.
FRAME_BYTES = 262_144
FRAME_LINES = 500
MAX_IN_FLIGHT = 4
MAX_LINE_BYTES = 500_000
# For how many seconds a bus that takes nothing is asked again, and how often.
PATIENCE = 300.0
MIN_PAUSE = 0.05
MAX_PAUSE = 2.0
_LATER = frozenset({BusFull.code, RateLimited.code, Busy.code})

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


class _GivenUp(Exception):
    """The bus has taken nothing for too long."""


class _Frame(msgspec.Struct):
    """Lines on their way, with their 1-based numbers."""

    lines: list[str]
    numbers: list[int]
    size: int = 0

    def add(self, number: int, line: str) -> None:
        self.lines.append(line)
        self.numbers.append(number)
        self.size += len(line.encode())


_keyed_decoder = msgspec.json.Decoder(_Keyed)


class Batch:
    """Publishes lines. ``source`` fills in where a line names none; ``progress`` is called with the
    summary so far and the number of lines that the bus cannot take yet, after each frame. A bus that
    takes nothing for ``patience`` seconds is given up."""

    def __init__(
        self,
        paths: HomePaths,
        source: str | None = None,
        progress: Callable[[Summary, int], None] | None = None,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
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
        self._held: list[tuple[int, str]] = []
        self._retry_after = 0.0
        self._turned_away = False
        self._patience = patience
        self._clock = clock
        self._pause = pause
        self._number = 0

    def run(self, bursts: Iterable[Sequence[bytes]]) -> int:
        """Publish all lines and return the exit status: 2 if one was no event, else 1 if one was
        refused for another reason. Each of them is reported with its number; the others are published.
        A burst is sent when it ends; an empty one says that no other is at hand, and is the time to
        hear what became of those before. When the bus is given up, the rest is not read.

        Raises ``OSError`` if stdin cannot be read or the spool cannot be written.
        """
        with contextlib.suppress(NoBus):
            self._connection = Connection(self._paths)
        try:
            for burst in bursts:
                for frame in self._frames(burst):
                    self._send(frame)
                    self._send_again()
                if not burst:
                    self._settle(0)
                    self._send_again()
            self._settle(0)
            self._send_again()
        except _GivenUp:
            self._give_up()
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
            if not _has_room(frame, text):
                yield frame
                frame = _Frame([], [])
            frame.add(self._number, text)
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
            except Busy:
                self._turn_away()
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
            number = frame.numbers[error.line]
            if error.code in _LATER and self._patience > 0:
                self._held.append((number, frame.lines[error.line]))
                self._retry_after = max(self._retry_after, error.retry_after or 0.0)
            else:
                self._complain(number, error.code, error.message)
        self._show_progress()

    # --- a bus that has enough to do --------------------------------------------------------

    def _send_again(self) -> None:
        """Send what the bus could not take until it has taken it; what is on its way comes first."""
        if not self._held:
            return
        self._settle(0)
        pause = MIN_PAUSE
        until = self._clock() + self._patience
        while self._held:
            if self._clock() >= until:
                raise _GivenUp
            self._pause(min(MAX_PAUSE, max(pause, self._retry_after)))
            self._retry_after = 0.0
            taken = self._taken
            self._send_held()
            if self._taken > taken:
                pause = MIN_PAUSE
                until = self._clock() + self._patience
            else:
                pause = min(MAX_PAUSE, 2 * pause)

    @property
    def _taken(self) -> int:
        return self.summary.accepted + self.summary.duplicates

    def _send_held(self) -> None:
        """Send the held lines once, the first ones first, as long as the bus takes whole frames."""
        if self._turned_away:
            self._turned_away = False
            with contextlib.suppress(NoBus):
                self._connection = Connection(self._paths)
        waiting, self._held = sorted(self._held), []
        while waiting and not self._held:
            frame = _Frame([], [])
            while waiting and _has_room(frame, waiting[0][1]):
                number, line = waiting.pop(0)
                frame.add(number, line)
            self._send(frame)
            self._settle(0)
        self._held += waiting
        self._show_progress()

    def _turn_away(self) -> None:
        """The bus has no place for another connection, and read nothing of what was sent."""
        self._close()
        self._turned_away = True
        while self._in_flight:
            frame = self._in_flight.popleft()
            self._held += zip(frame.numbers, frame.lines, strict=True)

    def _give_up(self) -> None:
        first = min(self._held)[0]
        self.summary.refused += len(self._held)
        self._status = max(self._status, 1)
        report(
            f"line {first}: given up, the bus has taken nothing for {self._patience:g} s; "
            f"{len(self._held):,} lines from here on, and all that would follow, are not published"
        )

    # --- a bus that is gone -----------------------------------------------------------------

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lose_connection(self) -> None:
        self._close()
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
            self._progress(self.summary, len(self._held))


def _has_room(frame: _Frame, line: str) -> bool:
    return not frame.lines or (frame.size + len(line) <= FRAME_BYTES and len(frame.lines) < FRAME_LINES)


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
