"""A long history, written straight into a database: a million events in seconds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from event_monitor.bus import schema
from event_monitor.clock import Stamper

BEGUN = 1_760_000_000.0
GAP = 0.5
"""Seconds between two events."""
RARE = 50_000
"""One event in so many is of the type ``rare.find`` and is a dead letter."""
HIDDEN = 70_000
"""One event in so many holds the word needle in its payload."""

DELIVERY = "(event_id, target, state, priority, attempts, next_attempt_at, errors, updated_at)"
_TYPES = tuple(f"load.t{number}" for number in range(20))
_INSERT = (
    "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count, priority, source, route, "
    "correlation_id, causation_id) VALUES (?, ?, ?, ?, ?, 0, ?, ?, 1, ?, ?)"
)


def record(path: Path, count: int) -> None:
    """Events with the ids from 1 to ``count``, ``GAP`` seconds apart, all but the rare ones delivered."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    schema.migrate_to_newest(connection)
    connection.execute("BEGIN")
    connection.execute("INSERT INTO routes VALUES (1, ?)", ('["log","analytics"]',))
    connection.executemany(_INSERT, _events(count))
    connection.executemany(
        f"INSERT INTO deliveries {DELIVERY} VALUES (?, 'analytics', 'dead', 2, 3, NULL, ?, ?)",
        ((number, _ERRORS, _DIED) for number in range(RARE, count + 1, RARE)),
    )
    dead = count // RARE
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'accepted'", (count,))
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?)", [("delivered", count - dead), ("dead", dead)]
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.close()


_DIED = "2026-01-01T00:00:00.000000Z"
_ERRORS = json.dumps([{"at": _DIED, "error": "ValueError: no"}])


def _events(count: int) -> Iterator[tuple[Any, ...]]:
    stamp = Stamper()
    for number in range(1, count + 1):
        rare = number % RARE == 0
        word = "needle" if number % HIDDEN == 0 else "hay"
        payload = f'{{"command":"make part-{number}","exit_code":{number % 7},"note":"{word}"}}'
        yield (
            number,
            stamp(BEGUN + number * GAP),
            "rare.find" if rare else _TYPES[number % 20],
            payload,
            "dead" if rare else "delivered",
            number % 4,
            f"source-{number % 3}",
            f"c-{number // 10}" if number % 10 < 3 else None,
            number - 1 if number % 10 in (1, 2) and number > 1 else None,
        )
