"""What the store holds, how it grows and when the disk is full. Runs on a thread."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from event_monitor.bus import schema
from event_monitor.bus.store_files import looking_at
from event_monitor.bus.upkeep import free_pages, gives_back
from event_monitor.clock import from_iso, to_iso
from event_monitor.model import Status
from event_monitor.replies.store import StoredFile, StoreStats

_DAY = 86_400.0
# A younger store says nothing of a day.
_LEAST_SPAN = 600.0
_OTHERS = ("alerts", "analytics", "breakers", "imports", "patterns", "replays", "retry_runs", "subscriptions")
_BY_INDEX = (Status.DEAD, Status.EXPIRED, Status.SAMPLED)


def read_stats(
    path: Path, now: float, retention_days: float, *, logs: Path, spool: Path, pinned: bool = False
) -> StoreStats:
    """Look at the store at ``path`` and the files beside it. Raises as ``looking_at`` does."""
    with looking_at(path) as connection:
        free, pages = free_pages(connection)
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        events = _events(connection)
        oldest, newest = (
            connection.execute(f"SELECT timestamp FROM events ORDER BY timestamp {order} LIMIT 1").fetchone()
            for order in ("ASC", "DESC")
        )
        size = pages * page_size
        growth = _growth(connection, size - free * page_size, sum(events.values()), oldest, now)
        disk = os.statvfs(path.parent)
        disk_free = disk.f_bavail * disk.f_frsize
        level = max(size, int(growth * retention_days))
        return StoreStats(
            path=str(path),
            schema_version=schema.SCHEMA_VERSION,
            size=size,
            free=free * page_size,
            wal=_size(Path(f"{path}-wal")),
            gives_back=gives_back(connection),
            events=events,
            deliveries=dict(connection.execute("SELECT state, COUNT(*) FROM deliveries GROUP BY state")),
            rows={name: _count(connection, name) for name in _OTHERS},
            oldest=oldest[0] if oldest else None,
            newest=newest[0] if newest else None,
            retention_days=retention_days,
            growth=int(growth),
            levels_off_at=level,
            full_in=round(disk_free / growth, 2) if growth and level - size > disk_free else None,
            disk_free=disk_free,
            logs=sum(map(_size, _files(logs))),
            spool=sum(1 for _ in _files(spool / "new")),
            aside=[
                StoredFile(file.name, _size(file))
                for file in sorted(path.parent.glob(f"{path.name}.*-*"))
                if not file.name.endswith(("-wal", "-shm"))
            ],
            wal_pinned=pinned,
        )


def _events(connection: sqlite3.Connection) -> dict[str, int]:
    """Rows by status; the few that are not delivered have indexes, the rest is delivered."""
    counts = {
        status.value: int(
            connection.execute(f"SELECT COUNT(*) FROM events WHERE status = '{status.value}'").fetchone()[0]
        )
        for status in _BY_INDEX
    }
    (pending,) = connection.execute(
        "SELECT COUNT(*) FROM (SELECT id FROM events WHERE queued IS NOT NULL UNION "
        "SELECT event_id FROM deliveries WHERE state IN ('queued', 'retrying', 'parked'))"
    ).fetchone()
    delivered = max(0, _count(connection, "events") - pending - sum(counts.values()))
    return {"delivered": delivered, "pending": pending, **counts}


def _growth(
    connection: sqlite3.Connection, used: int, rows: int, oldest: tuple[str] | None, now: float
) -> float:
    """Bytes a day, by the events of the last day; 0 while there is too little to tell."""
    if oldest is None or not rows:
        return 0.0
    span = min(_DAY, now - from_iso(oldest[0]))
    if span < _LEAST_SPAN:
        return 0.0
    (recent,) = connection.execute(
        "SELECT COUNT(*) FROM events WHERE timestamp >= ?", (to_iso(now - span),)
    ).fetchone()
    return float(recent * used / rows * _DAY / span)


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def _files(directory: Path) -> Iterable[Path]:
    return (file for file in directory.iterdir() if file.is_file()) if directory.is_dir() else ()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
