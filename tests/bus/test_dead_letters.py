"""Dead letters by group: counted, walked, retried at a rate, dropped, corrected; nothing lost, none twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus import schema
from event_monitor.bus.corrections import correct
from event_monitor.bus.dead_groups import Letters
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.fingerprint import LONGEST, fingerprint
from event_monitor.bus.retry_runs import RetryDesk
from event_monitor.errors import Conflict, InvalidEvent, NotFound
from event_monitor.messages import ControlRetryRun, StartRetryRun
from event_monitor.model import Priority, Status
from event_monitor.replies.dead_letters import RetryRun, RetryState
from event_monitor.resilience.retry import PermanentError
from tests.bus.helpers import Recorder, open_bus, rows


def anything(event_type: str, target: str, error: str) -> bool:
    return True


class Failing:
    """Refuses for good while ``broken``, with an error that names the event."""

    def __init__(self) -> None:
        self.broken = True
        self.seen: list[int] = []
        self.events: list[Any] = []

    async def __call__(self, event: Any) -> None:
        if self.broken:
            raise PermanentError(f"cannot write {event.payload.get('file', event.id)}")
        self.seen.append(event.id)
        self.events.append(event)


@asynccontextmanager
async def dead(
    path: Path, *types: str, names: tuple[str, ...] = ("r",)
) -> AsyncIterator[tuple[EventBus, Failing]]:
    """A bus on which an event of each type has died for each of the handlers."""
    failing = Failing()

    def prepare(bus: EventBus) -> None:
        for name in names:
            bus.subscribe("#", failing, name=name)

    async with open_bus(path, prepare) as bus:
        for number, event_type in enumerate(types):
            await bus.publish(event_type, {"file": f"/var/log/{number}.txt"}, priority=Priority.HIGH)
        await bus.settled()
        yield bus, failing


def run_of(bus: EventBus) -> RetryDesk:
    return RetryDesk(bus)


async def until(desk: RetryDesk, number: int, over: Any) -> RetryRun:
    """Wait until a run's report satisfies ``over``."""
    async with asyncio.timeout(30):
        while True:
            (report,) = desk.reports(number)
            if over(report):
                return report
            await asyncio.sleep(0.01)


# --- fingerprints ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ValueError: refused 12", "ValueError: refused 9,314"),
        ("OSError: no such file: '/tmp/a1/b.txt'", "OSError: no such file: '/home/me/c.json'"),
        ("X: 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "X: 00000000-4f89-11d3-9a0c-0305e82c3301"),
        ("E: https://h.example/a?b=1 is gone", "E: https://h.example/c/d is gone"),
        ("at 2026-11-26T12:00:01.123Z", "at 2026-11-27T09:14:00Z"),
        ("<T at 0x7f12ab>", "<T at 0x55aa01cd>"),
        ("two\n  lines", "two lines"),
    ],
)
def test_what_differs_in_details_is_one_kind(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ValueError: refused 12", "TypeError: refused 12"),
        ("no route to host", "connection refused"),
        ("https://a.example/x is gone", "https://b.example/x is gone"),
        ("no target is named storage", "no target is named log"),
    ],
)
def test_what_is_another_error_is_another_kind(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_a_fingerprint_is_short_and_kept_words_are_whole() -> None:
    assert len(fingerprint("word " * 10_000)) == LONGEST
    assert fingerprint("sha256 of utf8 v1") == "sha256 of utf8 v1"
    assert fingerprint("") == ""


# --- groups ---------------------------------------------------------------------------------


async def test_groups_count_by_type_target_and_kind_of_error(tmp_path: Path) -> None:
    async with dead(tmp_path / "e.db", "a.x", "a.x", "b.x", names=("r", "s")) as (bus, _):
        found = await bus.dead_letter_queue.groups(anything, 10)
        assert [(g.event_type, g.target, g.letters, g.first_id, g.last_id) for g in found.groups] == [
            ("a.x", "r", 2, 1, 2),
            ("a.x", "s", 2, 1, 2),
            ("b.x", "r", 1, 3, 3),
            ("b.x", "s", 1, 3, 3),
        ]
        assert {g.error for g in found.groups} == {"PermanentError: cannot write <path>"}
        assert found.groups[0].sample == "PermanentError: cannot write /var/log/1.txt"
        assert (found.total, found.letters) == (4, 6)
        assert sorted(group.id for group in found.groups) == [1, 2, 3, 4]
        short = await bus.dead_letter_queue.groups(anything, 1)
        assert (len(short.groups), short.total, short.letters) == (1, 4, 6)
        only = await bus.dead_letter_queue.groups(lambda t, target, e: target == "s", 10)
        assert [g.target for g in only.groups] == ["s", "s"]


async def test_a_group_is_walked_retried_and_dropped_alone(tmp_path: Path) -> None:
    async with dead(tmp_path / "e.db", "a.x", "b.x", "a.x", "a.x") as (bus, failing):
        queue = bus.dead_letter_queue
        a, b = (await queue.groups(anything, 10)).groups
        page, more = await queue.page(Letters(groups=(a.id,)), limit=2)
        assert ([letter.id for letter in page], more) == ([1, 3], True)
        page, more = await queue.page(Letters(groups=(a.id,)), after=(3, "r"), limit=2)
        assert ([letter.id for letter in page], more) == ([4], False)
        page, more = await queue.page(Letters(groups=(a.id,)), newest_first=True, limit=2)
        assert ([letter.id for letter in page], more) == ([4, 3], True)
        failing.broken = False
        assert await queue.retry(Letters(groups=(a.id,))) == 3
        await bus.settled()
        assert (failing.seen, len(queue)) == ([1, 3, 4], 1)
        assert await queue.drop(Letters(groups=(b.id,))) == 1
        assert len(queue) == 0
        await bus.store.flush()
        with pytest.raises(NotFound):
            await queue.retry(Letters(groups=(b.id,)))


async def test_what_waited_for_a_target_that_is_gone_has_a_group_too(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    async with dead(path, "a.x", "a.x"):
        pass
    async with open_bus(path) as bus:
        assert await bus.dead_letter_queue.retry() == 2
        await bus.dispatcher.bury_orphans()
        (group,) = (await bus.dead_letter_queue.groups(anything, 10)).groups
        assert (group.letters, group.error) == (2, "no target is named r")


async def test_what_died_after_the_person_looked_is_left_alone(tmp_path: Path) -> None:
    async with dead(tmp_path / "e.db", "a.x", "a.x") as (bus, _):
        queue = bus.dead_letter_queue
        seen = await queue.groups(anything, 10)
        await bus.publish("a.x", {"file": "/late"})
        await bus.settled()
        assert await queue.drop(Letters(groups=(seen.groups[0].id,), until=seen.at)) == 2
        assert [letter.id for letter in (await queue.page())[0]] == [3]


async def test_dead_letters_of_a_former_version_are_grouped(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for migrate in schema.MIGRATIONS[:3]:
        migrate(connection)
    connection.execute("PRAGMA user_version = 3")
    for number in (1, 2):
        connection.execute(
            "INSERT INTO events (id, event_type, payload, status) VALUES (?, 'a.x', '{}', 'dead')",
            (number,),
        )
        errors = json.dumps([{"at": "2026-01-01T00:00:00.000000Z", "error": f"E: {number}"}])
        connection.execute(
            "INSERT INTO deliveries VALUES (?, 'r', 'dead', 2, 1, NULL, ?, '2026-01-01T00:00:00.000000Z')",
            (number, errors),
        )
    connection.close()
    async with open_bus(path) as bus:
        (group,) = (await bus.dead_letter_queue.groups(anything, 10)).groups
        assert (group.letters, group.error, group.sample) == (2, "E: <n>", "E: 2")


# --- retries at a rate ----------------------------------------------------------------------


async def test_a_run_retries_each_letter_once_and_tells_what_became_of_it(tmp_path: Path) -> None:
    async with dead(tmp_path / "e.db", *["a.x"] * 12, "b.x") as (bus, failing):
        desk = run_of(bus)
        begun = await desk.begin(StartRetryRun(event_type="a.#", rate=1_000))
        assert (begun.state, begun.letters) == (RetryState.RUNNING, 12)
        report = await until(desk, begun.id, lambda r: r.state is RetryState.DONE and not r.under_way)
        assert (report.retried, report.delivered, report.failed) == (12, 0, 12)
        failing.broken = False
        begun = await desk.begin(StartRetryRun(all=True, rate=1_000))
        report = await until(desk, begun.id, lambda r: r.state is RetryState.DONE and not r.under_way)
        assert (report.retried, report.delivered, report.failed) == (13, 13, 0)
        assert sorted(failing.seen) == list(range(1, 14))
        assert [r.id for r in desk.reports()] == [2, 1]
        await desk.stop()


async def test_a_rate_is_kept_and_a_stop_leaves_the_rest(tmp_path: Path) -> None:
    async with dead(tmp_path / "e.db", *["a.x"] * 10) as (bus, failing):
        failing.broken = False
        desk = run_of(bus)
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        begun = await desk.begin(StartRetryRun(all=True, rate=50))
        await until(desk, begun.id, lambda r: r.retried >= 6)
        # Never faster than its rate: the first at once, five more take at least 0.08 s with the burst of 5.
        assert loop.time() - begun_at >= 0.015
        stopped = await desk.control(ControlRetryRun(run_id=begun.id, action="stop"))
        assert stopped.state is RetryState.STOPPED
        over = await until(desk, begun.id, lambda r: not r.under_way)
        assert over.retried == over.delivered == stopped.retried < 10
        assert len(bus.dead_letter_queue) == 10 - stopped.retried
        with pytest.raises(Conflict):
            await desk.control(ControlRetryRun(run_id=begun.id, action="stop"))
        with pytest.raises(NotFound):
            await desk.control(ControlRetryRun(run_id=99, action="stop"))
        await desk.stop()


async def test_another_rate_takes_effect_at_once(tmp_path: Path) -> None:
    async with dead(tmp_path / "e.db", *["a.x"] * 5) as (bus, failing):
        failing.broken = False
        desk = run_of(bus)
        begun = await desk.begin(StartRetryRun(all=True, rate=0.01))
        await until(desk, begun.id, lambda r: r.retried == 1)
        changed = await desk.control(ControlRetryRun(run_id=begun.id, action="rate", rate=500))
        assert changed.rate == 500
        await until(desk, begun.id, lambda r: r.state is RetryState.DONE)
        await bus.settled()
        assert sorted(failing.seen) == [1, 2, 3, 4, 5]
        await desk.stop()


async def test_nothing_to_retry_is_no_run(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db") as bus:
        desk = run_of(bus)
        assert (await desk.begin(StartRetryRun(all=True, rate=1))).state is RetryState.DONE
        assert desk.reports() == []
        with pytest.raises(NotFound):
            await desk.begin(StartRetryRun(groups=(7,), rate=1))


async def test_a_run_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    async with dead(path, *["a.x"] * 20) as (bus, failing):
        failing.broken = False
        desk = run_of(bus)
        begun = await desk.begin(StartRetryRun(all=True, rate=0.01, by="me"))
        await until(desk, begun.id, lambda r: r.retried == 1)
        await desk.stop()
        await bus.settled()
        first = list(failing.seen)
    again = Recorder()
    async with open_bus(path, lambda bus: bus.subscribe("#", again, name="r")) as bus:
        desk = run_of(bus)
        notes: list[str] = []
        desk.on_note = lambda severity, title, detail: notes.append(f"{title}: {detail}")
        await desk.start()
        assert notes == ["Retry 1 of dead letters goes on: 19 of 20 were left at the restart"]
        await desk.control(ControlRetryRun(run_id=1, action="rate", rate=1_000))
        report = await until(desk, 1, lambda r: r.state is RetryState.DONE and not r.under_way)
        assert (report.retried, report.delivered, report.begun_by) == (20, 20, "me")
        assert sorted(first + again.ids) == list(range(1, 21))
        await desk.stop()


# --- corrections ----------------------------------------------------------------------------


async def test_a_correction_goes_where_the_letter_was_dead(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    other = Recorder()
    async with dead(path) as (bus, failing):
        bus.subscribe("#", other, name="other")
        receipt = await bus.publish(
            "a.x", {"file": "/bad"}, priority=Priority.HIGH, key="k", source="me", correlation_id="c"
        )
        await bus.settled()
        failing.broken = False
        done = await correct(bus, receipt.id, {"file": "/good"})
        await bus.settled()
        assert (done.corrects, done.dropped, done.targets) == (receipt.id, 1, ["r"])
        (event,) = failing.events
        assert (event.id, event.payload, event.priority) == (done.id, {"file": "/good"}, Priority.HIGH)
        assert (event.source, event.correlation_id, event.causation_id) == ("me", "c", receipt.id)
        assert (event.key, event.depth) == (None, 1)
        assert other.ids == [receipt.id], "who had the old event is not told again"
        assert len(bus.dead_letter_queue) == 0
        assert await bus.dead_letter_queue.page() == ([], False)
    assert rows(path, "SELECT state FROM deliveries WHERE event_id = ?", receipt.id) == [("dropped",)]
    assert rows(path, "SELECT status FROM events ORDER BY id") == [(Status.DEAD,), (Status.DELIVERED,)]


async def test_between_any_two_commits_a_correction_happened_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    async with dead(path, "a.x", names=("r", "s")) as (bus, failing):
        failing.broken = False
        transaction = bus.store._writer.transaction
        seen: set[tuple[int, int]] = set()

        async def watched(work: Any) -> Any:
            done = await transaction(work)
            ((dropped,),) = rows(path, "SELECT COUNT(*) FROM deliveries WHERE state = 'dropped'")
            ((caused,),) = rows(path, "SELECT COUNT(*) FROM events WHERE causation_id = 1")
            seen.add((dropped, caused))
            return done

        bus.store._writer.transaction = watched  # type: ignore[method-assign]
        await correct(bus, 1, {"file": "/good"})
        await bus.settled()
    assert seen <= {(0, 0), (2, 1)}, "a kill would have left half of it"
    assert (2, 1) in seen


async def test_a_rerouted_correction_goes_wherever_it_would_go_now(tmp_path: Path) -> None:
    other = Recorder()
    async with dead(tmp_path / "e.db") as (bus, failing):
        bus.subscribe("#", other, name="other")
        receipt = await bus.publish("a.x", {"file": "/bad"})
        await bus.settled()
        failing.broken = False
        done = await correct(bus, receipt.id, {"file": "/good"}, rerouted=True)
        await bus.settled()
        assert sorted(done.targets) == ["other", "r"]
        assert other.ids == [receipt.id, done.id]


async def test_a_correction_of_what_was_dealt_with_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    async with dead(path, "a.x", names=("r", "s")) as (bus, failing):
        failing.broken = False
        with pytest.raises(Conflict):
            await _correct_late(bus)
        await bus.settled()
        assert [letter.target for letter in (await bus.dead_letter_queue.page())[0]] == ["r"]
        assert len(bus.dead_letter_queue) == 1
        with pytest.raises(InvalidEvent):
            await correct(bus, 1, {"bad": float("nan")})
        with pytest.raises(NotFound):
            await correct(bus, 1, {}, target="s")
        with pytest.raises(NotFound):
            await correct(bus, 77, {})
    assert rows(path, "SELECT COUNT(*) FROM events") == [(1,)]


async def _correct_late(bus: EventBus) -> Any:
    """Correct both letters after somebody has retried one of them unseen, as two people at once do."""
    read, store = bus.store.read, bus.store

    async def stale(work: Any) -> Any:
        found = await read(work)
        store.read = read  # type: ignore[method-assign]
        assert await bus.dead_letter_queue.retry(Letters(event_id=1, target="s")) == 1
        return found

    store.read = stale  # type: ignore[method-assign]
    return await correct(bus, 1, {"file": "/good"})
