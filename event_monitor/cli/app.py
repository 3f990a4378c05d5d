"""event-cli's full form: everything that the fast path leaves."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from event_monitor import __version__
from event_monitor.cli.driver import drive
from event_monitor.cli.output import Printer, ReaderGone, report_error, terminal_width
from event_monitor.errors import EventMonitorError, InvalidRequest
from event_monitor.grammar.parser import HelpWanted, VersionWanted, asked_for, parse, to_message
from event_monitor.grammar.reading import Part, read
from event_monitor.grammar.spec import Invocation, Option
from event_monitor.grammar.steps import steps_of
from event_monitor.messages import QueryEvents, StartReplay, Subscribe
from event_monitor.paths import HomePaths

_LIVE_SECONDS = 1.0
_MAX_HELP_WIDTH = 100
_STORE = ("stats", "check", "compact", "export", "import", "backup", "restore")


class _Session:
    """One invocation on its way: what it says, where the home is, how it prints."""

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.values: dict[str, Any] = invocation.values
        self.paths = HomePaths(invocation.home)
        self.printer = Printer(invocation.output)


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit status. Errors of the bus and of usage are
    reported on stderr.

    Raises ``OSError`` if a standard stream or the spool fails, ``UnicodeError`` for input that is
    not UTF-8.
    """
    reading = read(arguments)
    if reading.path == ("hook",) and asked_for(reading, arguments) is None:
        # With whatever options: the exit status of a usage error would block the assistant's tool.
        from event_monitor.cli import hook

        hook.run(next((part.text for part in reading.parts if _names_home(part)), None))
    try:
        return carry_out(parse(arguments))
    except HelpWanted as wanted:
        return _show_help(wanted.path)
    except VersionWanted:
        return _print(f"event-cli {__version__}")
    except EventMonitorError as error:
        return report_error(error)


def carry_out(invocation: Invocation) -> int:
    """Carry out a command that was understood, print what it answers and return its exit status.
    Raises ``EventMonitorError`` for what is refused, and what ``run`` raises."""
    try:
        return _HANDLERS.get(invocation.command.path, _ask)(_Session(invocation))
    except ReaderGone:
        return 0


def _names_home(part: Part) -> bool:
    return part.kind == "value" and isinstance(part.item, Option) and part.item.name == "home"


def _show_help(path: tuple[str, ...]) -> int:
    from event_monitor.grammar.help import help_text

    return _print(help_text(path, min(terminal_width(), _MAX_HELP_WIDTH)))


def _print(text: str) -> int:
    with contextlib.suppress(ReaderGone):
        Printer("table").text(text)
    return 0


def _ask(session: _Session) -> int:
    """Whatever the grammar says about the command."""
    return drive(steps_of(session.invocation), session.paths, session.printer)


def _publish(session: _Session) -> int:
    values = session.values
    if values["batch"]:
        return _publish_batch(session)
    if values["type"] == "-":
        raise InvalidRequest("- as the type is for --batch", "give an event type, or add --batch")
    from event_monitor.cli.publish import publish

    names = ("payload", "priority", "key", "ttl", "source")
    fields = {name: values[name] for name in names if values[name] is not None}
    output = "json" if session.printer.json else "table"
    return publish(session.paths, {"event_type": values["type"]} | fields, output)


def _publish_batch(session: _Session) -> int:
    values = session.values
    if values["type"] != "-" or values["payload"] is not None:
        raise InvalidRequest("--batch reads events from stdin", "write: publish - --batch")
    for name in ("priority", "key", "ttl"):
        if values[name] is not None:
            raise InvalidRequest(f"--{name} cannot be combined with --batch", "name it in each line")
    from event_monitor.cli.batch import Batch, Summary, bursts_of

    def show(summary: Summary, waiting: int) -> None:
        done = summary.accepted + summary.duplicates + summary.spooled
        busy = "; the bus is busy, waiting" if waiting else ""
        sys.stderr.write(f"\r{f'{done:,} published, {summary.refused:,} refused{busy}':<70}")
        sys.stderr.flush()

    terminal = os.isatty(2)
    batch = Batch(session.paths, values["source"], show if terminal else None, patience=values["wait"])
    try:
        status = batch.run(bursts_of(0))
    finally:
        if terminal:
            sys.stderr.write("\n")
    summary = batch.summary
    if session.printer.json:
        session.printer.lines([msgspec.json.encode(summary)])
    else:
        session.printer.text(
            f"{summary.accepted:,} accepted, {summary.duplicates:,} duplicate, {summary.spooled:,} spooled, "
            f"{summary.refused:,} refused"
        )
    return status


def _subscribe(session: _Session) -> int:
    message = to_message(session.invocation)
    if not isinstance(message, Subscribe) or message.handler != "-":
        return _ask(session)
    from event_monitor.cli.streams import subscribe

    # JSON lines also on a terminal: that is what the handler - is.
    printer = Printer(session.invocation.output or "json")
    subscribe(session.paths, message, printer, session.values["count"])
    return 0


def _replay(session: _Session) -> int:
    message = to_message(session.invocation)
    if not isinstance(message, StartReplay):
        return _ask(session)
    from event_monitor.cli.replay import replay

    values = session.values
    return replay(
        session.paths, message, session.printer, detach=values["detach"], progress=values["progress"]
    )


def _events(session: _Session) -> int:
    from event_monitor.cli.streams import follow, history
    from event_monitor.replies.general import EventPage

    query = to_message(session.invocation)
    assert isinstance(query, QueryEvents)
    limit, printer = session.values["limit"], session.printer
    if session.values["follow"]:
        follow(session.paths, query, limit, printer)
        return 0
    empty = True
    for page in history(session.paths, query, limit):
        printer.reply(EventPage(events=page))
        empty = False
    if empty and not printer.json:
        printer.reply(EventPage(events=[]))
    return 0


def _stats(session: _Session) -> int:
    if not session.values["live"]:
        return _ask(session)
    from event_monitor.cli.streams import live_stats

    # Nothing sets the event: the wait is the second between two readings, and Ctrl+C ends it.
    pause = threading.Event()
    live_stats(session.paths, session.printer, lambda: pause.wait(_LIVE_SECONDS))
    return 0


def _repl(session: _Session) -> int:
    from event_monitor.cli.repl import repl

    return repl(session.paths, session.invocation.output)


def _store(session: _Session) -> int:
    from event_monitor.cli.store import run

    return run(session.paths, session.invocation, session.printer)


def _chaos(session: _Session) -> int:
    from event_monitor.cli.chaos import chaos

    return chaos(session.invocation, session.printer)


def _completion(session: _Session) -> int:
    from event_monitor.cli.completion import offered_values
    from event_monitor.grammar.completion import script

    shell = session.values["shell"]
    if shell in ("bash", "zsh", "fish"):
        return _print(script(shell))
    return _print("\n".join(offered_values(session.paths, shell)))


_HANDLERS: dict[tuple[str, ...], Callable[[_Session], int]] = {
    ("publish",): _publish,
    ("subscribe",): _subscribe,
    ("replay",): _replay,
    ("events",): _events,
    ("stats",): _stats,
    ("completion",): _completion,
    ("repl",): _repl,
    ("chaos",): _chaos,
    ("chaos", "list"): _chaos,
    **{("store", name): _store for name in _STORE},
}
