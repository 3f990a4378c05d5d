"""The values that completion scripts ask the running bus for."""

from __future__ import annotations

import re

from event_monitor.cli.connection import Connection
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.known import QUESTIONS, offers_in
from event_monitor.grammar.spec import BusSource
from event_monitor.paths import HomePaths

# A shell waits for them between two keys.
_SECONDS = 0.5
# bash expands the words that it is offered: a name with more in it could run a command.
_HARMLESS = re.compile(r"[A-Za-z0-9_.:-]+")


def offered_values(paths: HomePaths, kind: BusSource) -> list[str]:
    """The known values of a kind, sorted. None where the bus cannot say: a completion must not fill
    the prompt with errors."""
    try:
        with Connection(paths, _SECONDS) as connection:
            replies = [connection.request(message) for message in QUESTIONS[kind]]
    except EventMonitorError:
        return []
    return sorted(offer.text for offer in offers_in(kind, replies) if _HARMLESS.fullmatch(offer.text))
