"""event-cli store as a person and a script use it, with a bus and without one."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.scripted import Cli
from tests.processes import Headless, headless, wait_for


def events(home: Path, count: int = 3) -> None:
    with headless(home) as running:
        for number in range(count):
            running.ask(do="publish", event_type=f"load.t{number % 2}", payload={"n": number})
        wait_for(lambda: running.ask(do="get_stats")["pending"] == 0)


def test_all_that_needs_no_bus_works_without_one(home: Path, tmp_path: Path) -> None:
    cli = Cli(home)
    empty = cli("store", "stats")
    assert (empty.status, "there is no database" in empty.err) == (1, True)
    events(home)
    stats = cli("store", "stats").json
    assert (stats["events"]["delivered"], stats["events"]["pending"], stats["gives_back"]) == (4, 0, True)
    assert (stats["wal"], stats["full_in"], stats["aside"]) == (0, None, [])
    assert cli("store", "check").json["note"] == "sound"
    backup = cli("store", "backup", str(tmp_path / "copy.db")).json
    assert (backup["state"], backup["size"]) == ("done", (tmp_path / "copy.db").stat().st_size)
    exported = cli("store", "export", "--type", "load.t0").lines
    assert [event["payload"]["n"] for event in exported] == [0, 2]
    assert cli("store", "compact", "--full", "--yes").json["state"] == "done"
    restored = cli("store", "restore", str(tmp_path / "copy.db"), "--yes").json
    assert (restored["state"], "4 events" in restored["note"]) == ("done", True)
    assert len(cli("store", "stats").json["aside"]) == 1
    refused = cli("store", "import", str(tmp_path / "copy.db"))
    assert (refused.status, "no bus is running" in refused.err) == (3, True)
    asked = cli("store", "restore", str(tmp_path / "copy.db"))
    assert (asked.status, "--yes" in asked.err) == (2, True)


def test_history_goes_from_one_home_to_another(home: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    events(home)
    file = tmp_path / "events.jsonl"
    done = Cli(home)("store", "export", str(file), "--until", "2100-01-01", "--status", "delivered")
    assert (done.status, done.out, "4 events exported" in done.err) == (0, "", True)
    assert file.stat().st_mode & 0o777 == 0o600
    lines = file.read_bytes() + b'not json\n\n{"event_type": "a.b"}\n'
    with headless(there) as running:
        taken = Cli(there)("store", "import", "-", stdin=lines)
        assert (taken.status, taken.json) == (2, {"accepted": 4, "duplicates": 0, "refused": 2})
        assert [line.split(":")[1] for line in taken.err.splitlines()] == [" line 5", " line 7"]
        again = Cli(there)("store", "import", str(file))
        assert (again.status, again.json) == (0, {"accepted": 0, "duplicates": 4, "refused": 0})
        assert running.ask(do="get_store_stats")["rows"]["imports"] == 4
    one, other = (Cli(place)("store", "export", "--type", "load.#").lines for place in (home, there))
    for event in one + other:
        del event["id"]
    assert one == other


def test_a_backup_of_a_running_bus_is_verified_as_any_backup_is(home: Path, tmp_path: Path) -> None:
    with headless(home) as running:
        running.ask(do="publish", event_type="a.b", payload={})
        # A relative name is meant from where the person stands.
        done = subprocess.run(
            [*Cli(home).command, "store", "backup", "copy.db"],
            cwd=tmp_path, env=Cli(home).environ, capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()

        def verified() -> list[Any]:
            found = running.ask(do="query_events", type="backup.verified")["events"]
            return [event["payload"]["path"] for event in found]

        assert wait_for(verified) == [str(tmp_path / "copy.db")]
        taken = Cli(home)("store", "backup", str(tmp_path / "copy.db"))
        assert (taken.status, "exists already" in taken.err) == (1, True)
        assert Cli(home)("store", "check", str(tmp_path / "copy.db")).json["note"] == "sound"


def test_a_check_that_finds_something_says_so_by_its_status_and_an_alert(home: Path) -> None:
    events(home)
    with sqlite3.connect(home / "event-bus" / "events.db") as connection:
        connection.execute("UPDATE events SET status = 'lost' WHERE id = 2")
    connection.close()
    found = Cli(home)("store", "check", "--output", "table")
    assert (found.status, "event 2 has a status that is none" in found.out) == (1, True)
    with headless(home) as running:
        assert Cli(home)("store", "check").status == 1
        titles = [alert["title"] for alert in running.ask(do="query_alerts")["alerts"]]
        assert "The store's account does not balance" in titles


def test_an_old_store_is_told_to_be_written_anew_once(home: Path) -> None:
    database = home / "event-bus" / "events.db"
    database.parent.mkdir(parents=True)
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with headless(home):
        refused = Cli(home)("store", "compact")
        assert (refused.status, "compact --full" in refused.err) == (1, True)
    assert Cli(home)("store", "compact", "--full", "--yes").status == 0
    with headless(home):
        assert Cli(home)("store", "compact").status == 0


def test_an_unfinished_export_leaves_no_file_and_a_reader_may_go(home: Path, tmp_path: Path) -> None:
    events(home)
    done = Cli(home)("store", "export", str(tmp_path / "missing" / "e.jsonl"))
    assert (done.status, "No such file" in done.err) == (1, True)
    broken = Cli(home)("store", "export", str(tmp_path / "e.jsonl"), "--filter", "(")
    assert (broken.status, [name for name in os.listdir(tmp_path) if name.startswith("e.")]) == (2, [])
    piped = Cli(home).start("store", "export", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert piped.stdout is not None and piped.stderr is not None
    piped.stdout.close()
    assert piped.stderr.read() == b""
    assert piped.wait(timeout=30) == 0
    piped.stderr.close()


def test_one_piece_of_work_at_a_time_and_an_end_to_it(home: Path) -> None:
    running = Headless(home)
    try:
        with pytest.raises(AssertionError, match="no work on the store"):
            running.ask(do="query_store_work")
        first = running.ask(do="start_store_work", kind="check")
        ended = running.ask(do="cancel_store_work", work_id=first["id"])
        assert ended["state"] in ("cancelled", "done")
        with pytest.raises(AssertionError, match="full path"):
            running.ask(do="start_store_work", kind="backup", path="copy.db")
        with pytest.raises(AssertionError, match="needs a file"):
            running.ask(do="start_store_work", kind="backup")
    finally:
        assert running.stop() == 0


def test_growth_and_when_the_disk_is_full_are_told(tmp_path: Path) -> None:
    from event_monitor.bus import schema
    from event_monitor.bus.store_stats import read_stats
    from event_monitor.clock import to_iso

    path = tmp_path / "events.db"
    now = time.time()
    connection = sqlite3.connect(path, isolation_level=None)
    schema.migrate_to_newest(connection)
    connection.execute("BEGIN")
    for number in range(200):
        connection.execute(
            "INSERT INTO events (timestamp, event_type, payload, status) VALUES (?, 'a', ?, 'delivered')",
            (to_iso(now - number * 3_600), json.dumps({"text": "x" * 5_000})),
        )
    connection.execute("COMMIT")
    connection.close()

    def look(days: float) -> Any:
        return read_stats(path, now, days, logs=tmp_path / "logs", spool=tmp_path / "spool")

    stats = look(30)
    used = stats.size - stats.free
    assert 23 <= stats.growth / (used / 200) <= 25, "a day's events of their mean size"
    assert stats.full_in is None
    assert stats.levels_off_at == pytest.approx(stats.growth * 30, rel=0.01)
    for_ever = look(1e9)
    assert for_ever.full_in == pytest.approx(for_ever.disk_free / stats.growth, rel=0.1)
