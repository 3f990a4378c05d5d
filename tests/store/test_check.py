"""A check finds what is planted, names it, and says nothing of a store that is sound."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.store_check import find_problems
from event_monitor.bus.store_files import Stopped, looking_at
from tests.bus.helpers import open_bus, rules


def problems(path: Path) -> list[str]:
    with looking_at(path) as connection:
        return list(find_problems(connection, lambda done, total: None))


async def refuse(event: Any) -> None:
    raise ValueError("no")


async def accept(batch: Any) -> None:
    assert batch


def prepare(bus: EventBus) -> None:
    bus.add_target("log", accept)
    bus.subscribe("a.dead", refuse, name="w")


async def filled(path: Path) -> None:
    """Events 1 and 2 delivered, 3 dead."""
    async with open_bus(path, prepare) as bus:
        dead = asyncio.Event()
        bus.dispatcher.on_dead = lambda record, target, error: dead.set()
        await asyncio.gather(bus.publish("a.b"), bus.publish("a.b"))
        await bus.publish("a.dead")
        await dead.wait()
        await bus.settled()


def change(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


OPEN = (
    "INSERT INTO deliveries (event_id, target, state, priority, updated_at) "
    "VALUES ({}, 'log', 'queued', 2, '2026-01-01')"
)
COUNTED = "UPDATE counters SET value = value - 1 WHERE name = '{}'"


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ((), []),
        (
            ("UPDATE events SET status = 'pending' WHERE id = 1", COUNTED.format("delivered")),
            [
                "event 1 is pending, but nothing is left to deliver",
                "the counters leave 1 events pending, the store holds 0",
            ],
        ),
        (
            ("UPDATE events SET queued = 1 WHERE id = 2", COUNTED.format("delivered")),
            ["event 2 is queued and has its outcome already"],
        ),
        (
            (OPEN.format(1), COUNTED.format("delivered")),
            ["event 1 has its outcome, but a delivery is open"],
        ),
        (("DELETE FROM deliveries",), ["event 3 is dead without a dead delivery"]),
        (
            ("UPDATE events SET status = 'delivered' WHERE id = 3",),
            ["event 3 is not dead, but has a dead delivery"],
        ),
        (("UPDATE events SET status = 'lost' WHERE id = 1",), ["event 1 has a status that is none"]),
        (("UPDATE events SET payload = '{' WHERE id = 1",), ["event 1 has a payload that is no JSON"]),
        (
            ("DELETE FROM events WHERE id = 3",),
            ["a delivery to w is of event 3, which is not there"],
        ),
        (
            ("DELETE FROM events WHERE id = 2", OPEN.format(2).replace("queued", "delivered")),
            ["a delivery to log is of event 2, which is not there"],
        ),
        (
            ("UPDATE counters SET value = value + 2 WHERE name = 'accepted'",),
            ["the counters leave 2 events pending, the store holds 0"],
        ),
    ],
)
async def test_each_thing_that_does_not_balance_is_named(
    tmp_path: Path, planted: tuple[str, ...], found: list[str]
) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    change(path, *planted)
    assert problems(path) == found


async def test_damage_in_a_table_or_its_index_is_found(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    change(
        path,
        "PRAGMA writable_schema = 1",
        "UPDATE sqlite_master SET sql = "
        "'CREATE INDEX events_timestamp ON events(source)' WHERE name = 'events_timestamp'",
    )
    found = problems(path)
    assert found and all(problem.startswith("table events: ") for problem in found)


async def test_damage_that_nothing_can_be_read_past_is_a_problem_not_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)
    data = bytearray(path.read_bytes())
    # All pages but the first, which holds the schema's root.
    data[4_096:] = b"\xff" * (len(data) - 4_096)
    path.write_bytes(data)
    found = problems(path)
    assert found and all(problem.startswith("table ") for problem in found)


async def test_a_check_ends_when_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await filled(path)

    def moved(done: int, total: int) -> None:
        if done == 2:
            raise Stopped

    with looking_at(path) as connection, pytest.raises(Stopped):
        list(find_problems(connection, moved))


async def test_a_store_that_is_being_written_is_sound_at_every_moment(tmp_path: Path) -> None:
    """Retries, dead letters and plain deliveries go on while it is checked again and again."""
    path = tmp_path / "events.db"
    async with open_bus(path, prepare, rules=rules({"a.#": ["log"]})) as bus:
        checking = True

        async def publish() -> None:
            while checking:
                await asyncio.gather(*(bus.publish(kind) for kind in ("a.b", "a.dead", "a.c")))

        publishing = asyncio.gather(*(publish() for _ in range(4)))
        found = [await asyncio.to_thread(problems, path) for _ in range(15)]
        checking = False
        await publishing
    assert [one for one in found if one] == []
