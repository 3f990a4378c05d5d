"""``event-cli store ...``: asks the bus, or, where none runs, a process that has the store alone."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from event_monitor.cli import stdio
from event_monitor.cli.batch import MAX_LINE_BYTES, bursts_of
from event_monitor.cli.connection import Connection, no_bus
from event_monitor.cli.output import Printer, confirm, exit_status, report
from event_monitor.cli.streams import pages_upwards
from event_monitor.errors import BusClosed, BusFull, EventMonitorError, InvalidRequest, NoBus
from event_monitor.grammar.parser import to_message
from event_monitor.grammar.spec import Invocation
from event_monitor.messages import CancelStoreWork, ImportLines, QueryEvents, QueryStoreWork, StartStoreWork
from event_monitor.paths import HomePaths
from event_monitor.replies.store import ImportedLines, StoreWork

_LOOK_SECONDS = 0.1
_SHOW_SECONDS = 0.5
_INTERRUPTED = 130
_WIDTH = 79
# A frame's bytes before its lines are quoted again, which can double them.
_FRAME_BYTES = 262_144
_FRAME_LINES = 500
_END_SECONDS = 30.0
_PATIENCE = 300.0
_MAX_PAUSE = 2.0


def run(paths: HomePaths, invocation: Invocation, printer: Printer) -> int:
    """Carry out a ``store`` command and answer the exit status. Raises ``EventMonitorError``, ``OSError``."""
    values = invocation.values
    name = invocation.command.path[-1]
    if name == "import":
        return _import(paths, values["file"], printer, deliver=values["deliver"])
    message = to_message(invocation)
    if isinstance(message, QueryEvents):
        return _export(paths, message, values["file"], printer)
    if isinstance(message, StartStoreWork):
        if not _agreed(message, yes=values.get("yes", True)):
            report("nothing was changed")
            return 1
        return _work(paths, message, printer)
    with connected(paths) as connection:
        printer.reply(connection.request(message))
    return 0


# --- who answers ----------------------------------------------------------------------------


@contextlib.contextmanager
def connected(paths: HomePaths) -> Iterator[Connection]:
    """A connection to the running bus, or to a process of ours that answers in its place."""
    try:
        connection = Connection(paths)
    except NoBus as error:
        if str(error) != str(no_bus(paths.home)):
            raise
        with _standing_in(paths) as connection:
            yield connection
        return
    with connection:
        yield connection


@contextlib.contextmanager
def _standing_in(paths: HomePaths) -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    with theirs:
        # -P: nothing that lies in the working directory is loaded.
        program = [sys.executable, "-P", "-m", "event_monitor.answers.standalone"]
        command = [*program, paths.home, str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    try:
        with Connection(paths, connected=ours) as connection:
            yield connection
    finally:
        ours.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# --- long work ------------------------------------------------------------------------------


def _agreed(message: StartStoreWork, *, yes: bool) -> bool:
    """Whether work that replaces the store is wanted."""
    question = {
        "restore": f"Put {message.path} in the store's place?",
        "compact": "Write the whole store anew?" if message.full else "",
    }.get(message.kind, "")
    if yes or not question:
        return True
    if not os.isatty(0):
        raise InvalidRequest("nobody can be asked here", "do it on a terminal, or add --yes")
    return confirm(question)


def _work(paths: HomePaths, message: StartStoreWork, printer: Printer) -> int:
    """Begin work, watch it to its end and print what came of it."""
    with connected(paths) as connection:
        work: StoreWork = connection.request(message)
        line = _Line()
        # Nothing sets the event: the wait is the time between two looks, and Ctrl+C ends it.
        pause = threading.Event()
        try:
            while work.state == "running":
                line.show(lambda work=work: _progress(work))  # type: ignore[misc]
                pause.wait(_LOOK_SECONDS)
                work = connection.request(QueryStoreWork(work_id=work.id))
        except KeyboardInterrupt:
            line.end()
            # A reply may be on its way: it is read before the one to this.
            with contextlib.suppress(EventMonitorError):
                connection.finish()
                connection.request(CancelStoreWork(work_id=work.id))
            report(f"the {work.kind} was ended")
            return _INTERRUPTED
        line.end()
    if work.state != "done":
        report(work.note or f"the {work.kind} was ended")
        return 1
    printer.reply(work)
    return 1 if work.problems else 0


def _progress(work: StoreWork) -> str:
    from event_monitor.grammar.render_store import work_line

    return work_line(work, _WIDTH)


class _Line:
    """A line on a terminal's stderr that is written over now and then."""

    def __init__(self) -> None:
        self._terminal = os.isatty(2)
        self._shown = 0.0

    def show(self, text: Callable[[], str]) -> None:
        """Show a text, if it is time for one."""
        now = time.monotonic()
        if self._terminal and now - self._shown >= _SHOW_SECONDS:
            self._shown = now
            sys.stderr.write(f"\r{text():<{_WIDTH}}")
            sys.stderr.flush()

    def end(self) -> None:
        """Leave the line as it stands."""
        if self._shown:
            sys.stderr.write("\n")
            self._shown = 0.0


# --- export ---------------------------------------------------------------------------------


def _export(paths: HomePaths, query: QueryEvents, file: str | None, printer: Printer) -> int:
    """Write recorded events, page by page. An unfinished file is not left behind."""
    line, count = _Line(), 0
    with connected(paths) as connection, _sink(file) as write:
        for events in pages_upwards(connection, query):
            if not write(b"".join(msgspec.json.encode(event) + b"\n" for event in events)):
                return 0
            count += len(events)
            line.show(lambda count=count, at=events[-1].timestamp: f"{count:,} events, up to {at[:19]}")  # type: ignore[misc]
    line.end()
    if file is not None:
        report(f"{count:,} events exported to {file}")
    return 0


@contextlib.contextmanager
def _sink(file: str | None) -> Iterator[Callable[[bytes], bool]]:
    """Where the lines go; the writer answers ``False`` when nobody reads them any more."""
    if file is None or file == "-":
        yield lambda data: stdio.write(1, data)
        return
    draft = f"{file}.part"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            yield lambda data: stdio.write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(draft, file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise


# --- import ---------------------------------------------------------------------------------


class _Import:
    """Sends lines and counts what became of them."""

    def __init__(self, connection: Connection, *, deliver: bool) -> None:
        self.accepted = self.duplicates = self.refused = 0
        self.status = 0
        self._connection = connection
        self._deliver = deliver
        self._run = os.urandom(8).hex()

    def send(self, lines: Sequence[str], numbers: Sequence[int]) -> None:
        """Have lines imported; a bus whose backlog is full is asked again for a while."""
        pause, until = 0.05, time.monotonic() + _PATIENCE
        while lines:
            message = ImportLines(lines=list(lines), run=self._run, deliver=self._deliver)
            reply: ImportedLines = self._connection.request(message)
            self.accepted += reply.accepted
            self.duplicates += reply.duplicates
            later = [error.line for error in reply.errors if error.code == BusFull.code]
            for error in reply.errors:
                if error.code != BusFull.code or time.monotonic() >= until:
                    self.refuse(numbers[error.line], error.code, error.message)
            if not later or time.monotonic() >= until:
                return
            lines, numbers = [lines[at] for at in later], [numbers[at] for at in later]
            time.sleep(pause)
            pause = min(_MAX_PAUSE, 2 * pause)

    def refuse(self, number: int, code: str, message: str) -> None:
        """Report a line that is not imported."""
        self.refused += 1
        self.status = max(self.status, 2 if exit_status(code) == 2 else 1)
        report(f"line {number}: {message}")


def _import(paths: HomePaths, file: str, printer: Printer, *, deliver: bool) -> int:
    line = _Line()
    fd = 0 if file == "-" else os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Connection(paths) as connection:
            taking = _Import(connection, deliver=deliver)
            try:
                for lines, numbers in _frames(fd, taking):
                    taking.send(lines, numbers)
                    line.show(lambda: f"{taking.accepted:,} imported, {taking.duplicates:,} known already")
            except (NoBus, BusClosed) as error:
                line.end()
                done = taking.accepted + taking.duplicates
                raise NoBus(
                    f"{error.message} after {done:,} events",
                    "import the file again when it is back: what was taken is known",
                ) from None
    finally:
        if fd:
            os.close(fd)
    line.end()
    summary = {"accepted": taking.accepted, "duplicates": taking.duplicates, "refused": taking.refused}
    if printer.json:
        printer.lines([msgspec.json.encode(summary)])
    else:
        printer.text(
            f"{taking.accepted:,} imported, {taking.duplicates:,} known already, {taking.refused:,} refused"
        )
    return taking.status


def _frames(fd: int, taking: _Import) -> Iterator[tuple[list[str], list[int]]]:
    lines: list[str] = []
    numbers: list[int] = []
    size = number = 0
    for burst in bursts_of(fd):
        for raw in burst:
            number += 1
            text = _text(raw.strip(), number, taking)
            if not text:
                continue
            if lines and (size + len(text) > _FRAME_BYTES or len(lines) >= _FRAME_LINES):
                yield lines, numbers
                lines, numbers, size = [], [], 0
            lines.append(text)
            numbers.append(number)
            size += len(text.encode())
    if lines:
        yield lines, numbers


def _text(raw: bytes, number: int, taking: _Import) -> str:
    """A line as text; empty for a blank one and one that cannot be sent."""
    if len(raw) > MAX_LINE_BYTES:
        taking.refuse(number, "invalid_event", f"longer than {MAX_LINE_BYTES:,} bytes")
        return ""
    try:
        return raw.decode()
    except UnicodeError as error:
        taking.refuse(number, "invalid_event", f"not UTF-8: {error}")
        return ""
