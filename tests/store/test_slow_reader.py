"""Another process with an open read transaction: the log cannot shrink, publishing goes on, it is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.processes import Headless, wait_for

LIMIT = 12 * 1024 * 1024
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT COUNT(*) FROM events").fetchone()
print("reading", flush=True)
sys.stdin.read()
"""
TITLE = "The store's write-ahead log is large"


def test_a_slow_reader_is_named_in_one_alert_until_it_has_gone(home: Path) -> None:
    (home / "event-bus").mkdir(parents=True)
    (home / "event-bus" / "event-monitor.yaml").write_text(f"watch: {{wal: {LIMIT}, interval: 0.1}}\n")
    database, wal = home / "event-bus" / "events.db", home / "event-bus" / "events.db-wal"
    running = Headless(home)
    try:
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert reader.stdin is not None and reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"

        def told() -> list[Any]:
            alerts = running.ask(do="query_alerts")["alerts"]
            return [alert for alert in alerts if alert["title"] == TITLE]

        while wal.stat().st_size <= LIMIT:
            running.ask(do="publish", event_type="large.one", payload={"text": "x" * 200_000})
        wait_for(told)
        # It says who reads, at once or as soon as a checkpoint has met the reader.
        (alert,) = wait_for(lambda: [one for one in told() if f"({reader.pid})" in one["detail"]])
        assert running.ask(do="get_store_stats")["wal_pinned"]
        reply = running.ask(do="publish", event_type="small.one", payload={})
        assert reply["status"] == "accepted", "publishing goes on"
        reader.stdin.close()
        reader.wait()
        reader.stdout.close()
        # Nothing more is written: it becomes small by itself.
        (alert,) = wait_for(lambda: [one for one in told() if one["acknowledged"]])
        assert (alert["count"], wal.stat().st_size < LIMIT) == (1, True)
        assert not running.ask(do="get_store_stats")["wal_pinned"]
    finally:
        assert running.stop() == 0
