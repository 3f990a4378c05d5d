"""Replays in the real runtime: side effects, marks that reach handlers, messages, settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from event_monitor import messages as m
from event_monitor.answers.replays import SIDE_EFFECTS
from event_monitor.clock import from_iso, nearest_iso, to_iso
from event_monitor.control.client import SocketClient
from event_monitor.errors import InvalidRequest, NotFound, ReadOnly
from event_monitor.model import Event, SystemState
from event_monitor.paths import HomePaths
from event_monitor.replies.replays import ReplayReport
from event_monitor.runtime import Runtime
from tests.bus.helpers import settings
from tests.bus.replaying import LONG_AGO, ended, record
from tests.test_runtime import paths, publish, running, titles, until

__all__ = ["paths"]

RECEIVED: list[Event] = []


def receive(event: Event) -> None:
    """The function of a py: subscription."""
    RECEIVED.append(event)


def upcast(payload: dict[str, Any]) -> dict[str, Any]:
    """An upcaster that the settings name."""
    return {**payload, "upcast": True}


async def replayed(runtime: Runtime, **options: Any) -> ReplayReport:
    begun = await runtime.handle(m.StartReplay(**{"since": "-1h", "speed": "max"} | options))
    return await ended(runtime.replays, begun.id) if begun.id else begun


async def quiet(runtime: Runtime) -> None:
    """The bus has told of its start, and that event is delivered and on disk."""
    await until(lambda: runtime.machine.state is SystemState.HEALTHY)
    await runtime.bus.settled()


async def test_side_effects_are_left_alone_unless_named(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await publish(runtime, "service.down", payload={"service": "nothing", "error": "gone"})
        await runtime.bus.settled()
        handled = {name: lane.handled for name, lane in runtime.bus.dispatcher.lanes.items()}
        raised = len(titles(runtime))
        plan = await runtime.handle(m.PlanReplay(since="-1h", type="service.#"))
        assert plan.by_target == {"log": 1}
        assert (plan.excluded["alert"], plan.excluded["recovery"]) == (1, 1)
        assert plan.why["alert"] == "it acts on people or machines"
        assert (await replayed(runtime, type="service.#")).replayed == 1
        await runtime.bus.settled()
        now = {name: lane.handled for name, lane in runtime.bus.dispatcher.lanes.items()}
        assert {name: now[name] - handled[name] for name in SIDE_EFFECTS} == dict.fromkeys(SIDE_EFFECTS, 0)
        assert len(titles(runtime)) == raised
        report = await replayed(runtime, type="service.#", targets=("alert",))
        assert (report.replayed, report.targets) == (1, ["alert"])
        await runtime.bus.settled()
        assert runtime.bus.dispatcher.lanes["alert"].handled == handled["alert"] + 1
        assert runtime.bus.dispatcher.lanes["log"].handled == now["log"]


async def test_a_replay_is_marked_all_the_way_to_every_kind_of_handler(
    paths: HomePaths, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    program = tmp_path / "handler"
    program.write_text(f"#!/bin/sh\ncat >> {taken}\n")
    program.chmod(0o700)
    RECEIVED.clear()
    async with running(paths) as runtime:
        await runtime.handle(m.Subscribe(pattern="wanted.#", handler=f"exec:{program}", name="pager"))
        await runtime.handle(
            m.Subscribe(pattern="wanted.#", handler="py:tests.test_replays:receive", name="function")
        )
        original = await publish(runtime, "wanted.now", payload={"n": 1})
        await runtime.bus.settled()
        plan = await runtime.handle(m.PlanReplay(since="-1h", type="wanted.#"))
        assert plan.by_target == {"function": 1, "log": 1}
        assert (plan.excluded["pager"], plan.why["pager"]) == (1, "it runs a command")
        await replayed(runtime, type="wanted.#")
        await runtime.bus.settled()
        assert [event.replay_of for event in RECEIVED] == [None, original.id]
        assert len(taken.read_text().splitlines()) == 1
        await replayed(runtime, type="wanted.#", targets=("pager", "function"))
        await runtime.bus.settled()
    marks = [json.loads(line)["replay_of"] for line in taken.read_text().splitlines()]
    assert marks == [None, original.id]
    log = Path(paths.logs, "events.jsonl").read_text().splitlines()
    wanted = [json.loads(line) for line in log if "wanted.now" in line]
    assert [event["replay_of"] for event in wanted] == [None, original.id]


async def test_a_replay_goes_on_after_a_restart_and_says_so(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await record(runtime.bus, [(n * 1_000.0, "a.b", {"n": n}) for n in range(5)])
        begun = await runtime.handle(
            m.StartReplay(since=to_iso(LONG_AGO), until=to_iso(LONG_AGO + 1e5), type="a.b")
        )
        await until(lambda: runtime.replays.report(begun.id).replayed == 1)
    async with running(paths) as runtime:
        assert f"Replay {begun.id} goes on" in titles(runtime)
        report = await runtime.handle(m.ControlReplay(replay_id=begun.id, action="speed", speed="max"))
        assert (await ended(runtime.replays, report.id)).replayed == 5
        page = await runtime.handle(m.QueryReplays())
        assert [(one.id, one.state) for one in page.replays] == [(begun.id, "done")]


async def test_every_message_of_replays_crosses_the_socket(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await publish(runtime, "a.b")
        client = SocketClient(paths.socket)
        view = SocketClient(paths.socket, read_only=True)
        plan = await view.request(m.PlanReplay(since="-1h", type="a.b", speed="max"))
        assert (plan.events, plan.speed) == (1, "max")
        with pytest.raises(ReadOnly):
            await view.request(m.StartReplay(since="-1h"))
        begun = await client.request(m.StartReplay(since="-1h", type="a.b", speed=0.5, paused=True))
        assert (begun.speed, begun.state) == (0.5, "paused")
        stopped = await client.request(m.ControlReplay(replay_id=begun.id, action="stop"))
        assert stopped.state == "stopped"
        (shown,) = (await view.request(m.QueryReplays(replay_id=begun.id))).replays
        assert shown.skipped == 1
        assert (await view.request(m.GetHistogram(type="a.b"))).total == 1
        await client.close()
        await view.close()


async def test_a_histogram_counts_each_event_in_its_part_of_the_span(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await quiet(runtime)
        moments = [0.0, 9.999, 10.0, 25.0, 25.5, 39.9, 40.0]
        await record(runtime.bus, [(at, "a.b" if at != 25.5 else "c", {}) for at in moments])
        span = {"since": to_iso(LONG_AGO), "until": to_iso(LONG_AGO + 40)}
        found = await runtime.handle(m.GetHistogram(**span, buckets=4))
        assert (found.counts, found.total, found.seconds) == ([2, 1, 2, 1], 6, 10.0)
        found = await runtime.handle(m.GetHistogram(**span, buckets=4, type="a.#"))
        assert found.counts == [2, 1, 1, 1]
        everything = await runtime.handle(m.GetHistogram(buckets=7))
        assert everything.since == to_iso(LONG_AGO)
        assert everything.total == runtime.bus.store.counters["accepted"]
        for wrong in ({"buckets": 0}, {"since": "now", "until": "-1h"}):
            with pytest.raises(InvalidRequest):
                await runtime.handle(m.GetHistogram(**wrong))


async def test_a_histogram_of_nothing_is_empty(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        found = await runtime.handle(m.GetHistogram(since="-2h", until="-1h", buckets=3))
        assert (found.counts, found.total) == ([0, 0, 0], 0)


async def test_upcasters_of_the_settings_are_used_and_a_missing_one_is_told(paths: HomePaths) -> None:
    configured = {
        "old.good": {"1": "tests.test_replays:upcast"},
        "old.bad": {"1": "tests.no_such_module:upcast"},
    }
    async with running(paths, settings(upcasters=configured)) as runtime:
        assert any("tests.no_such_module" in alert.detail for alert in runtime.alerts.newest(10))
        await publish(runtime, "old.good", payload={"n": 1})
        await publish(runtime, "old.bad", payload={"n": 2})
        await runtime.bus.settled()
        (letter,) = (await runtime.handle(m.QueryDeadLetters())).dead_letters
        assert letter.event_type == "old.bad"
        assert "cannot be loaded" in letter.error
    log = Path(paths.logs, "events.jsonl").read_text().splitlines()
    (good,) = (json.loads(line) for line in log if "old.good" in line)
    assert (good["payload"], good["schema_version"]) == ({"n": 1, "upcast": True}, 2)


async def test_the_last_events_of_a_replay_are_told_with_their_outcomes(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await record(runtime.bus, [(float(n), "a.b", {"n": n, "token": "hunter2"}) for n in range(120)])
        originals = (await runtime.handle(m.QueryEvents(type="a.b", limit=120))).events
        span = {"since": to_iso(LONG_AGO), "until": to_iso(LONG_AGO + 1e4), "type": "a.b"}
        begun = await runtime.handle(m.StartReplay(**span, paused=True, targets=("log", "storage")))
        asked = m.QueryReplayed(replay_id=begun.id)
        assert (await runtime.handle(asked)).events == []
        await runtime.handle(m.ControlReplay(replay_id=begun.id, action="step", count=3))
        await runtime.bus.settled()
        newest_first = [event.id for event in originals[-3:]]
        found = (await runtime.handle(asked)).events
        assert [event.replay_of for event in found] == newest_first
        await runtime.handle(m.ControlReplay(replay_id=begun.id, action="speed", speed="max"))
        await runtime.handle(m.ControlReplay(replay_id=begun.id, action="resume"))
        await ended(runtime.replays, begun.id)
        found = (await runtime.handle(m.QueryReplayed(replay_id=begun.id, limit=100))).events
        assert [event.replay_of for event in found] == [event.id for event in originals[:100]]
        assert found[0].recorded_at == originals[0].timestamp
        assert "hunter2" not in found[0].summary
        assert dict(found[0].outcomes)["log"] == "delivered"
        for wrong in (m.QueryReplayed(replay_id=9), m.QueryReplayed(replay_id=begun.id, limit=0)):
            with pytest.raises((NotFound, InvalidRequest)):
                await runtime.handle(wrong)
    async with running(paths) as runtime:
        again = (await runtime.handle(m.QueryReplayed(replay_id=begun.id, limit=100))).events
        assert again == found


async def test_the_targets_of_a_replay_are_told_with_their_effects(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await runtime.handle(m.Subscribe(pattern="wanted.#", handler="exec:true", name="pager"))
        client = SocketClient(paths.socket)
        apart = client.apart(30.0)
        found = {one.name: one for one in (await apart.request(m.QueryReplayTargets())).targets}
        await apart.close()
        assert found.keys() == runtime.bus.dispatcher.lanes.keys()
        assert {name for name, one in found.items() if one.effect} == {*SIDE_EFFECTS, "pager"}
        assert (found["pager"].pattern, found["log"].pattern) == ("wanted.#", None)
        await client.close()


async def test_one_event_is_planned_by_its_own_time(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await record(runtime.bus, [(n / 1e6, "a.b", {}) for n in range(0, 700, 7)])
        for event in (await runtime.handle(m.QueryEvents(type="a.b", limit=100))).events:
            after = nearest_iso(from_iso(event.timestamp) + 1e-6)
            plan = await runtime.handle(m.PlanReplay(since=event.timestamp, until=after, type="a.b"))
            assert (plan.events, plan.first_id) == (1, event.id), event.timestamp
