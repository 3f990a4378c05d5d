"""Counts recurring sequences of steps in the store. Runs on the writer's thread, in its transactions.

Each session's last steps are kept, so that a sequence may run over several events, batches and
restarts. An event that is not newer than what its session has is left out, so a second delivery
counts nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

LONGEST = 5
MAX_SEQUENCES = 10_000
MAX_SESSIONS = 1_000
MIN_SUPPORT = 3
MIN_CONFIDENCE = 0.5

SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS learning_sequences (
        sequence TEXT PRIMARY KEY,
        length INTEGER NOT NULL,
        support INTEGER NOT NULL,
        crossed INTEGER NOT NULL DEFAULT 0,
        announced INTEGER NOT NULL DEFAULT 0,
        crossed_by INTEGER,
        first_at DATETIME NOT NULL,
        last_at DATETIME NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS learning_due ON learning_sequences(sequence) WHERE crossed > announced",
    """
    CREATE TABLE IF NOT EXISTS learning_sessions (
        session TEXT PRIMARY KEY,
        steps JSON NOT NULL,
        last_event_id INTEGER NOT NULL,
        last_at DATETIME NOT NULL
    ) WITHOUT ROWID""",
)

_COUNT = """
INSERT INTO learning_sequences (sequence, length, support, first_at, last_at) VALUES (?, ?, 1, ?, ?)
ON CONFLICT (sequence) DO UPDATE SET support = support + 1, last_at = MAX(last_at, excluded.last_at)
RETURNING support, crossed"""

_KEEP_SESSION = """
INSERT INTO learning_sessions VALUES (?, ?, ?, ?)
ON CONFLICT (session) DO UPDATE SET steps = excluded.steps, last_event_id = excluded.last_event_id,
last_at = excluded.last_at"""

# No sequence outlives a part of itself, which is at least as well supported: shares stay shares.
_FORGET_SEQUENCES = """
DELETE FROM learning_sequences WHERE sequence IN (
    SELECT sequence FROM learning_sequences ORDER BY support, length DESC, last_at LIMIT ?)"""

_FORGET_SESSIONS = """
DELETE FROM learning_sessions WHERE last_event_id <= (
    SELECT last_event_id FROM learning_sessions ORDER BY last_event_id DESC LIMIT 1 OFFSET ?)"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[str, ...]).decode


@dataclass(frozen=True, slots=True)
class Observation:
    """The steps of one event. ``fresh_after`` is the time before which its session's steps no
    longer belong to it."""

    event_id: int
    session: str
    steps: Sequence[str]
    at: str
    fresh_after: str


@dataclass(frozen=True, slots=True)
class Learned:
    """A sequence that was seen often enough. ``support`` counts its occurrences; ``confidence`` is
    the share of occurrences of all but its last step that the last step followed; ``lift`` is that
    share over the last step's share of all steps; ``threshold`` is the support that it reached."""

    sequence: tuple[str, ...]
    support: int
    confidence: float
    lift: float
    threshold: int
    event_id: int
    first_at: str
    last_at: str


def observe(
    connection: sqlite3.Connection,
    observations: Sequence[Observation],
    *,
    min_confidence: float = MIN_CONFIDENCE,
    max_sequences: int = MAX_SEQUENCES,
    max_sessions: int = MAX_SESSIONS,
) -> None:
    """Count what is new in the observations, and forget what is over the limits: the sequences with
    the least support, the sessions that are over longest."""
    for observation in observations:
        _observe(connection, observation, min_confidence)
    (excess,) = connection.execute("SELECT COUNT(*) - ? FROM learning_sequences", (max_sequences,)).fetchone()
    if excess > 0:
        connection.execute(_FORGET_SEQUENCES, (excess + max_sequences // 10,))
        # A session that went on would complete sequences whose beginning was just forgotten.
        connection.execute("UPDATE learning_sessions SET steps = '[]'")
    connection.execute(_FORGET_SESSIONS, (max_sessions,))


def read_due(connection: sqlite3.Connection) -> list[Learned]:
    """The sequences that reached a threshold which was not announced yet."""
    due = connection.execute(
        "SELECT sequence, support, crossed, crossed_by, first_at, last_at FROM learning_sequences "
        "WHERE crossed > announced ORDER BY crossed_by, length, sequence"
    ).fetchall()
    if not due:
        return []
    (total,) = connection.execute("SELECT SUM(support) FROM learning_sequences WHERE length = 1").fetchone()
    learned = []
    for text, support, crossed, event_id, first_at, last_at in due:
        sequence = _decode(text)
        confidence = support / _support(connection, sequence[:-1])
        share = _support(connection, sequence[-1:]) / total
        learned.append(
            Learned(sequence, support, confidence, confidence / share, crossed, event_id, first_at, last_at)
        )
    return learned


def mark_announced(connection: sqlite3.Connection, learned: Sequence[Learned]) -> None:
    """The thresholds of these sequences are known now."""
    connection.executemany(
        "UPDATE learning_sequences SET announced = MAX(announced, ?) WHERE sequence = ?",
        [(one.threshold, _text(one.sequence)) for one in learned],
    )


def threshold_of(support: int) -> int:
    """The highest of 3, 10, 30, 100, 300 ... that ``support`` reaches; 0 below 3."""
    reached = 0
    following, unit = MIN_SUPPORT, 10
    while following <= support:
        reached = following
        following, unit = (unit, unit) if following < unit else (3 * unit, 10 * unit)
    return reached


def _observe(connection: sqlite3.Connection, observation: Observation, min_confidence: float) -> None:
    found = connection.execute(
        "SELECT steps, last_event_id, last_at FROM learning_sessions WHERE session = ?",
        (observation.session,),
    ).fetchone()
    tail: tuple[str, ...] = ()
    if found is not None:
        if observation.event_id <= found[1]:
            return
        if found[2] >= observation.fresh_after:
            tail = _decode(found[0])
    for step in observation.steps:
        # Trying the same again and again is one step.
        if tail[-1:] != (step,):
            tail = (*tail, step)[-LONGEST:]
            _count(connection, tail, observation, min_confidence)
    connection.execute(
        _KEEP_SESSION, (observation.session, _text(tail), observation.event_id, observation.at)
    )


def _count(
    connection: sqlite3.Connection, tail: tuple[str, ...], observation: Observation, min_confidence: float
) -> None:
    """Count all sequences that end with the newest step. Of those that reach a threshold at once
    with equal support, the longest says it all and the others are not announced."""
    at = observation.at
    covered = 0
    for length in range(len(tail), 0, -1):
        sequence = tail[-length:]
        text = _text(sequence)
        support, crossed = connection.execute(_COUNT, (text, length, at, at)).fetchone()
        reached = threshold_of(support)
        if length == 1 or reached <= crossed:
            continue
        if support == covered:
            connection.execute(
                "UPDATE learning_sequences SET crossed = ?, announced = ? WHERE sequence = ?",
                (reached, reached, text),
            )
        elif support >= min_confidence * _support(connection, sequence[:-1]):
            covered = support
            connection.execute(
                "UPDATE learning_sequences SET crossed = ?, crossed_by = ? WHERE sequence = ?",
                (reached, observation.event_id, text),
            )


def _support(connection: sqlite3.Connection, sequence: Sequence[str]) -> int:
    found = connection.execute(
        "SELECT support FROM learning_sequences WHERE sequence = ?", (_text(sequence),)
    ).fetchone()
    return int(found[0]) if found else 0


def _text(sequence: Sequence[str]) -> str:
    return _encode(sequence).decode()
