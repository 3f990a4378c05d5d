"""Commands about the store: what it holds, its health, copies of it."""

from __future__ import annotations

import os

from event_monitor.grammar.looking import STATUS_WORDS
from event_monitor.grammar.shared import TIME_NOTE, TYPE
from event_monitor.grammar.spec import Argument, Command, Example, Option, Values
from event_monitor.messages import GetStoreStats, Message, QueryEvents, StartStoreWork
from event_monitor.model import Status

_YES = Option(name="yes", kind="flag", help="do not ask")


def _path(text: str | None) -> str | None:
    # The bus has a working directory of its own.
    return None if text is None else os.path.abspath(os.path.expanduser(text))


def _export(values: Values) -> Message:
    return QueryEvents(
        type=values["type"],
        status=None if values["status"] is None else Status(values["status"]),
        since=values["since"],
        until=values["until"],
        filter=values["filter"],
    )


STORING = (
    Command(
        path=("store", "stats"),
        summary="Show the store: size, rows, growth, when the disk is full",
        examples=(
            Example("event-cli store stats", "also with no bus running"),
            Example("event-cli store stats --output json | jq .full_in", "days, or null"),
        ),
        build=lambda values: GetStoreStats(),
    ),
    Command(
        path=("store", "check"),
        summary="Look for damage, and for events whose account does not balance",
        arguments=(Argument(name="file", required=False, help="a backup to check instead", source="file"),),
        examples=(
            Example("event-cli store check", "publishing goes on meanwhile; exits 1 if something is wrong"),
            Example("event-cli store check backup.db", "a backup"),
        ),
        build=lambda values: StartStoreWork(kind="check", path=_path(values["file"])),
    ),
    Command(
        path=("store", "compact"),
        summary="Give free room back to the disk",
        options=(
            Option(name="full", kind="flag", help="write all of it anew; no bus may run"),
            _YES,
        ),
        examples=(
            Example("event-cli store compact", "bit by bit, publishing goes on meanwhile"),
            Example("event-cli store compact --full", "with event-monitor stopped; asks first"),
        ),
        notes="Retention does this by itself once a tenth of the file is free. A store of an older version "
        "needs --full once. That takes as much room again as the store has, until it is done.",
        build=lambda values: StartStoreWork(kind="compact", full=values["full"]),
    ),
    Command(
        path=("store", "export"),
        summary="Write recorded events as JSON lines, the oldest first",
        arguments=(
            Argument(name="file", required=False, help="a new file (default: stdout)", source="file"),
        ),
        options=(
            TYPE,
            Option(name="status", metavar="S", help="only events with this status", choices=STATUS_WORDS),
            Option(name="since", metavar="T", help="not before this time"),
            Option(name="until", metavar="T", help="before this time"),
            Option(name="filter", metavar="REGEX", help="only events whose type or payload matches"),
        ),
        examples=(
            Example("event-cli store export events.jsonl", "all of history, also with no bus running"),
            Example("event-cli store export --since -7d | gzip > week.jsonl.gz", "to another program"),
        ),
        notes=f"{TIME_NOTE} Payloads are written as they are: nothing is masked.",
        build=_export,
    ),
    Command(
        path=("store", "import"),
        summary="Take exported events into history",
        arguments=(Argument(name="file", help="a file of JSON lines, or - for stdin", source="file"),),
        options=(Option(name="deliver", kind="flag", help="also deliver them, where they would go today"),),
        examples=(
            Example("event-cli store import events.jsonl", "an event that is there already is left alone"),
            Example("gunzip -c week.jsonl.gz | event-cli store import -", "from another program"),
        ),
        notes="Time, type, payload, priority, key and status stay, numbers are new. Without --deliver "
        "nothing is delivered: what was pending becomes sampled and can be replayed. Events older than the "
        "retention go with the next cleanup. A line that is no event is reported, the others are taken.",
    ),
    Command(
        path=("store", "backup"),
        summary="Copy the store, also while the bus runs",
        arguments=(Argument(name="file", help="the new file", source="file"),),
        examples=(
            Example("event-cli store backup ~/backups/events-2026-11-26.db", "checked when it is done"),
        ),
        notes="A running bus publishes backup.completed, so that it is verified as any backup is.",
        build=lambda values: StartStoreWork(kind="backup", path=_path(values["file"])),
    ),
    Command(
        path=("store", "restore"),
        summary="Put a backup in the store's place",
        arguments=(Argument(name="file", help="a file that store backup made", source="file"),),
        options=(_YES,),
        examples=(
            Example("event-cli store restore events-2026-11-26.db", "with event-monitor stopped; asks first"),
        ),
        notes="What is there is set aside as events.db.replaced-TIME, never deleted. What was pending when "
        "the backup was made is delivered at the next start, some of it perhaps for the second time.",
        build=lambda values: StartStoreWork(kind="restore", path=_path(values["file"])),
    ),
)
