"""Files that are not what they should be: set aside and told of, never deleted, never a crash loop."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from event_monitor.bus.store import EventStore
from event_monitor.chaos.damage import overwrite_every_page
from event_monitor.errors import StoreTooNew, StoreUnavailable
from tests.faults.account import Account, alerts, check_files, well
from tests.processes import DidNotStart, Headless, connect, exchange, headless, wait_for

Spoil = Callable[[Path], object]

_SPOILS: dict[str, Spoil] = {
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "directory": lambda path: path.mkdir(),
}


def test_a_person_is_told_of_a_damaged_state_file(home: Path) -> None:
    saved = home / "state" / "current.json"
    saved.parent.mkdir(parents=True)
    saved.write_bytes(b"{")
    with headless(home) as bus:
        well(bus)
        assert "current.json.damaged" in alerts(bus)["Started with a repair"]


@pytest.mark.parametrize("name", ["routing-rules.json", "event-monitor.yaml"])
@pytest.mark.parametrize("spoil", ["directory", "binary"])
def test_a_settings_file_that_cannot_be_read_refuses_the_start(home: Path, name: str, spoil: str) -> None:
    path = home / "event-bus" / name
    path.parent.mkdir(parents=True)
    _SPOILS[spoil](path)
    with pytest.raises(DidNotStart) as refused:
        Headless(home)
    assert refused.value.status in (1, 2)
    assert refused.value.errors.startswith("event-monitor: ")
    assert name in refused.value.errors
    assert "Traceback" not in refused.value.errors
    assert path.exists()


def test_a_directory_in_the_place_of_the_database_is_set_aside(home: Path) -> None:
    database = home / "event-bus" / "events.db"
    (database / "precious").mkdir(parents=True)
    with headless(home) as bus:
        well(bus)
        assert "events.db.damaged-" in alerts(bus)["Started with a repair"]
    (kept,) = database.parent.glob("events.db.damaged-*")
    assert (kept / "precious").is_dir()


async def test_a_flipped_page_is_found_at_the_start_or_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = await EventStore.open(path)
    await store.write(_fill)
    await store.close()
    sound = path.read_bytes()
    rng = random.Random(25)
    pages = len(sound) // 4096
    aside = 0
    tried = range(0, pages, 5)
    for page in tried:
        spoilt = bytearray(sound)
        for place in rng.sample(range(page * 4096, (page + 1) * 4096), 200):
            spoilt[place] ^= 0xFF
        spoilt[page * 4096] ^= 0xFF
        path.write_bytes(spoilt)
        store = await EventStore.open(path)
        if store.set_aside is not None:
            aside += 1
            assert store.set_aside.read_bytes() == bytes(spoilt)
        await store.write(lambda ledger: None)
        await store.close()
    assert aside > len(tried) / 2


async def test_damage_in_the_schema_is_refused_or_set_aside_at_every_byte(tmp_path: Path) -> None:
    """The header and the schema decide whether the file can be opened at all."""
    path = tmp_path / "events.db"
    store = await EventStore.open(path)
    await store.close()
    sound = path.read_bytes()
    for place in range(0, 4096, 127):
        spoilt = bytearray(sound)
        spoilt[place] ^= 0xFF
        path.write_bytes(spoilt)
        try:
            store = await EventStore.open(path)
        except (StoreTooNew, StoreUnavailable) as error:
            assert error.advice
            assert path.read_bytes() == bytes(spoilt)
        else:
            await store.write(lambda ledger: None)
            await store.close()
        for companion in ("-wal", "-shm"):
            Path(f"{path}{companion}").unlink(missing_ok=True)


def test_a_database_damaged_while_it_runs_is_replaced_without_a_restart(home: Path) -> None:
    account = Account(home)
    database = home / "event-bus" / "events.db"
    with headless(home) as bus:
        well(bus)
        for _ in range(20):
            account.publish(bus, size=5_000)
        well(bus)
        overwrite_every_page(database)
        wait_for(lambda: _sees_damage(bus, database))
        wait_for(lambda: Path(bus.socket).exists())
        well(bus)
        assert "events.db.damaged-" in alerts(bus)["Started with a repair"]
        assert account.publish(bus)
        assert bus.process.poll() is None
    check_files(home)
    assert "HEALTHY → FAILED: the event store is damaged" in bus.errors.read_text()
    assert len(list(database.parent.glob("events.db.damaged-????????T??????Z"))) == 1


def test_spooled_files_that_nobody_can_use_are_kept_apart(home: Path) -> None:
    new = home / "event-bus" / "spool" / "new"
    new.mkdir(parents=True)
    stamp = "0" * 19 + "1-7-"
    (new / f"{stamp}aa.event").write_bytes(b'{"do":"publish_te')
    (new / f"{stamp}ab.event").write_bytes(os.urandom(500))
    (new / f"{stamp}ac.lines").write_bytes(b'\xff\xfe\n{"event_type":"good.one","payload":{}}\n')
    (new / f"{stamp}ad.event").mkdir()
    (new / "something else").write_text("left alone")
    with headless(home) as bus:
        well(bus)
        wait_for(lambda: bus.ask(do="query_events", type="good.one")["events"])
        assert "spool/bad" in alerts(bus)["A spooled event was refused"]
    bad = home / "event-bus" / "spool" / "bad"
    assert {path.name for path in bad.glob("*.event")} == {f"{stamp}aa.event", f"{stamp}ab.event"}
    assert sorted(path.name for path in new.iterdir()) == [f"{stamp}ad.event", "something else"]


def test_a_spool_that_cannot_be_read_stops_nothing_and_is_told(home: Path) -> None:
    spool = home / "event-bus" / "spool"
    spool.parent.mkdir(parents=True)
    spool.write_text("in the way")
    account = Account(home)
    with headless(home) as bus:
        well(bus)
        assert account.publish(bus)
        told = wait_for(lambda: alerts(bus).get("Part of the home cannot be read"))
        assert "spool" in told


def _fill(ledger: object) -> None:
    connection: sqlite3.Connection = ledger.connection  # type: ignore[attr-defined]
    connection.executemany(
        "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count) "
        "VALUES (?, '2026-11-23T00:00:00.000000Z', 'a.b', ?, 'delivered', 0)",
        [(number, f'{{"text":"{"x" * (50 * number)}"}}') for number in range(1, 120)],
    )


def _sees_damage(bus: Headless, database: Path) -> bool:
    """Read until the bus has met the damage; it may go away while it is asked."""
    try:
        connection = connect(bus.socket)
        exchange(connection, {"do": "publish", "event_type": "a.b", "payload": {}})
        exchange(connection, {"do": "query_events"})
        connection.close()
    except OSError:
        pass
    return bool(list(database.parent.glob("events.db.damaged-*")))
