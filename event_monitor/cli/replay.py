"""``event-cli replay`` in the foreground: begins a replay and watches it until it has ended."""

from __future__ import annotations

import os
import sys
import threading

import msgspec

from event_monitor.cli.connection import Connection
from event_monitor.cli.output import Printer, report
from event_monitor.grammar.text import pad
from event_monitor.messages import ControlReplay, QueryReplays, StartReplay
from event_monitor.paths import HomePaths
from event_monitor.replies.replays import ReplayReport

_LOOK_SECONDS = 0.2
_PROGRESS_SECONDS = 1.0
_INTERRUPTED = 130
_TERMINAL_WIDTH = 79


def replay(paths: HomePaths, message: StartReplay, printer: Printer, *, detach: bool, progress: bool) -> int:
    """Begin a replay and, unless it is detached, see it through. Answers the exit status: 1 if a
    replayed event or the replay itself failed, or somebody stopped it, 130 if it was paused by Ctrl+C."""
    with Connection(paths) as connection:
        begun: ReplayReport = connection.request(message)
        if not begun.id:
            report("nothing was recorded in this span that could be replayed")
        if detach or not begun.id:
            printer.reply(begun)
            return 0
        watch = _Watch(printer, progress)
        try:
            ended = watch.until_ended(connection, begun)
        except KeyboardInterrupt:
            watch.end_line()
            return _pause(paths, begun.id)
        watch.end_line()
        printer.reply(ended)
    if ended.state == "paused":
        report(f"replay {begun.id} is paused: {ended.note} (event-cli replay resume {begun.id} tries again)")
    return 0 if ended.state == "done" and not ended.failed else 1


class _Watch:
    """Shows how a replay goes on: a line that is written over on a terminal, JSON lines if asked for."""

    def __init__(self, printer: Printer, progress: bool) -> None:
        self._printer = printer
        self._progress = progress
        self._terminal = os.isatty(2) and not progress
        self._shown = False

    def until_ended(self, connection: Connection, current: ReplayReport) -> ReplayReport:
        """Look until the replay has ended or failed, and answer its last report. Paused by a person it
        may go on at any time."""
        # Nothing sets the event: the wait is the time between two looks, and Ctrl+C ends it.
        pause = threading.Event()
        waited = _PROGRESS_SECONDS
        while current.state == "running" or (current.state == "paused" and not current.note):
            if self._terminal or (self._progress and waited >= _PROGRESS_SECONDS):
                self._show(current)
                waited = 0.0
            pause.wait(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
            (current,) = connection.request(QueryReplays(replay_id=current.id)).replays
        return current

    def _show(self, current: ReplayReport) -> None:
        if self._progress:
            self._printer.lines([msgspec.json.encode(current)])
            return
        from event_monitor.grammar.render_replay import progress_line

        width = min(self._printer.width, _TERMINAL_WIDTH)
        sys.stderr.write(f"\r{pad(progress_line(current, width), width)}")
        sys.stderr.flush()
        self._shown = True

    def end_line(self) -> None:
        """Leave the line as it stands."""
        if self._shown:
            sys.stderr.write("\n")
            self._shown = False


def _pause(paths: HomePaths, number: int) -> int:
    # A connection of its own: on the other one a reply may be on its way.
    with Connection(paths) as connection:
        paused: ReplayReport = connection.request(ControlReplay(replay_id=number, action="pause"))
    report(
        f"replay {number} is paused after {paused.replayed:,} of {paused.events:,} events "
        f"(event-cli replay resume {number} goes on, event-cli replay stop {number} ends it)"
    )
    return _INTERRUPTED
