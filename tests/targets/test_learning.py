"""The learning target, on a real store: what it counts, when it speaks, and that it does so once."""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from event_monitor.errors import BusFull
from event_monitor.model import Event
from event_monitor.targets.learning import LearningTarget, session_of
from event_monitor.targets.sequences import SCHEMA, Observation, observe, threshold_of
from tests.bus.helpers import open_bus, rows, rules
from tests.targets.helpers import AT, Outbox, batch, event

WORK = ("git add .", "git commit -m x", "git push")
LATER = "2026-11-23T16:42:07.000000Z"


def commands(*texts: str, first: int = 1, session: str = "s", **more: Any) -> list[Event]:
    return [
        event(number, "command.executed", {"command": text, "session_id": session}, **more)
        for number, text in enumerate(texts, first)
    ]


def spoken(outbox: Outbox) -> list[tuple[list[str], int, int]]:
    return [(sent["pattern"], sent["support"], sent["threshold"]) for _, sent in outbox.events]


@pytest.mark.parametrize(
    ("support", "threshold"),
    [(0, 0), (2, 0), (3, 3), (9, 3), (10, 10), (29, 10), (30, 30), (99, 30), (100, 100), (2_999, 1_000)],
)
def test_the_thresholds(support: int, threshold: int) -> None:
    assert threshold_of(support) == threshold


async def test_what_recurs_three_times_is_published_once_with_its_figures(tmp_path: Path) -> None:
    outbox = Outbox()
    async with open_bus(tmp_path / "events.db") as bus:
        target = LearningTarget(bus.store, outbox)
        for turn in range(4):
            await target.handle(batch(*commands(*WORK, first=10 * turn + 1, session=f"s{turn}")))
    assert {tuple(pattern): (support, threshold) for pattern, support, threshold in spoken(outbox)} == {
        ("git add", "git commit"): (3, 3),
        ("git add", "git commit", "git push"): (3, 3),
    }
    kind, payload = outbox.events[-1]
    assert kind == "pattern.learned" and payload["name"] == "git add > git commit > git push"
    assert (payload["confidence"], payload["lift"]) == (1.0, 3.0)
    assert (payload["first_at"], payload["last_at"]) == (AT, AT)
    assert outbox.options[-1] == {"source": "event-monitor", "correlation_id": None, "causation_id": 23}


async def test_a_second_delivery_and_a_late_one_count_nothing(tmp_path: Path) -> None:
    outbox, path = Outbox(), tmp_path / "events.db"
    async with open_bus(path) as bus:
        target = LearningTarget(bus.store, outbox)
        for _ in range(5):
            await target.handle(batch(*commands(*WORK, first=7)))
        await target.handle(batch(*commands("make", first=3)))
    async with open_bus(path) as bus:
        await LearningTarget(bus.store, outbox).handle(batch(*commands(*WORK, first=7)))
    assert rows(path, "SELECT MAX(support), COUNT(*) FROM learning_sequences") == [(1, 6)]
    assert outbox.calls == 0


async def test_a_sequence_runs_over_batches_and_a_restart(tmp_path: Path) -> None:
    outbox, path = Outbox(), tmp_path / "events.db"
    for number, text in enumerate(itertools.islice(itertools.cycle(WORK[:2]), 6), 1):
        async with open_bus(path) as bus:
            await LearningTarget(bus.store, outbox).handle(batch(*commands(text, first=number)))
    assert spoken(outbox) == [(["git add", "git commit"], 3, 3)]


@pytest.mark.parametrize("again", ["the same process", "another process"])
async def test_what_could_not_be_published_is_published_at_the_next_delivery(
    tmp_path: Path, again: str
) -> None:
    outbox, path = Outbox(), tmp_path / "events.db"
    lesson = batch(*commands(*(WORK[:2] * 3)))
    outbox.error = BusFull("full")
    async with open_bus(path) as bus:
        target = LearningTarget(bus.store, outbox)
        with pytest.raises(BusFull):
            await target.handle(lesson)
        outbox.error = None
        if again == "the same process":
            await target.handle(lesson)
    if again == "another process":
        async with open_bus(path) as bus:
            await LearningTarget(bus.store, outbox).handle(lesson)
    assert spoken(outbox) == [(["git add", "git commit"], 3, 3)]
    assert rows(path, "SELECT COUNT(*) FROM learning_sequences WHERE crossed > announced") == [(0,)]


async def test_two_sessions_at_once_are_not_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path) as bus:
        mixed = [
            *commands("git add", session="a"),
            *commands("make", first=2, session="b"),
            *commands("git commit", first=3, session="a"),
        ]
        await LearningTarget(bus.store, Outbox()).handle(batch(*mixed))
    found = rows(path, "SELECT sequence FROM learning_sequences WHERE length > 1")
    assert found == [('["git add","git commit"]',)]


async def test_after_a_long_pause_a_session_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path) as bus:
        pause = [*commands("git add"), *commands("git commit", first=2, timestamp=LATER)]
        await LearningTarget(bus.store, Outbox()).handle(batch(*pause))
    assert rows(path, "SELECT MAX(length), COUNT(*) FROM learning_sequences") == [(1, 2)]


async def test_trying_the_same_again_is_one_step_and_what_seldom_follows_is_not_learned(
    tmp_path: Path,
) -> None:
    outbox = Outbox()
    async with open_bus(tmp_path / "events.db") as bus:
        target = LearningTarget(bus.store, outbox)
        await target.handle(batch(*commands(*["pytest"] * 9)))
        others = [text for number in range(20) for text in ("git status", f"tool{number}")]
        await target.handle(batch(*commands(*others, *["git status", "make"] * 3, first=10)))
    learned = [tuple(pattern) for pattern, _, _ in spoken(outbox)]
    assert ("git status", "make") not in learned and ("pytest", "pytest") not in learned


@pytest.mark.parametrize(
    "change",
    [
        {"source": "demo"},
        {"source": "event-monitor"},
        {"replay_of": 1},
        {"event_type": "command.started"},
        {"event_type": "tool.executed"},
        {"payload": {"command": "$EDITOR x"}},
    ],
)
async def test_what_is_invented_replayed_or_no_command_teaches_nothing(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "events.db"
    base = {"id": 1, "timestamp": AT, "event_type": "command.executed", "payload": {"command": "make"}}
    async with open_bus(path) as bus:
        target = LearningTarget(bus.store, Outbox())
        await target.handle(batch(Event(**{**base, **change})))
        await target.handle(batch(Event(**{**base, "id": 2, "payload": {"command": "ls"}})))
    assert rows(path, "SELECT sequence FROM learning_sequences") == [('["ls"]',)]


@pytest.mark.parametrize(
    ("payload", "correlation", "session"),
    [
        ({"session_id": "a"}, "b", "session:a"),
        ({"session_id": 7}, "b", "correlation:b"),
        ({}, "b", "correlation:b"),
        ({}, None, ""),
        ({"session_id": "x" * 999}, None, "session:" + "x" * 200),
    ],
)
def test_the_session_of_an_event(payload: dict[str, Any], correlation: str | None, session: str) -> None:
    assert session_of(event(1, "command.executed", payload, correlation_id=correlation)) == session


async def test_on_a_bus_it_learns_from_what_is_published_and_names_the_cause(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    table = rules({"command.executed": ["learning"]}, "learning")
    async with open_bus(
        path,
        lambda bus: bus.add_target("learning", LearningTarget(bus.store, bus.publish).handle, batch_size=64),
        rules=table,
    ) as bus:
        for text in WORK[:2] * 3:
            await bus.publish("command.executed", {"command": text, "session_id": "s"}, correlation_id="c")
        await bus.settled()
    found = rows(
        path,
        "SELECT source, causation_id, correlation_id, depth, json_extract(payload, '$.support') "
        "FROM events WHERE event_type = 'pattern.learned'",
    )
    assert found == [("event-monitor", 6, "c", 1, 3)]


def _database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in SCHEMA:
        connection.execute(statement)
    return connection


def _supports(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT sequence, support FROM learning_sequences"))


_sessions = st.lists(
    st.tuples(st.sampled_from("ab"), st.lists(st.sampled_from("xyz"), min_size=1, max_size=4)), max_size=25
)


@given(_sessions, st.data())
@hypothesis_settings(max_examples=80, deadline=None)
def test_counts_are_those_of_all_windows_however_events_are_batched_and_repeated(
    events: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    observations = [
        Observation(number, session, steps, AT, "") for number, (session, steps) in enumerate(events, 1)
    ]
    connection = _database()
    start = 0
    while start < len(observations):
        end = data.draw(st.integers(start + 1, len(observations)))
        observe(connection, observations[start:end])
        observe(connection, observations[data.draw(st.integers(0, start)) : end])
        start = end
    expected: Counter[str] = Counter()
    for session in "ab":
        steps = [step for name, some in events if name == session for step in some]
        steps = [step for step, _ in itertools.groupby(steps)]
        for length in range(1, 6):
            for place in range(len(steps) - length + 1):
                expected['["' + '","'.join(steps[place : place + length]) + '"]'] += 1
    assert _supports(connection) == expected


@given(_sessions)
@example([("a", ["x", "z", "y"]), ("a", ["x", "y", "x"]), ("a", ["y", "x", "y"])])
@hypothesis_settings(max_examples=60, deadline=None)
def test_when_room_is_short_nothing_outlives_a_part_of_itself(
    events: list[tuple[str, list[str]]],
) -> None:
    connection = _database()
    for number, (session, steps) in enumerate(events, 1):
        observe(connection, [Observation(number, session, steps, AT, "")], max_sequences=12, max_sessions=1)
        kept = _supports(connection)
        assert len(kept) <= 12
        for text, support in kept.items():
            parts = text[1:-1].split(",")
            if len(parts) > 1:
                assert kept["[" + ",".join(parts[:-1]) + "]"] >= support
                assert kept["[" + ",".join(parts[1:]) + "]"] >= support
    assert connection.execute("SELECT COUNT(*) <= 1 FROM learning_sessions").fetchone() == (1,)
