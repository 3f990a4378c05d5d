"""Takes exported events into history, each once, and without delivering them unless told to.

An event is known again by the digest of its line; by its number, if the store holds that very event; and
by its idempotency key. Its number is a new one. Where it names another event as its cause or as what it
replays, the new number stands if that one was imported by the same run, else nothing does: a number of
another store means nothing here.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from cachetools import LRUCache
from msgspec import Meta

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.ledger import EventRow, Ledger
from event_monitor.bus.storms import GO_ON
from event_monitor.bus.upkeep import Upkeep
from event_monitor.clock import from_iso
from event_monitor.errors import BusFull, EventMonitorError, InvalidEvent
from event_monitor.model import Priority, Status
from event_monitor.replies.general import LineError
from event_monitor.replies.store import ImportedLines
from event_monitor.validation import check_event_type, check_name, check_payload

_RUNS = 4
_REMEMBERED = 100_000
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = datetime.min.replace(tzinfo=UTC)
_NUMBER = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ImportedEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a line may say: the fields of ``Event``. Others are let pass."""

    event_type: str
    timestamp: str
    payload: dict[str, Any] = {}
    priority: Priority = Priority.NORMAL
    status: Status = Status.DELIVERED
    retry_count: _NUMBER = 0
    id: _NUMBER | None = None
    source: str | None = None
    key: str | None = None
    expires_at: str | None = None
    schema_version: Annotated[int, Meta(ge=1, le=2**63 - 1)] = 1
    correlation_id: str | None = None
    causation_id: _NUMBER | None = None
    replay_of: _NUMBER | None = None
    traceparent: str | None = None
    depth: _NUMBER = 0


_decode = msgspec.json.Decoder(ImportedEvent).decode
_canonical = msgspec.json.Encoder(order="deterministic").encode


class _Line(msgspec.Struct):
    """A line that can be taken: its number in the request, its event, its payload as JSON."""

    number: int
    event: ImportedEvent
    payload: str
    digest: bytes


class Importer:
    """Imports into one bus."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._upkeep = Upkeep(bus.store, bus.clock)
        self._runs: LRUCache[str, LRUCache[int, int]] = LRUCache(_RUNS)

    async def take(self, lines: Sequence[str], run: str, *, deliver: bool) -> ImportedLines:
        """Import lines. What is wrong with one is said and harms no other. Raises ``StoreUnavailable``."""
        errors: list[LineError] = []
        good: list[_Line] = []
        for number, text in enumerate(lines):
            try:
                good.append(self._read(number, text))
            except EventMonitorError as error:
                errors.append(LineError(number, error.code, str(error)))
        numbers = self._runs.setdefault(run, LRUCache(_REMEMBERED))
        accepted = duplicates = 0
        upkeep = self._upkeep
        while good:
            if deliver:
                line = good.pop(0)
                try:
                    fresh = int(await self._deliver(line, numbers))
                except BusFull as error:
                    errors += [LineError(one.number, error.code, str(error)) for one in (line, *good)]
                    break
                accepted, duplicates = accepted + fresh, duplicates + 1 - fresh
            else:
                part = good[: upkeep.size]
                del good[: len(part)]
                ids = [self._bus.store.next_id() for _ in part]
                fresh = await upkeep.step(lambda ledger, _: _record(ledger, part, ids, numbers))  # noqa: B023
                accepted, duplicates = accepted + fresh, duplicates + len(part) - fresh
        return ImportedLines(accepted=accepted, duplicates=duplicates, errors=errors)

    def _read(self, number: int, text: str) -> _Line:
        """Understand a line. Raises ``InvalidEvent``."""
        try:
            event = _decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidEvent(f"not an exported event: {error}", "see event-cli store export") from None
        check_event_type(event.event_type)
        for name in ("key", "source", "correlation_id", "traceparent"):
            if (value := getattr(event, name)) is not None:
                check_name(name, value)
        limits = self._bus.settings.bus
        payload = check_payload(event.payload, limits.max_payload_bytes, limits.max_payload_depth)
        changed = {name: _time(getattr(event, name), name) for name in ("timestamp", "expires_at")}
        event = msgspec.structs.replace(event, **changed)
        return _Line(number, event, payload.decode(), hashlib.sha256(_canonical(event)).digest()[:16])

    async def _deliver(self, line: _Line, numbers: LRUCache[int, int]) -> bool:
        """Have an event go where it would go today, unless it is known or its time has passed."""
        event, bus = line.event, self._bus
        known = await bus.store.read(lambda connection: _find(connection, line))
        left = None if event.expires_at is None else from_iso(event.expires_at) - bus.clock.steady()
        if known is not None:
            _remember(numbers, event, known)
            return False
        if left is not None and left <= 0:
            one = msgspec.structs.replace(event, status=Status.EXPIRED)
            aside = [_Line(line.number, one, line.payload, line.digest)]
            ids = [bus.store.next_id()]
            return bool(await bus.store.write(lambda ledger: _record(ledger, aside, ids, numbers)))
        future, receipt = bus.submit(
            event.event_type,
            event.payload,
            priority=event.priority,
            key=event.key or _key(line.digest),
            ttl=left,
            source=event.source,
            correlation_id=event.correlation_id,
            causation_id=_mapped(numbers, event.causation_id),
            depth=event.depth,
            schema_version=event.schema_version,
            traceparent=event.traceparent,
            verdict=GO_ON,
            timestamp=event.timestamp,
        )
        event_id = await future
        _remember(numbers, event, event_id)
        return event_id == receipt.id


def _record(ledger: Ledger, lines: Sequence[_Line], ids: Sequence[int], numbers: LRUCache[int, int]) -> int:
    """Write those of the events that are not known. Answers how many."""
    connection, fresh = ledger.connection, 0
    for line, event_id in zip(lines, ids, strict=True):
        known = _find(connection, line)
        _remember(numbers, line.event, event_id if known is None else known)
        if known is None:
            status = _status(line.event)
            ledger.insert_past(_row(line, event_id, status, numbers), status)
            connection.execute("INSERT INTO imports VALUES (?, ?)", (line.digest, event_id))
            fresh += 1
    return fresh


def _find(connection: sqlite3.Connection, line: _Line) -> int | None:
    """The number under which the store knows the event of a line."""
    event = line.event
    found = connection.execute("SELECT event_id FROM imports WHERE digest = ?", (line.digest,)).fetchone()
    if found is None and event.id is not None:
        found = connection.execute(
            "SELECT id FROM events WHERE id = ? AND timestamp = ? AND event_type = ? AND payload = ?",
            (event.id, event.timestamp, event.event_type, line.payload),
        ).fetchone()
    for key in (event.key, _key(line.digest)):
        if found is None and key is not None:
            found = connection.execute("SELECT id FROM events WHERE key = ?", (key,)).fetchone()
    return None if found is None else int(found[0])


def _status(event: ImportedEvent) -> str:
    # Nobody delivers what was pending: it was recorded only, as what a storm rule samples out is.
    return (Status.SAMPLED if event.status is Status.PENDING else event.status).value


def _row(line: _Line, event_id: int, status: str, numbers: LRUCache[int, int]) -> EventRow:
    event = line.event
    return (
        event_id,
        event.timestamp,
        event.event_type,
        line.payload,
        status,
        event.retry_count,
        event.priority.rank,
        None,
        0,
        event.source,
        event.key,
        event.expires_at,
        event.schema_version,
        event.correlation_id,
        _mapped(numbers, event.causation_id),
        _mapped(numbers, event.replay_of),
        event.traceparent,
        event.depth,
    )


def _remember(numbers: LRUCache[int, int], event: ImportedEvent, event_id: int) -> None:
    if event.id is not None:
        numbers[event.id] = event_id


def _mapped(numbers: LRUCache[int, int], number: int | None) -> int | None:
    return None if number is None else numbers.get(number)


def _key(digest: bytes) -> str:
    return f"import:{digest.hex()}"


def _time(text: str | None, name: str) -> str | None:
    """A time as the store writes it. Raises ``InvalidEvent``."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        moment = _NEVER
    if moment < _EARLIEST:
        raise InvalidEvent(f"$.{name}: {text[:40]!r} is no time", "write it as 2026-11-26T08:30:00Z")
    # By way of seconds as a number a microsecond would be lost here and there.
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
