"""Carries out the steps of a command over the control socket, on this terminal."""

from __future__ import annotations

import os
import sys
from typing import Any

from event_monitor.cli.connection import Connection
from event_monitor.cli.output import Printer, confirm, report, report_error, terminal_width
from event_monitor.cli.stdio import chunks
from event_monitor.errors import EventMonitorError, InvalidRequest
from event_monitor.grammar.steps import (
    Complain,
    Confirm,
    Edit,
    Input,
    Say,
    Send,
    Show,
    Step,
    Steps,
    json_of,
    text_of,
)
from event_monitor.paths import HomePaths


def drive(steps: Steps, paths: HomePaths, printer: Printer) -> int:
    """Do what the steps say, over one connection. Answers the exit status. Raises what is refused."""
    try:
        # Words that make no sense are told before a bus is looked for.
        step = next(steps)
        with Connection(paths) as connection:
            while True:
                try:
                    value = _carry_out(step, connection, printer)
                except EventMonitorError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(value)
    except StopIteration as end:
        return int(end.value)


def _carry_out(step: Step, connection: Connection, printer: Printer) -> Any:
    match step:
        case Send(message):
            return connection.request(message)
        case Show():
            _show(step, printer)
        case Say(text):
            report(text)
        case Complain(error):
            return report_error(error)
        case Confirm(question, shown, needed):
            return _ask(question, shown, needed)
        case Edit(text, mistake):
            from event_monitor.cli.editor import edit

            return edit(text, mistake)
        case Input():
            return b"".join(chunks(0)).decode()
    return None


def _show(shown: Show, printer: Printer) -> None:
    if printer.json:
        printer.lines(json_of(shown))
    else:
        printer.text(text_of(shown, printer.width))


def _ask(question: str, shown: Any, needed: bool) -> bool:
    if not os.isatty(0):
        if needed:
            raise InvalidRequest("nobody can be asked here", "look at it on a terminal, or add --yes")
        return True
    if shown is not None:
        from event_monitor.grammar.render import render_table

        sys.stderr.write(f"{render_table(shown, terminal_width())}\n\n")
    return confirm(question)
