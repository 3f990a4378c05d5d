"""Recorded events and replays of them, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.clock import to_iso
from event_monitor.replies.replays import ReplayReport

LONG_AGO = 1_700_000_000.0


async def record(
    bus: EventBus, events: Iterable[tuple[float, str, dict[str, Any]]], version: int = 1
) -> None:
    """Put delivered events into the store: seconds after ``LONG_AGO``, type and payload of each."""
    rows = [
        (
            bus.store.next_id(),
            to_iso(LONG_AGO + at),
            event_type,
            json.dumps(payload, separators=(",", ":")),
            version,
        )
        for at, event_type, payload in events
    ]

    def insert(ledger: Ledger) -> None:
        ledger.connection.executemany(
            "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count, schema_version) "
            "VALUES (?, ?, ?, ?, 'delivered', 0, ?)",
            rows,
        )
        ledger.counts.update(accepted=len(rows), delivered=len(rows))

    await bus.store.write(insert)


async def ended(desk: ReplayDesk, number: int) -> ReplayReport:
    """The last report of a replay."""
    return await reached(desk, number, lambda report: report.state in ("done", "stopped"))


async def reached(desk: ReplayDesk, number: int, condition: Any) -> ReplayReport:
    """A replay's report once ``condition`` holds of it."""
    async with asyncio.timeout(30):
        while not condition(report := desk.report(number)):  # noqa: ASYNC110 - it is another task that changes it
            await asyncio.sleep(0.01)
    return report
