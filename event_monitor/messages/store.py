"""The commands and queries about the store's upkeep."""

from __future__ import annotations

from typing import Literal

from event_monitor.messages.base import Message, Number

StoreKind = Literal["check", "compact", "backup", "restore"]


class StartStoreWork(Message, tag="start_store_work", frozen=True):
    """Begin long work on the store: ``check`` it, or the database at ``path``; ``compact`` it, with
    ``full`` by writing all of it anew; ``backup`` it to a new file at ``path``; ``restore`` it from
    the one there. Answers ``StoreWork``: it goes on by itself. ``full`` and ``restore`` need the store
    for themselves: no bus may run."""

    kind: StoreKind
    path: str | None = None
    full: bool = False


class CancelStoreWork(Message, tag="cancel_store_work", frozen=True):
    """End work on the store; what was done so far is undone, save for ``compact``. Answers ``StoreWork``."""

    work_id: Number


class ImportLines(Message, tag="import_lines", frozen=True):
    """Take events that were exported into history, each a JSON object as text. Those that are there
    already are left alone. Nothing is delivered, unless ``deliver`` says so. ``run`` names the import
    that these lines are a part of. Answers ``ImportedLines``: a bad line harms no other."""

    lines: list[str]
    run: str = ""
    deliver: bool = False


class GetStoreStats(Message, tag="get_store_stats", frozen=True):
    """Answers ``StoreStats``."""


class QueryStoreWork(Message, tag="query_store_work", frozen=True):
    """Answers ``StoreWork``: the one that is named, or the last one."""

    work_id: Number | None = None
