"""What is exported and imported again is the same history, once, whatever it holds."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.bus import history
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.importing import Importer
from event_monitor.bus.store_check import find_problems
from event_monitor.bus.store_files import looking_at
from event_monitor.config import QueueSettings
from event_monitor.model import PRIORITIES, Event
from tests.bus.helpers import open_bus
from tests.bus.helpers import settings as bus_settings

words = st.from_regex(r"[a-z0-9_-]{1,8}(\.[a-z0-9_-]{1,8}){0,2}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
names = st.none() | st.from_regex(r"[a-zA-Z0-9:_-]{1,12}", fullmatch=True)
events = st.fixed_dictionaries(
    {
        "event_type": words,
        "payload": st.dictionaries(texts, values, max_size=4),
        "priority": st.sampled_from(PRIORITIES),
        "key": names,
        "source": names,
        "correlation_id": names,
        "schema_version": st.integers(1, 9),
        "cause": st.none() | st.integers(0, 20),
    }
)


async def accept(batch: Any) -> None:
    assert batch


def logged(bus: EventBus) -> None:
    bus.add_target("log", accept, batch_size=256)


async def recorded(bus: EventBus) -> list[Event]:
    await bus.settled()
    found, after = [], None
    while True:
        page, after = await bus.store.read(
            lambda c, a=after: history.read_events(c, history.EventFilter(), newest_first=False, after_id=a)  # type: ignore[misc]
        )
        found += page
        if after is None:
            return found


def lines(found: list[Event]) -> list[str]:
    return [msgspec.json.encode(event).decode() for event in found]


def problems(path: Path) -> list[str]:
    with looking_at(path) as connection:
        return list(find_problems(connection, lambda done, total: None))


@given(st.lists(events, max_size=12))
@settings(max_examples=20)
def test_exported_and_imported_history_is_the_same(planned: list[dict[str, Any]]) -> None:
    async def main(directory: Path) -> None:
        async with open_bus(directory / "a.db", logged) as bus:
            ids: list[int] = []
            for one in planned:
                cause = one.pop("cause")
                known = ids[cause % len(ids)] if cause is not None and ids else None
                ids.append((await bus.publish(**one, causation_id=known)).id)
            original = await recorded(bus)
            assert (await Importer(bus).take(lines(original), "own", deliver=False)).accepted == 0
        async with open_bus(directory / "b.db", logged) as bus:
            # It has a history of its own: numbers of the other store mean nothing here.
            await bus.publish("own.event")
            importer = Importer(bus)
            first = await importer.take(lines(original), "one", deliver=False)
            assert (first.accepted, first.duplicates, first.errors) == (len(original), 0, [])
            again = await Importer(bus).take(lines(original), "two", deliver=False)
            assert (again.accepted, again.duplicates) == (0, len(original))
            copy = (await recorded(bus))[1:]
            assert bus.pending == 0
        numbers = {old.id: new.id for old, new in zip(original, copy, strict=True)}
        expected = [
            msgspec.structs.replace(old, id=numbers[old.id], causation_id=numbers.get(old.causation_id or 0))
            for old in original
        ]
        assert copy == expected
        assert problems(directory / "b.db") == []

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory)))


async def test_bad_lines_are_refused_with_their_numbers_and_harm_no_other(tmp_path: Path) -> None:
    at = "2026-11-01T08:00:00.000001Z"
    given = [
        json.dumps({"event_type": "a.b", "timestamp": at}),
        "not json",
        json.dumps({"event_type": "A B", "timestamp": at}),
        json.dumps({"event_type": "a.b"}),
        json.dumps({"event_type": "a.b", "timestamp": "yesterday"}),
        json.dumps({"event_type": "a.b", "timestamp": "1969-12-31T23:59:59Z"}),
        json.dumps({"event_type": "a.b", "timestamp": at, "payload": [1]}),
        json.dumps({"event_type": "a.b", "timestamp": at, "status": "lost"}),
        json.dumps({"event_type": "a.b", "timestamp": at, "id": 2**63}),
        json.dumps({"event_type": "a.b", "timestamp": "2026-11-01T09:00:00+01:00", "n": "let pass"}),
        "[" * 2_000,
    ]
    async with open_bus(tmp_path / "events.db", logged) as bus:
        taken = await Importer(bus).take(given, "", deliver=False)
        assert [error.line for error in taken.errors] == [1, 2, 3, 4, 5, 6, 7, 8, 10]
        assert (taken.accepted, taken.duplicates) == (2, 0)
        assert [event.timestamp for event in await recorded(bus)] == [at, "2026-11-01T08:00:00.000000Z"]


async def test_nothing_is_delivered_and_what_was_pending_is_recorded_only(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    seen: list[int] = []

    async def see(event: Any) -> None:
        seen.append(event.id)

    def prepare(bus: EventBus) -> None:
        logged(bus)
        bus.subscribe("#", see, name="see")

    statuses = ("pending", "delivered", "dead", "expired", "sampled")
    given = [
        json.dumps({"event_type": f"a.{status}", "timestamp": "2026-11-01T08:00:00Z", "status": status})
        for status in statuses
    ]
    async with open_bus(path, prepare) as bus:
        assert (await Importer(bus).take(given, "", deliver=False)).accepted == 5
        await bus.settled()
        assert bus.pending == 0
    async with open_bus(path, prepare) as bus:
        await bus.settled()
        found = [event.status.value for event in await recorded(bus)]
    assert (seen, found) == ([], ["sampled", *statuses[1:]])
    assert problems(path) == []


async def test_they_are_delivered_once_if_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    seen: list[tuple[str, str]] = []

    async def see(event: Any) -> None:
        seen.append((event.event_type, event.timestamp))

    def prepare(bus: EventBus) -> None:
        logged(bus)
        bus.subscribe("#", see, name="see")

    at = "2026-11-01T08:00:00.000000Z"
    given = [
        json.dumps({"event_type": "a.b", "timestamp": at, "id": 7}),
        json.dumps({"event_type": "a.late", "timestamp": at, "expires_at": "2026-11-02T00:00:00Z"}),
        json.dumps({"event_type": "a.c", "timestamp": at, "key": "k", "causation_id": 7}),
    ]
    async with open_bus(path, prepare) as bus:
        for _ in range(2):
            await Importer(bus).take(given, "", deliver=True)
        assert (await Importer(bus).take(given, "", deliver=False)).duplicates == 3
        found = {event.event_type: event for event in await recorded(bus)}
    assert sorted(seen) == [("a.b", at), ("a.c", at)]
    assert found["a.late"].status == "expired"
    assert (found["a.c"].causation_id, found["a.c"].key) == (found["a.b"].id, "k")
    assert problems(path) == []


async def test_what_a_full_backlog_has_no_room_for_is_said_line_by_line(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def hold(event: Any) -> None:
        await gate.wait()

    given = [
        json.dumps({"event_type": "a.b", "timestamp": "2026-11-01T08:00:00Z", "id": n}) for n in range(1, 9)
    ]
    small = bus_settings(queue=QueueSettings(max_backlog=5, reserve=0))

    def prepare(bus: EventBus) -> None:
        logged(bus)
        bus.subscribe("#", hold, name="hold")

    async with open_bus(tmp_path / "events.db", prepare, settings=small) as bus:
        importer = Importer(bus)
        taken = await importer.take(given, "r", deliver=True)
        assert (taken.accepted, [(one.line, one.code) for one in taken.errors]) == (
            5,
            [(line, "bus_full") for line in (5, 6, 7)],
        )
        gate.set()
        await bus.settled()
        rest = await importer.take(given[5:], "r", deliver=True)
        assert (rest.accepted, rest.errors) == (3, [])


@pytest.mark.parametrize("deliver", [False, True])
async def test_a_forgotten_import_may_be_imported_again(tmp_path: Path, deliver: bool) -> None:
    from event_monitor.targets.retention import Forgotten
    from tests.targets.test_retention import retention

    line = [json.dumps({"event_type": "a.b", "timestamp": "2026-01-01T08:00:00Z"})]
    async with open_bus(tmp_path / "events.db", logged) as bus:
        importer = Importer(bus)
        for _ in range(2):
            assert (await importer.take(line, "", deliver=deliver)).accepted == 1
            await bus.settled()
            assert await retention(bus, 0).run() == Forgotten(events=1)
