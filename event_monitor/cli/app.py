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
from event_monitor.cli.connection import Connection
from event_monitor.cli.output import Printer, ReaderGone, confirm, report, report_error, terminal_width
from event_monitor.errors import EventMonitorError, InvalidRequest, NotFound
from event_monitor.grammar.json_lines import history_json
from event_monitor.grammar.parser import HelpWanted, VersionWanted, asked_for, parse, to_message
from event_monitor.grammar.publishing import letters_message
from event_monitor.grammar.reading import Part, read
from event_monitor.grammar.spec import Invocation, Option
from event_monitor.messages import (
    AdoptService,
    DropDeadLetters,
    PlanAdoption,
    QueryDeadLetters,
    QueryEvents,
    RetryDeadLetters,
    StartReplay,
    Subscribe,
)
from event_monitor.paths import HomePaths
from event_monitor.replies import DeadLetterPage, Done

_PAGE = 500
_LIVE_SECONDS = 1.0
_MAX_HELP_WIDTH = 100


class _Session:
    """One invocation on its way: what it says, where the home is, how it prints."""

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.values: dict[str, Any] = invocation.values
        self.paths = HomePaths(invocation.home)
        self.printer = Printer(invocation.output)

    def request(self) -> Any:
        """Send the invocation's message and return the reply."""
        with Connection(self.paths) as connection:
            return connection.request(to_message(self.invocation))


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
    """One message, one reply."""
    session.printer.reply(session.request())
    return 0


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
    from event_monitor.replies import EventPage

    query = to_message(session.invocation)
    assert isinstance(query, QueryEvents)
    limit, printer = session.values["limit"], session.printer
    if session.values["follow"]:
        if query.status is not None or query.until is not None:
            raise InvalidRequest("--follow cannot be combined with --status or --until", "leave them out")
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


def _state(session: _Session) -> int:
    reply = session.request()
    if session.values["history"] and session.printer.json:
        session.printer.lines(history_json(reply))
    else:
        session.printer.reply(reply)
    return 0


def _list_letters(session: _Session) -> int:
    limit = session.values["limit"]
    query = to_message(session.invocation)
    letters: list[Any] = []
    with Connection(session.paths) as connection:
        while not limit or len(letters) < limit:
            size = min(_PAGE, limit - len(letters)) if limit else _PAGE
            page = connection.request(msgspec.structs.replace(query, limit=size))
            letters += page.dead_letters
            if not page.more or not page.dead_letters:
                break
            query = msgspec.structs.replace(query, after=(letters[-1].id, letters[-1].target))
    session.printer.reply(DeadLetterPage(dead_letters=letters, more=False))
    return 0


def _show_letters(session: _Session) -> int:
    message = to_message(session.invocation)
    assert isinstance(message, QueryDeadLetters)
    page = session.request()
    if not page.dead_letters:
        raise NotFound(f"event {message.event_id} has no dead letters", "event-cli dlq list shows which have")
    if session.printer.json:
        session.printer.reply(page)
    else:
        from event_monitor.grammar.render import dead_letter_detail

        width = session.printer.width
        session.printer.text("\n\n".join(dead_letter_detail(letter, width) for letter in page.dead_letters))
    return 0


def _retry_letters(session: _Session) -> int:
    return _send_letters(session, letters_message(RetryDeadLetters, session.values))


def _drop_letters(session: _Session) -> int:
    values = session.values
    asks = values["all"] and not values["yes"] and os.isatty(0)
    messages = letters_message(DropDeadLetters, values)
    if asks and not confirm("Drop all dead letters that match?"):
        report("nothing was dropped")
        return 1
    return _send_letters(session, messages)


def _send_letters(session: _Session, messages: Sequence[Any]) -> int:
    """Send each message; one that is refused does not keep the others back."""
    status, replies = 0, []
    with Connection(session.paths) as connection:
        for message in messages:
            try:
                replies.append(connection.request(message))
            except NotFound as error:
                status = max(status, report_error(error))
    if replies:
        text = replies[0].message if len(replies) == 1 else ""
        session.printer.reply(Done(count=sum(reply.count for reply in replies), message=text))
    return status


def _adopt(session: _Session) -> int:
    """Show what would be started, and do it on a person's word."""
    from event_monitor.grammar.render import render_table
    from event_monitor.grammar.shared import user

    values, plan_for = session.values, to_message(session.invocation)
    assert isinstance(plan_for, PlanAdoption)
    with Connection(session.paths) as connection:
        plan = connection.request(plan_for)
        if not values["yes"]:
            if not os.isatty(0):
                raise InvalidRequest("nobody can be asked here", "look at it on a terminal, or add --yes")
            sys.stderr.write(f"{render_table(plan, terminal_width())}\n\n")
            if not confirm(f"Start {plan.service} and keep it running?"):
                report("nothing was started")
                return 1
        adopt = AdoptService(
            name=plan.server.name,
            scope=plan.server.scope,
            project=plan.server.project,
            service=plan.service,
            fingerprint=plan.fingerprint,
            by=user(),
        )
        session.printer.reply(connection.request(adopt))
    return 0


def _repl(session: _Session) -> int:
    from event_monitor.cli.repl import repl

    return repl(session.paths, session.invocation.output)


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
    ("state",): _state,
    ("dlq", "list"): _list_letters,
    ("dlq", "show"): _show_letters,
    ("dlq", "retry"): _retry_letters,
    ("dlq", "drop"): _drop_letters,
    ("services", "adopt"): _adopt,
    ("completion",): _completion,
    ("repl",): _repl,
}
