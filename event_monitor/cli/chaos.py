"""``event-cli chaos``: this process becomes the one that runs it, which may load all that the bus loads."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

from event_monitor.cli.output import Printer
from event_monitor.errors import InvalidRequest
from event_monitor.grammar.spec import Invocation

_SHORTEST, _LONGEST = 1.0, 3_600.0


def chaos(invocation: Invocation, printer: Printer) -> int:
    """Run ``chaos`` or ``chaos list``. Does not return but for what is wrong: raises ``InvalidRequest``
    for values that make no sense, ``OSError``."""
    values = invocation.values
    what = invocation.command.path[-1]
    wanted: dict[str, Any] = {"output": "json" if printer.json else "table"}
    if what == "chaos":
        wanted |= {
            "scenarios": values["scenario"],
            "seed": values["seed"],
            "duration": _within("--duration", values["duration"], _SHORTEST, _LONGEST),
            "patience": _within("--patience", values["patience"], 0.1, 1_000.0),
            "report": _report(values["report"]),
            "home": invocation.home,
            "keep": values["keep"],
        }
    # -P: nothing that lies in the working directory is loaded.
    program = [sys.executable, "-P", "-m", "event_monitor.chaos", what, json.dumps(wanted)]
    os.execv(sys.executable, program)


def _within(name: str, value: float, least: float, most: float) -> float:
    if not math.isfinite(value) or not least <= value <= most:
        raise InvalidRequest(f"{name}: {value:g} is not between {least:g} and {most:g}", "give another")
    return value


def _report(path: str | None) -> str | None:
    """The file to write, of which it is found out now, not after minutes, that it cannot be."""
    if path is None:
        return None
    from event_monitor.chaos.report import format_of

    try:
        format_of(path)
    except ValueError as error:
        raise InvalidRequest(f"--report: {error}", "name another file") from None
    directory = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or not os.access(directory, os.W_OK):
        raise InvalidRequest(f"--report: {path} cannot be written", "name a file in a directory of yours")
    return os.path.abspath(path)
