"""Older events reach handlers in the newest version of their type, or become dead letters that say why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.bus.upcasters import Upcasters
from event_monitor.errors import InvalidRequest
from event_monitor.messages import StartReplay
from event_monitor.model import Event
from event_monitor.resilience.retry import PermanentError
from tests.bus.helpers import Recorder, open_bus, rows
from tests.bus.replaying import ended, record
from tests.bus.test_replay import MAX, SPAN, subscribed


def event(version: int, **payload: Any) -> Event:
    return Event(id=1, timestamp="", event_type="a.b", payload=payload, schema_version=version)


def add(name: str) -> Any:
    return lambda payload: {**payload, name: True}


def test_the_steps_from_a_version_to_the_newest_are_taken_in_order() -> None:
    upcasters = Upcasters()
    upcasters.register("a.#", 2, add("three"))
    upcasters.register("a.b", 1, add("two"))
    upcasters.register("a.b", 2, add("never: the first one counts"))
    made = upcasters.apply(event(1, n=1))
    assert (made.payload, made.schema_version) == ({"n": 1, "two": True, "three": True}, 3)
    assert upcasters.apply(event(2)).payload == {"three": True}
    for newest in (event(3, n=1), event(9, n=1)):
        assert upcasters.apply(newest) is newest
    assert upcasters.concerns("a.b", 2)
    assert not upcasters.concerns("a.b", 3)
    assert not upcasters.concerns("c.d", 1)


def test_the_recorded_payload_is_left_as_it_was() -> None:
    upcasters = Upcasters()
    upcasters.register("a.b", 1, lambda payload: payload["deep"].clear() or payload)
    old = event(1, deep={"n": 1})
    assert upcasters.apply(old).payload == {"deep": {}}
    assert old.payload == {"deep": {"n": 1}}


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        Upcasters().register("A..B", 1, dict)


@pytest.mark.parametrize(
    ("upcaster", "said"),
    [
        (None, "no upcaster is registered for a.b from schema version 1 to 2"),
        (lambda payload: payload["gone"], "from schema version 1 to 2 failed: KeyError: 'gone'"),
        (lambda payload: None, "answered NoneType, not an object"),
    ],
)
async def test_a_step_that_cannot_be_taken_makes_a_dead_letter_that_says_why(
    tmp_path: Path, upcaster: Any, said: str
) -> None:
    seen = Recorder()

    def prepare(bus: EventBus) -> None:
        subscribed(seen)(bus)
        if upcaster is not None:
            bus.upcasters.register("a.b", 1, upcaster)
        bus.upcasters.register("a.b", 2, add("three"))

    async with open_bus(tmp_path / "e.db", prepare) as bus:
        await record(bus, [(1, "a.b", {}), (2, "other", {})])
        await bus.publish("a.b", {"n": 1}, schema_version=1)
        await bus.publish("a.b", {"n": 2}, schema_version=2)
        await bus.settled()
        desk = ReplayDesk(bus)
        await desk.start()
        report = await ended(desk, (await desk.begin(StartReplay(**MAX))).id)
        await desk.stop()
        letters, _ = await bus.dead_letter_queue.page()
    assert (report.replayed, report.failed) == (2, 1)
    assert [letter.attempts for letter in letters] == [0, 0]
    assert all(said in letter.error and letter.error.startswith("PermanentError") for letter in letters)
    assert [(one.event_type, one.payload) for one in seen.events] == [
        ("a.b", {"n": 2, "three": True}),
        ("other", {}),
    ]
    with pytest.raises(PermanentError):
        bus.upcasters.apply(event(1))


async def test_a_replay_stores_and_routes_the_newest_version(tmp_path: Path) -> None:
    seen = Recorder()

    def prepare(bus: EventBus) -> None:
        bus.subscribe("#", seen, name="seen", matches=lambda event: "two" in event.payload)
        bus.upcasters.register("a.b", 1, add("two"))

    async with open_bus(tmp_path / "e.db", prepare) as bus:
        await record(bus, [(1, "a.b", {"n": 1})])
        desk = ReplayDesk(bus)
        await desk.start()
        planned = await desk.plan(StartReplay(**SPAN))
        await ended(desk, (await desk.begin(StartReplay(**MAX))).id)
        await desk.stop()
    assert planned.by_target == {"seen": 1}
    assert [(one.payload, one.schema_version) for one in seen.events] == [({"n": 1, "two": True}, 2)]
    stored = rows(tmp_path / "e.db", "SELECT payload, schema_version FROM events WHERE replay_of = 1")
    assert stored == [('{"n":1,"two":true}', 2)]


async def test_a_delivery_that_waited_on_disk_is_brought_up_too(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    failing = Recorder(fail=lambda event: True)
    async with open_bus(path, subscribed(failing)) as bus:
        await bus.publish("a.b", {"n": 1})
        await bus.settled()
    seen = Recorder()

    def prepare(bus: EventBus) -> None:
        subscribed(seen)(bus)
        bus.upcasters.register("a.b", 1, add("two"))

    async with open_bus(path, prepare) as bus:
        await bus.dead_letter_queue.retry()
        while bus.pending:
            await bus.settled()
            await bus.store.flush()
            if seen.events:
                break
    assert [one.payload for one in seen.events] == [{"n": 1, "two": True}]
