"""The limit: SQLite alone in one thread, with our table and indexes, rows prepared beforehand.

``python -m tests.bench.workers.raw_sqlite DIRECTORY DURABILITY SECONDS BATCH insert|settle``.
``settle`` marks the batch before as delivered in the transaction of the next one and moves the
counters, which is what our ledger writes for events that went through.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path

from event_monitor.bus import schema
from tests.bench.measure import PAYLOAD

INSERT = (
    "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count, priority, queued, route, "
    "source, key, expires_at, schema_version, correlation_id, causation_id, replay_of, traceparent, depth) "
    "VALUES (?, ?, ?, ?, 'pending', 0, 2, 1, 1, NULL, NULL, NULL, 1, NULL, NULL, NULL, NULL, 0)"
)
SETTLE = "UPDATE events SET status = 'delivered', queued = NULL WHERE id BETWEEN ? AND ?"
COUNT = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
PREPARED = 400_000


def run(directory: Path, durability: str, seconds: float, batch: int, *, settle: bool) -> dict[str, float]:
    connection = sqlite3.connect(directory / "events.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA cache_size = -8000")
    connection.execute(f"PRAGMA synchronous = {durability.upper()}")
    schema.migrate_to_newest(connection)
    payload = json.dumps(PAYLOAD, separators=(",", ":"))
    rows = [
        (number, f"2026-11-23T00:{number // 60_000:02d}:{number // 1_000 % 60:02d}.{number % 1_000:03d}000Z",
         f"order.t{number % 20}", payload)
        for number in range(1, PREPARED + 1)
    ]  # fmt: skip
    clock = time.perf_counter
    begun = clock()
    done = 0
    settled = 0
    while clock() - begun < seconds and done + batch <= PREPARED:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows[done : done + batch])
        if settle and settled < done:
            connection.execute(SETTLE, (settled + 1, done))
            connection.executemany(COUNT, [("accepted", batch), ("delivered", done - settled)])
            settled = done
        connection.execute("COMMIT")
        done += batch
    if settle:
        connection.execute(SETTLE, (settled + 1, done))
    elapsed = clock() - begun
    connection.close()
    return {"events_per_s": done / elapsed, "events": done, "seconds": elapsed}


if __name__ == "__main__":
    answer = run(
        Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), settle=sys.argv[5] == "settle"
    )
    print(json.dumps(answer))
