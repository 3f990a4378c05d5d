"""What the commands and queries about the store's upkeep answer."""

from __future__ import annotations

from typing import Literal

import msgspec

from event_monitor.replies.general import LineError, Reply


class StoredFile(msgspec.Struct, frozen=True):
    """A file beside the store, such as a damaged one that was set aside."""

    name: str
    size: int


class StoreStats(Reply, frozen=True):
    """The store as it is. ``size``, ``free`` (in pages that hold nothing) and ``wal`` are bytes;
    ``gives_back`` says whether free pages can go back to the disk without writing all of it anew.
    ``events`` counts rows by status, ``deliveries`` those that are not simply done by state, ``rows``
    those of other tables. ``growth`` is what is added in bytes a day; at that rate the store levels
    off at ``levels_off_at`` bytes, or the disk is full in ``full_in`` days, if it is before."""

    path: str
    schema_version: int
    size: int
    free: int
    wal: int
    gives_back: bool
    events: dict[str, int]
    deliveries: dict[str, int]
    rows: dict[str, int]
    oldest: str | None
    newest: str | None
    retention_days: float
    growth: int
    levels_off_at: int
    full_in: float | None
    disk_free: int
    logs: int
    spool: int
    aside: list[StoredFile]
    wal_pinned: bool = False


class StoreWork(Reply, frozen=True):
    """One piece of long work. ``done`` of ``total`` are ``unit``; ``problems`` is what a check found,
    ``note`` what came of it or why it failed. Of a backup ``size`` and ``sha256`` are the file's."""

    id: int
    kind: str
    state: Literal["running", "done", "failed", "cancelled"]
    path: str
    done: int = 0
    total: int = 0
    unit: str = "pages"
    problems: list[str] = []
    note: str = ""
    size: int = 0
    sha256: str = ""


class ImportedLines(Reply, frozen=True):
    """``line`` of an error counts from 0 within the request."""

    accepted: int
    duplicates: int
    errors: list[LineError]
