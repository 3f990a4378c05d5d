"""Dead letters by what they have in common, and which of them a person means. Runs on a thread of the store.

A group is an event type, a target and a kind of error (``fingerprint``). A letter is put into its group
when it is written, so that counting and walking a group never reads the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from event_monitor.bus.fingerprint import fingerprint
from event_monitor.errors import NotFound
from event_monitor.model import DeliveryError
from event_monitor.replies.dead_letters import DeadGroup, DeadGroups
from event_monitor.topics import TopicPattern

Place = tuple[int, str]
"""Where a letter stands: its event's id and its target."""

# How many letters one step may look at, so that it stays short.
SCAN = 5_000

_decode_errors = msgspec.json.Decoder(tuple[DeliveryError, ...]).decode


def group_of(connection: sqlite3.Connection, event_type: str, target: str, errors: str) -> int:
    """The number of the group of a letter, whose ``errors`` are JSON; made if there was none."""
    known = _decode_errors(errors)
    key = (event_type, target, fingerprint(known[-1].error if known else ""))
    row = connection.execute(
        "SELECT id FROM dead_groups WHERE event_type = ? AND target = ? AND error = ?", key
    ).fetchone()
    # An upsert would use up a number for each letter.
    row = (
        row
        or connection.execute(
            "INSERT INTO dead_groups (event_type, target, error) VALUES (?, ?, ?) RETURNING id", key
        ).fetchone()
    )
    return int(row[0])


_EMPTY = "NOT EXISTS (SELECT 1 FROM deliveries WHERE state = 'dead' AND dead_group = dead_groups.id)"


def has_empty_groups(connection: sqlite3.Connection) -> bool:
    """Whether there are groups that no letter belongs to."""
    return connection.execute(f"SELECT 1 FROM dead_groups WHERE {_EMPTY} LIMIT 1").fetchone() is not None


def forget_empty_groups(connection: sqlite3.Connection) -> None:
    """Forget the groups that no letter belongs to. Their numbers are not used again."""
    connection.execute(f"DELETE FROM dead_groups WHERE {_EMPTY}")


@dataclass(frozen=True, slots=True)
class Letters:
    """Which dead letters are meant: those that fit everything that is named, one of ``groups`` if there are
    any. ``until`` leaves out what was given up later than that."""

    pattern: TopicPattern | None = None
    target: str | None = None
    event_id: int | None = None
    groups: tuple[int, ...] = ()
    until: str | None = None


def choose(
    connection: sqlite3.Connection, wanted: Letters, after: Place | None, limit: int
) -> tuple[list[Place], Place | None]:
    """The next letters that are meant, by event and target, and the place to go on from, which is
    ``None`` at the end. A step may choose few or none of the letters that it has looked at."""
    conditions: list[str] = ["state = 'dead'"]
    values: list[Any] = []
    one_group = len(wanted.groups) == 1
    if wanted.event_id is not None:
        conditions.append("event_id = ?")
        values.append(wanted.event_id)
    elif one_group:
        conditions.append("dead_group = ?")
        values.extend(wanted.groups)
    if after is not None:
        conditions.append("(event_id, target) > (?, ?)")
        values.extend(after)
    by = "deliveries_group" if one_group and wanted.event_id is None else "deliveries_dead"
    fits = _test(connection, wanted)
    chosen: list[Place] = []
    rows = connection.execute(
        f"SELECT event_id, target, dead_group, updated_at FROM deliveries INDEXED BY {by} "
        f"WHERE {' AND '.join(conditions)} ORDER BY event_id, target LIMIT ?",
        (*values, SCAN),
    )
    for scanned, (event_id, target, group, at) in enumerate(rows, 1):
        if fits(target, group, at):
            chosen.append((event_id, target))
        if len(chosen) == limit or scanned == SCAN:
            return chosen, (event_id, target)
    return chosen, None


def count(connection: sqlite3.Connection, wanted: Letters) -> int:
    """How many letters are meant."""
    if wanted.event_id is not None:
        return len(choose(connection, wanted, None, SCAN)[0])
    condition = ""
    values: list[Any] = [*wanted.groups]
    if wanted.groups:
        condition += f" AND dead_group IN ({', '.join('?' * len(wanted.groups))})"
    if wanted.until is not None:
        condition += " AND updated_at <= ?"
        values.append(wanted.until)
    fits = _test(connection, wanted)
    rows = connection.execute(
        "SELECT g.target, d.dead_group, d.letters FROM (SELECT dead_group, COUNT(*) AS letters "
        f"FROM deliveries INDEXED BY deliveries_group WHERE state = 'dead'{condition} GROUP BY dead_group) d "
        "JOIN dead_groups g ON g.id = d.dead_group",
        values,
    )
    return sum(letters for target, group, letters in rows if fits(target, group, ""))


def _test(connection: sqlite3.Connection, wanted: Letters) -> Callable[[str, int, str], bool]:
    pattern = wanted.pattern
    groups = set(wanted.groups) if wanted.groups else None
    if pattern is not None:
        known = connection.execute("SELECT id, event_type FROM dead_groups")
        typed = {number for number, event_type in known if pattern.matches(event_type)}
        groups = typed if groups is None else typed & groups

    def fits(target: str, group: int, at: str) -> bool:
        return (
            (wanted.target is None or target == wanted.target)
            and (groups is None or group in groups)
            and (wanted.until is None or at <= wanted.until)
        )

    return fits


def read_groups(
    connection: sqlite3.Connection,
    fits: Callable[[str, str, str], bool],
    *,
    at: str,
    limit: int,
) -> DeadGroups:
    """The groups whose type, target and error fit, those with most letters first, at most ``limit``."""
    rows = connection.execute(
        "SELECT g.id, g.event_type, g.target, g.error, d.letters, d.first_at, d.last_at, d.first_id, "
        "d.last_id FROM (SELECT dead_group, COUNT(*) AS letters, MIN(updated_at) AS first_at, "
        "MAX(updated_at) AS last_at, MIN(event_id) AS first_id, MAX(event_id) AS last_id "
        "FROM deliveries INDEXED BY deliveries_group WHERE state = 'dead' GROUP BY dead_group) d "
        "JOIN dead_groups g ON g.id = d.dead_group ORDER BY d.letters DESC, g.id"
    ).fetchall()
    chosen = [row for row in rows if fits(row[1], row[2], row[3])]
    return DeadGroups(
        groups=[_group(connection, row) for row in chosen[:limit]],
        total=len(chosen),
        letters=sum(row[4] for row in chosen),
        at=at,
    )


def _group(connection: sqlite3.Connection, row: Sequence[Any]) -> DeadGroup:
    number, event_type, target, error, letters, first_at, last_at, first_id, last_id = row
    return DeadGroup(
        id=number,
        event_type=event_type,
        target=target,
        error=error,
        letters=letters,
        first_at=first_at,
        last_at=last_at,
        first_id=first_id,
        last_id=last_id,
        sample=_sample(connection, last_id, target),
    )


def _sample(connection: sqlite3.Connection, event_id: int, target: str) -> str:
    row = connection.execute(
        "SELECT errors FROM deliveries WHERE event_id = ? AND target = ?", (event_id, target)
    ).fetchone()
    known = _decode_errors(row[0]) if row is not None else ()
    return known[-1].error if known else ""


def check_groups(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Raise ``NotFound`` if none of these groups is known. Of several some may be settled meanwhile."""
    for number in numbers:
        if connection.execute("SELECT 1 FROM dead_groups WHERE id = ?", (number,)).fetchone() is not None:
            return
    named = ", ".join(map(str, numbers[:5]))
    raise NotFound(f"no group of dead letters has the number {named}", "list them: event-cli dlq groups")
