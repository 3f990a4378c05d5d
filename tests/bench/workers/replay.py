"""Plans and replays a recorded history, beside a bare scan of the same pages.

``python -m tests.bench.workers.replay DIRECTORY COUNT``. The scan reads keyset pages of a thousand rows in
this process's only other thread and decodes each payload, as any reader of history must.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from event_monitor.bus import schema
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.inflight import Pending
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.bus.rules import RuleSet, load_rules
from event_monitor.clock import to_iso
from event_monitor.config import Settings
from event_monitor.messages import PlanReplay, StartReplay
from event_monitor.model import ReplayState
from tests.bench.measure import PAYLOAD

PAGE = 1_000
BEGUN = 1_700_000_000.0
SPAN = {"since": to_iso(BEGUN), "until": to_iso(BEGUN + 1e8)}
BY_TYPE = {"load.#": ["log"]}
BY_PAYLOAD = {"load.t1": {"targets": ["count"], "filter": {"path": "$.channel", "regex": "^web$"}}}


def rules(*parts: dict[str, Any]) -> RuleSet:
    """The rules that these parts of a file make."""
    routing = {pattern: rule for part in parts for pattern, rule in part.items()}
    return load_rules(json.dumps({"routing": routing}), "bench", {"log", "count"})


def record(path: Path, count: int) -> None:
    """Events that were delivered, twenty types, ten milliseconds apart."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    schema.migrate_to_newest(connection)
    connection.execute("PRAGMA synchronous = OFF")
    payload = json.dumps(PAYLOAD, separators=(",", ":"))
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count) "
        "VALUES (?, ?, ?, ?, 'delivered', 0)",
        ((n, to_iso(BEGUN + n / 100), f"load.t{n % 20}", payload) for n in range(1, count + 1)),
    )
    connection.executemany("INSERT INTO counters VALUES (?, ?)", [("delivered", count)])
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'accepted'", (count,))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.close()


async def scan(bus: EventBus, count: int) -> float:
    """Seconds that bare pages over all events take."""
    decode = msgspec.json.Decoder(dict).decode

    def page(connection: sqlite3.Connection, after: int) -> tuple[int, int]:
        rows = connection.execute(
            "SELECT id, timestamp, event_type, payload FROM events WHERE id > ? ORDER BY id LIMIT ?",
            (after, PAGE),
        ).fetchall()
        for row in rows:
            decode(row[3])
        return len(rows), rows[-1][0] if rows else after

    begun = time.perf_counter()
    seen = after = 0
    while seen < count:
        read, after = await bus.store.read(lambda connection, after=after: page(connection, after))  # type: ignore[misc]
        seen += read
    return time.perf_counter() - begun


async def run(directory: Path, count: int) -> dict[str, float]:
    path = directory / "events.db"
    record(path, count)
    handled = 0

    async def handle(batch: Sequence[Pending]) -> None:
        nonlocal handled
        handled += len(batch)

    bus = await EventBus.open(path, settings=Settings(), rules=rules(BY_TYPE))
    bus.add_target("log", handle, batch_size=256)
    bus.add_target("count", handle, batch_size=256)
    clock = time.perf_counter
    async with bus:
        desk = ReplayDesk(bus)
        await desk.start()
        await scan(bus, count)
        scanned = await scan(bus, count)
        times = {}
        for name, chosen, request in (
            ("dry_run", (BY_TYPE,), PlanReplay(**SPAN)),
            ("dry_run_routed", (BY_TYPE, BY_PAYLOAD), PlanReplay(**SPAN)),
            ("dry_run_filter", (BY_TYPE, BY_PAYLOAD), PlanReplay(**SPAN, filter='"channel":"web"')),
        ):
            bus.rules = rules(*chosen)
            begun = clock()
            plan = await desk.plan(request)
            times[name] = clock() - begun
            assert plan.events == count, plan
        begun = clock()
        number = (await desk.begin(StartReplay(**SPAN, speed="max"))).id
        while desk.report(number).state is not ReplayState.DONE:  # noqa: ASYNC110 - as any other watcher
            await asyncio.sleep(0.01)
        times["max"] = clock() - begun
        assert desk.report(number).replayed == count
        await bus.settled()
        assert handled == count + count // 20, handled
        await desk.stop()
    return {
        "scan_per_s": count / scanned,
        **{f"{name}_per_s": count / seconds for name, seconds in times.items()},
    }


if __name__ == "__main__":
    _, where, events = sys.argv
    print(json.dumps(asyncio.run(run(Path(where), int(events)))))
