"""What several commands take."""

from __future__ import annotations

import os

from event_monitor.grammar.spec import Option

TIME_NOTE = "Times are ISO 8601, epoch seconds, or relative to now (-15m, -2h, -7d)."

TYPE = Option(
    name="type",
    metavar="PATTERN",
    help="only event types that match, such as command.# or *.failed",
    source="types",
)
REASON = Option(name="reason", metavar="TEXT", default="", help="why, for the record")


def user() -> str:
    """Who types, for the record."""
    return f"{os.environ.get('USER') or os.environ.get('LOGNAME') or 'a person'} (event-cli)"
