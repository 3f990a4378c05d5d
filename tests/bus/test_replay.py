"""Replays as they run: marked events, order, controls, failures, back-pressure, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.inflight import Pending
from event_monitor.bus.replay import run as run_module
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.clock import to_iso
from event_monitor.errors import Conflict, InvalidRequest, NotFound, StoreUnavailable
from event_monitor.messages import ControlReplay, PlanReplay, StartReplay
from event_monitor.model import Priority
from event_monitor.resilience.retry import PermanentError
from tests.bus.helpers import Recorder, open_bus, queue, rows, settings
from tests.bus.replaying import LONG_AGO, ended, reached, record

SPAN = {"since": to_iso(LONG_AGO), "until": to_iso(LONG_AGO + 1e6)}
MAX: dict[str, Any] = {**SPAN, "speed": "max"}


def recorded(
    count: int, event_type: str = "a.b", apart: float = 1.0
) -> list[tuple[float, str, dict[str, Any]]]:
    return [(n * apart, event_type, {"n": n}) for n in range(count)]


def subscribed(recorder: Recorder) -> Any:
    return lambda bus: bus.subscribe("#", recorder, name="seen")


async def desk_of(bus: EventBus) -> ReplayDesk:
    desk = ReplayDesk(bus)
    await desk.start()
    return desk


async def test_a_replayed_event_is_a_new_one_that_names_its_original(tmp_path: Path) -> None:
    seen = Recorder()
    async with open_bus(tmp_path / "e.db", subscribed(seen)) as bus:
        original = await bus.publish(
            "a.b",
            {"n": 1},
            priority=Priority.CRITICAL,
            key="mine",
            ttl=5,
            source="me",
            correlation_id="trace-1",
        )
        await bus.settled()
        desk = await desk_of(bus)
        report = await ended(desk, (await desk.begin(StartReplay(since="-1h", speed="max"))).id)
        await desk.stop()
    first, again = seen.events
    assert (report.replayed, report.failed, report.skipped) == (1, 0, 0)
    assert again.id > first.id
    assert (again.replay_of, again.correlation_id, again.source) == (original.id, "trace-1", "me")
    assert (again.event_type, again.payload) == ("a.b", {"n": 1})
    assert (again.priority, again.expires_at, again.causation_id) == (Priority.LOW, None, None)
    assert again.key != "mine"
    assert rows(tmp_path / "e.db", "SELECT status, replay_of FROM events WHERE id = ?", again.id) == [
        ("delivered", original.id)
    ]


async def test_a_replay_that_is_being_begun_can_be_led_already(tmp_path: Path) -> None:
    """Others see it from the moment at which it takes its events, before it is on disk."""
    async with open_bus(tmp_path / "e.db", subscribed(Recorder())) as bus:
        await record(bus, recorded(3))
        desk = await desk_of(bus)
        beginning = asyncio.create_task(desk.begin(StartReplay(**SPAN)))
        while not desk._jobs:  # noqa: ASYNC110 - it is seen in the turn in which it is put down
            await asyncio.sleep(0)
        assert not desk._runs, "it is still being written"
        stopped = await desk.control(ControlReplay(replay_id=1, action="stop"))
        assert (stopped.id, stopped.state) == (1, "stopped")
        assert (await beginning).id == 1
        await desk.stop()


async def test_what_comes_after_the_start_is_no_part_of_it(tmp_path: Path) -> None:
    seen = Recorder()
    async with open_bus(tmp_path / "e.db", subscribed(seen)) as bus:
        await bus.publish("a.b", {"n": 1})
        desk = await desk_of(bus)
        begun = await desk.begin(StartReplay(since="-1h", until="+1h", speed="max", paused=True))
        later = await bus.publish("a.b", {"n": 2})
        await desk.control(ControlReplay(replay_id=begun.id, action="resume"))
        report = await ended(desk, begun.id)
        await desk.stop()
    assert report.replayed == 1
    assert [event.replay_of for event in seen.events if event.replay_of] == [1]
    assert later.id in seen.ids


async def test_steps_publish_so_many_and_stay_paused(tmp_path: Path) -> None:
    seen = Recorder()
    async with open_bus(tmp_path / "e.db", subscribed(seen)) as bus:
        await record(bus, recorded(10, apart=1_000))
        desk = await desk_of(bus)
        begun = await desk.begin(StartReplay(**SPAN, paused=True))
        assert (begun.state, begun.replayed) == ("paused", 0)
        for count, total in ((1, 1), (3, 4), (2, 6)):
            report = await desk.control(ControlReplay(replay_id=begun.id, action="step", count=count))
            assert (report.state, report.replayed) == ("paused", total)
        await bus.settled()
        assert [event.payload["n"] for event in seen.events] == list(range(6))
        report = await desk.control(ControlReplay(replay_id=begun.id, action="step", count=100))
        report = await ended(desk, begun.id)
        await desk.stop()
    assert (report.state, report.replayed, report.skipped) == ("done", 10, 0)
    assert len(seen.events) == 10


async def test_a_stopped_replay_publishes_nothing_more_and_cannot_go_on(tmp_path: Path) -> None:
    seen = Recorder()
    async with open_bus(tmp_path / "e.db", subscribed(seen)) as bus:
        await record(bus, recorded(10, apart=1_000))
        desk = await desk_of(bus)
        begun = await desk.begin(StartReplay(**SPAN))
        await reached(desk, begun.id, lambda report: report.replayed == 1)
        stopped = await desk.control(ControlReplay(replay_id=begun.id, action="stop"))
        assert (stopped.state, stopped.replayed, stopped.skipped) == ("stopped", 1, 9)
        with pytest.raises(Conflict, match="is stopped"):
            await desk.control(ControlReplay(replay_id=begun.id, action="resume"))
        await bus.settled()
        await desk.stop()
    assert len(seen.events) == 1
    assert rows(tmp_path / "e.db", "SELECT state, replayed, skipped FROM replays") == [("stopped", 1, 9)]


async def test_speed_can_be_changed_on_the_way(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db", subscribed(Recorder())) as bus:
        await record(bus, recorded(10, apart=1_000))
        desk = await desk_of(bus)
        begun = await desk.begin(StartReplay(**SPAN))
        left = (await reached(desk, begun.id, lambda report: report.replayed == 1)).seconds_left
        assert left is not None and 8_990 < left <= 9_000
        report = await desk.control(ControlReplay(replay_id=begun.id, action="speed", speed=100.0))
        assert report.seconds_left is not None and 89 < report.seconds_left <= 90
        with pytest.raises(InvalidRequest, match="speed 101"):
            await desk.control(ControlReplay(replay_id=begun.id, action="speed", speed=101.0))
        await desk.control(ControlReplay(replay_id=begun.id, action="speed", speed="max"))
        assert (await ended(desk, begun.id)).replayed == 10
        await desk.stop()


async def test_failed_counts_events_whose_delivery_was_given_up_and_waits_to_know(tmp_path: Path) -> None:
    attempts: list[int] = []

    async def handler(event: Any) -> None:
        attempts.append(event.payload["n"])
        if event.payload["n"] == 3:
            raise PermanentError("never")
        if event.payload["n"] % 2 and attempts.count(event.payload["n"]) < 3:
            raise ValueError("not yet")

    async with open_bus(tmp_path / "e.db", lambda bus: bus.subscribe("#", handler, name="seen")) as bus:
        await record(bus, recorded(8))
        desk = await desk_of(bus)
        report = await ended(desk, (await desk.begin(StartReplay(**MAX))).id)
        await desk.stop()
    assert (report.replayed, report.failed, report.skipped, report.under_way) == (8, 1, 0, 0)
    assert attempts.count(5) == 3
    statuses = rows(tmp_path / "e.db", "SELECT status, COUNT(*) FROM events WHERE replay_of GROUP BY 1")
    assert dict(statuses) == {"dead": 1, "delivered": 7}


async def test_a_live_event_waits_for_a_bounded_part_of_a_replay_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "WINDOW", 20)
    monkeypatch.setattr(run_module, "LOW_WATER", 10)
    seen = Recorder()
    seen.gate.clear()
    async with open_bus(tmp_path / "e.db", subscribed(seen)) as bus:
        await record(bus, recorded(500))
        desk = await desk_of(bus)
        begun = await desk.begin(StartReplay(**MAX))
        await reached(desk, begun.id, lambda report: report.under_way == 20)
        await bus.publish("live.low", {}, priority=Priority.LOW)
        await bus.publish("live.normal", {})
        assert desk.report(begun.id).under_way == 20
        seen.gate.set()
        assert (await ended(desk, begun.id)).replayed == 500
        await desk.stop()
    order = [event.event_type for event in seen.events]
    assert order.index("live.normal") <= 1
    assert order.index("live.low") <= 21


async def test_a_second_replay_of_the_same_events_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db", subscribed(Recorder())) as bus:
        await record(bus, [*recorded(5), (9.0, "c.d", {}), (10.0, "a.b", {})])
        desk = await desk_of(bus)
        first = await desk.begin(StartReplay(**SPAN, type="a.#", paused=True))
        for overlapping in ({}, {"type": "*.b"}, {"filter": '"n":2'}):
            with pytest.raises(Conflict, match=f"replay {first.id}, which is paused"):
                await desk.begin(StartReplay(**SPAN, **overlapping))
        other = await desk.begin(StartReplay(**MAX, type="c.#"))
        assert (await ended(desk, other.id)).replayed == 1
        both = await asyncio.gather(
            *(desk.begin(StartReplay(**MAX, type="c.#")) for _ in range(2)), return_exceptions=True
        )
        assert sum(isinstance(outcome, Conflict) for outcome in both) == 1
        await desk.control(ControlReplay(replay_id=first.id, action="stop"))
        again = await desk.begin(StartReplay(**MAX, type="a.#"))
        assert (await ended(desk, again.id)).replayed == 6
        await desk.stop()


async def test_replays_themselves_are_replayed_only_when_asked_for(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db", subscribed(Recorder())) as bus:
        for n in range(3):
            await bus.publish("a.b", {"n": n})
        desk = await desk_of(bus)
        await ended(desk, (await desk.begin(StartReplay(since="-1h", speed="max"))).id)
        without = await desk.plan(PlanReplay(since="-1h"))
        assert (without.events, without.excluded) == (3, {"replays": 3})
        assert (await desk.plan(PlanReplay(since="-1h", replays=True))).events == 6
        await desk.stop()


async def test_nothing_to_replay_is_said_and_kept_nowhere(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db", subscribed(Recorder())) as bus:
        desk = await desk_of(bus)
        report = await desk.begin(StartReplay(since="-1h"))
        assert (report.id, report.state, report.events, report.replayed) == (0, "done", 0, 0)
        assert "nothing" in report.note
        assert desk.reports() == []
        with pytest.raises(NotFound, match="no replay has the number 7"):
            await desk.control(ControlReplay(replay_id=7, action="pause"))


async def test_it_goes_on_where_it_was_after_a_restart_and_a_paused_one_stays_paused(tmp_path: Path) -> None:
    seen = Recorder()
    path = tmp_path / "e.db"
    async with open_bus(path, subscribed(seen)) as bus:
        await record(bus, recorded(20, apart=1_000) + recorded(20, "c.d", apart=1_000))
        desk = await desk_of(bus)
        first = await desk.begin(StartReplay(**SPAN, type="a.b"))
        await reached(desk, first.id, lambda report: report.replayed == 1)
        second = await desk.begin(StartReplay(**SPAN, type="c.d", paused=True))
        await desk.control(ControlReplay(replay_id=second.id, action="step", count=5))
        await desk.stop()
    async with open_bus(path, subscribed(seen)) as bus:
        notes: list[str] = []
        desk = ReplayDesk(bus)
        desk.on_note = lambda severity, title, detail: notes.append(f"{severity} {title}: {detail}")
        await desk.start()
        assert notes == [f"info Replay {first.id} goes on: 19 events were left at the restart"]
        assert [report.state for report in desk.reports()] == ["paused", "running"]
        left = desk.report(first.id).seconds_left
        assert left is not None and 18_990 < left <= 19_000
        # The one that runs may be done before anything more is asked of it.
        await desk.control(ControlReplay(replay_id=second.id, action="speed", speed="max"))
        await desk.control(ControlReplay(replay_id=second.id, action="resume"))
        await desk.control(ControlReplay(replay_id=first.id, action="speed", speed="max"))
        for number in (first.id, second.id):
            report = await ended(desk, number)
            assert (report.replayed, report.skipped, report.failed) == (20, 0, 0)
        await desk.stop()
    for event_type in ("a.b", "c.d"):
        replayed = [event.payload["n"] for event in seen.events if event.event_type == event_type]
        assert replayed == list(range(20))


@pytest.mark.parametrize("window", [2, 4, 512])
async def test_a_restart_before_the_position_was_written_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """As if it was killed between the commit of replayed events and that of the position."""
    monkeypatch.setattr(run_module, "WINDOW", window)
    monkeypatch.setattr(run_module, "LOW_WATER", window // 2)
    path = tmp_path / "e.db"
    seen: list[int] = []

    async def handler(event: Any) -> None:
        seen.append(event.payload["n"])
        if event.payload["n"] == 2:
            raise PermanentError("never")

    def prepare(bus: EventBus) -> None:
        bus.subscribe("#", handler, name="seen")

    async with open_bus(path, prepare) as bus:
        await record(bus, recorded(30, apart=1_000))
        desk = await desk_of(bus)
        begun = await desk.begin(StartReplay(**SPAN, paused=True))
        await desk.control(ControlReplay(replay_id=begun.id, action="step", count=12))
        await desk.stop()
        await bus.store.write(
            lambda ledger: ledger.connection.execute(
                "UPDATE replays SET position = 4, replayed = 4, failed = 0, speed = NULL, state = 'running'"
            )
        )
    async with open_bus(path, prepare) as bus:
        desk = await desk_of(bus)
        report = await ended(desk, begun.id)
        await desk.stop()
    assert (report.replayed, report.failed, report.skipped) == (30, 1, 0)
    assert seen == list(range(30))


async def test_while_the_disk_refuses_it_waits_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "AGAIN", 0.01)
    seen = Recorder()
    async with open_bus(tmp_path / "e.db", subscribed(seen)) as bus:
        await record(bus, recorded(50))
        desk = await desk_of(bus)
        submit, failing = bus.submit, 3

        def refusing(*arguments: Any, **options: Any) -> Any:
            nonlocal failing
            future, receipt = submit(*arguments, **options)
            if failing and options["payload" if "payload" in options else "replay_of"] == 7:
                failing -= 1
                refused = asyncio.get_running_loop().create_future()
                refused.set_exception(StoreUnavailable("the disk is full"))
                return refused, receipt
            return future, receipt

        monkeypatch.setattr(bus, "submit", refusing)
        report = await ended(desk, (await desk.begin(StartReplay(**MAX))).id)
        await desk.stop()
    assert failing == 0
    assert (report.replayed, report.failed, report.skipped) == (50, 0, 0)
    assert sorted(event.payload["n"] for event in seen.events) == list(range(50))


async def test_a_full_bus_makes_it_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "AGAIN", 0.01)
    seen = Recorder()
    seen.gate.clear()
    limited = settings(queue=queue(max_backlog=10, reserve=0))
    async with open_bus(tmp_path / "e.db", subscribed(seen), settings=limited) as bus:
        await record(bus, recorded(100))
        desk = await desk_of(bus)
        begun = await desk.begin(StartReplay(**MAX, paused=True))
        stepping = asyncio.create_task(
            desk.control(ControlReplay(replay_id=begun.id, action="step", count=15))
        )
        await reached(desk, begun.id, lambda report: "events are waiting" in report.waits)
        assert desk.report(begun.id).replayed == 10
        seen.gate.set()
        assert (await stepping).replayed == 15
        await desk.control(ControlReplay(replay_id=begun.id, action="resume"))
        report = await ended(desk, begun.id)
        await desk.stop()
    assert (report.replayed, report.skipped) == (100, 0)
    assert [event.payload["n"] for event in seen.events] == list(range(100))


async def test_what_the_retention_took_meanwhile_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A page may have been read already when the replay is paused.
    monkeypatch.setattr(run_module, "PAGE", 2)
    async with open_bus(tmp_path / "e.db", subscribed(Recorder())) as bus:
        await record(bus, recorded(10))
        desk = await desk_of(bus)
        begun = await desk.begin(StartReplay(**MAX, paused=True))
        await bus.store.write(
            lambda ledger: ledger.connection.execute("DELETE FROM events WHERE id IN (7, 8)")
        )
        await desk.control(ControlReplay(replay_id=begun.id, action="resume"))
        report = await ended(desk, begun.id)
        await desk.stop()
    assert (report.events, report.replayed, report.skipped) == (10, 8, 2)


async def test_one_that_fails_by_a_mistake_is_paused_with_the_reason_and_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bus(tmp_path / "e.db", subscribed(Recorder())) as bus:
        await record(bus, recorded(5))
        notes: list[str] = []
        desk = await desk_of(bus)
        desk.on_note = lambda severity, title, detail: notes.append(f"{severity} {title}")
        with monkeypatch.context() as patch:
            patch.setattr(bus, "submit", lambda *_, **__: 1 / 0)
            begun = await desk.begin(StartReplay(**MAX))
            report = await reached(desk, begun.id, lambda report: report.state == "paused")
        assert "ZeroDivisionError" in report.note
        assert notes == [f"warning Replay {begun.id} failed"]
        await desk.control(ControlReplay(replay_id=begun.id, action="resume"))
        report = await ended(desk, begun.id)
        assert (report.replayed, report.note) == (5, "")
        await desk.stop()


async def test_named_targets_get_all_events_and_named_subscriptions_those_they_want(tmp_path: Path) -> None:
    got: dict[str, list[str]] = {"log": [], "count": []}
    wanted = Recorder()

    def prepare(bus: EventBus) -> None:
        def adding(name: str) -> Any:
            async def handle(batch: Sequence[Pending]) -> None:
                got[name] += [delivery.record.event.event_type for delivery in batch]

            return handle

        for name in got:
            bus.add_target(name, adding(name))
        bus.subscribe("c.#", wanted, name="mine")

    async with open_bus(tmp_path / "e.db", prepare) as bus:
        await record(bus, recorded(2) + recorded(1, "c.d"))
        desk = await desk_of(bus)
        request = StartReplay(**MAX, targets=("count", "mine"))
        assert (await ended(desk, (await desk.begin(request)).id)).targets == ["count", "mine"]
        await desk.stop()
    assert got == {"log": [], "count": ["a.b", "a.b", "c.d"]}
    assert [event.event_type for event in wanted.events] == ["c.d"]
