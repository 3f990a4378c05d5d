"""kill -9 in the middle of long work on the store: afterwards there is a good one, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus.store_copy import back_up
from tests.bench.backlog import fill_history
from tests.bus.helpers import rows
from tests.cli.scripted import Cli
from tests.processes import Headless, headless, wait_for
from tests.store.test_check import filled, problems

KILLED_AT = """
import os, sys
from pathlib import Path
from event_monitor.bus import store_copy
name, at, work, *paths = sys.argv[1:]
left = int(at)

def die(*arguments, **options):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), 9)
    return original(*arguments, **options)

if name == "moved":
    original = moved = lambda done, total: None
    moved = die
else:
    moved = lambda done, total: None
    owner = os if name in ("replace", "link") else store_copy
    original = getattr(owner, name)
    setattr(owner, name, die)
store_copy.STEP_PAGES = 4
getattr(store_copy, work)(*map(Path, paths), moved)
"""


def killed(name: str, at: int, work: str, *paths: Path) -> None:
    command = [sys.executable, "-c", KILLED_AT, name, str(at), work, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize(
    ("name", "at"),
    [("moved", 1), ("moved", 3), ("_check_copy", 1), ("_keep_ids", 1), ("_finish", 1), ("_set_aside", 1),
     ("link", 1), ("replace", 1), ("sync_directory", 1)],
)  # fmt: skip
async def test_a_restore_that_is_killed_leaves_the_old_store_or_the_new_one(
    tmp_path: Path, name: str, at: int
) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"
    await filled(path)
    back_up(path, copy, lambda done, total: None)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET source = 'old'")
    connection.close()
    killed(name, at, "restore", copy, path)
    assert problems(path) == []
    source = "old" if name != "sync_directory" else None
    assert rows(path, "SELECT DISTINCT source FROM events") == [(source,)]


@pytest.mark.parametrize("name", ["_check_copy", "_finish", "replace", "sync_directory"])
async def test_a_store_that_is_being_written_anew_is_whole_when_that_is_killed(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    killed(name, 1, "rewrite", path)
    assert problems(path) == []
    assert rows(path, "SELECT COUNT(*) FROM events") == [(3,)]


@pytest.mark.parametrize("name", ["moved", "_check_copy", "_finish", "link"])
async def test_a_backup_that_is_killed_is_not_there(tmp_path: Path, name: str) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"
    await filled(path)
    killed(name, 1, "back_up", path, copy)
    assert not copy.exists()
    assert problems(path) == []


def sound(home: Path) -> None:
    """Its account balances once all is settled, says the command itself."""
    with headless(home) as running:
        wait_for(lambda: running.ask(do="get_stats")["pending"] == 0)
        checked = Cli(home)("store", "check")
    assert (checked.status, checked.json["problems"], checked.json["note"]) == (0, [], "sound")


def begun(running: Headless, **work: Any) -> None:
    """Begin work and return while it is under way, some of it done."""
    number = running.ask(do="start_store_work", **work)["id"]

    def moved() -> bool:
        found = running.ask(do="query_store_work", work_id=number)
        return found["done"] > 0 or found["state"] != "running"

    wait_for(moved)


def test_a_bus_that_is_killed_while_it_backs_up_and_compacts_loses_nothing(home: Path) -> None:
    database = home / "event-bus" / "events.db"
    database.parent.mkdir(parents=True)
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    now = datetime.now(UTC)
    fill_history(database, 8_000, now - timedelta(days=1), now)
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM events WHERE id > 2000")
        connection.execute("INSERT OR REPLACE INTO counters VALUES ('highest_id', 8000)")
    connection.close()
    size = database.stat().st_size
    target = home.parent / "copy.db"
    for work in ({"kind": "backup", "path": str(target)}, {"kind": "compact"}):
        running = Headless(home)
        begun(running, **work)
        published = running.ask(do="publish", event_type="a.b", payload={})["id"]
        running.kill()
        assert rows(database, "SELECT COUNT(*) FROM events WHERE id = ?", published) == [(1,)]
        assert not target.exists() or problems(target) == []
    sound(home)
    with headless(home):
        assert Cli(home)("store", "compact").status == 0
    assert database.stat().st_size < size / 2


def test_an_import_whose_bus_is_killed_is_finished_by_importing_again(home: Path) -> None:
    count, at = 2_500, "2026-11-20T08:00:00Z"
    file = home.parent / "events.jsonl"
    file.write_text(
        "".join(
            json.dumps({"event_type": "a.b", "timestamp": at, "id": n, "payload": {"n": n}}) + "\n"
            for n in range(1, count + 1)
        )
    )
    database, cli = home / "event-bus" / "events.db", Cli(home)
    running = Headless(home)
    taking = cli.start("store", "import", str(file), stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def imported() -> int:
        return int(rows(database, "SELECT COUNT(*) FROM imports")[0][0])

    wait_for(imported)
    running.kill()
    _, errors = taking.communicate(timeout=60)
    assert taking.returncode == 3, errors
    assert b"import the file again" in errors
    before = imported()
    assert 0 < before < count
    with headless(home):
        again = cli("store", "import", str(file))
        assert (again.status, again.json) == (
            0,
            {"accepted": count - before, "duplicates": before, "refused": 0},
        )
    counts = "SELECT COUNT(*), COUNT(DISTINCT payload ->> '$.n') FROM events WHERE event_type = 'a.b'"
    assert rows(database, counts) == [(count, count)]
    sound(home)


def test_without_its_caller_a_process_that_stands_in_ends(home: Path) -> None:
    with headless(home):
        pass
    export = Cli(home).start("store", "export", stdout=subprocess.PIPE)
    children = Path(f"/proc/{export.pid}/task/{export.pid}/children")
    child = int(wait_for(lambda: children.read_text().split())[0])
    export.kill()
    export.communicate()
    wait_for(lambda: not _lives(child))


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_the_home_is_locked_while_its_store_is_replaced(home: Path) -> None:
    with headless(home) as running:
        target = home.parent / "copy.db"
        assert Cli(home)("store", "backup", str(target)).status == 0
        refused = Cli(home)("store", "restore", str(target), "--yes")
        assert (refused.status, "stop event-monitor" in refused.err) == (1, True)
        os.unlink(running.socket)
        # It lives, though nobody can speak to it.
        refused = Cli(home)("store", "restore", str(target), "--yes")
        assert (refused.status, "runs on" in refused.err) == (1, True)
