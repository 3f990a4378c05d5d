"""What a dry run answers is exactly what the replay then does."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.inflight import Pending
from event_monitor.bus.replay import plan as plan_module
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.bus.rules import compile_filter
from event_monitor.clock import to_iso
from event_monitor.errors import InvalidRequest
from event_monitor.messages import PlanReplay, StartReplay
from event_monitor.replies.replays import ReplayPlan, ReplayReport
from tests.bus.helpers import open_bus, rules
from tests.bus.helpers import settings as bus_settings
from tests.bus.replaying import LONG_AGO, ended, record

SPAN = {"since": to_iso(LONG_AGO), "until": to_iso(LONG_AGO + 1e6)}
TARGETS = ("log", "count", "alert", "recovery")
UNWANTED = {"alert": "side effects", "recovery": "side effects", "pager": "a command"}
TYPES = ("a.x", "a.y", "b", "c.d.e", "down")
RULES: dict[str, Any] = {
    "a.#": ["count"],
    "a.x": ["log"],
    "b": {"targets": ["log", "alert"], "filter": {"path": "$.n", "regex": "[02468]$"}, "ttl": 0.001},
    "down": ["alert", "recovery"],
}


async def replay_all(
    path: Path, events: Sequence[tuple[str, int]], selected: dict[str, Any], upcast: bool
) -> tuple[ReplayPlan, ReplayReport, Counter[str], Counter[str]]:
    """The plan, the last report, and what handlers got by type and by target."""
    by_type: Counter[str] = Counter()
    by_target: Counter[str] = Counter()
    bus = await EventBus.open(path, settings=bus_settings(), rules=rules(RULES, *TARGETS))

    def count(target: str) -> Any:
        async def handle(batch: Sequence[Pending]) -> None:
            for delivery in batch:
                event = delivery.record.event
                if event.replay_of is not None:
                    by_target[target] += 1
                    by_type[event.event_type] += target == sorted(delivery.record.targets)[0]

        return handle

    for name in TARGETS:
        bus.add_target(name, count(name), batch_size=4)
    odd = compile_filter('"n":[0-9]*[13579]}')
    for name, pattern, matches in (("odd", "#.x", odd), ("pager", "a.*", None)):
        bus.subscribe(pattern, lambda event: None, name=name, matches=matches)
        bus.dispatcher.lanes[name].handle = count(name)
    if upcast:
        bus.upcasters.register("b", 1, lambda payload: {"n": payload["n"] + 1})
    async with bus:
        await record(bus, [(number // 2 / 10, kind, {"n": n}) for number, (kind, n) in enumerate(events)])
        desk = ReplayDesk(bus, lambda: UNWANTED)
        await desk.start()
        await _publish_a_replay(bus)
        planned = await desk.plan(PlanReplay(**SPAN, **selected))
        begun = await desk.begin(StartReplay(**SPAN, **selected, speed="max"))
        report = await ended(desk, begun.id) if begun.id else begun
        await bus.settled()
        await desk.stop()
    return planned, report, by_type, by_target


async def _publish_a_replay(bus: EventBus) -> None:
    """An earlier replay within the span, which is not replayed again."""
    await bus.store.write(
        lambda ledger: ledger.connection.execute(
            "UPDATE events SET replay_of = 999 WHERE id = (SELECT MAX(id) FROM events) AND id > 3"
        )
    )


selections = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["#", "a.*", "b", "*.d.#", "none"]),
        "filter": st.sampled_from(['"n":[0-4]', "^a", "x|3", "nothing at all"]),
        "targets": st.lists(st.sampled_from([*TARGETS, "odd", "pager"]), unique=True).map(tuple),
        "replays": st.booleans(),
    },
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 12)), max_size=25), selections, st.booleans()
)
def test_what_is_planned_is_what_happens(
    events: list[tuple[str, int]], selected: dict[str, Any], upcast: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "COUNTED", 3)
        patch.setattr(plan_module, "SCANNED", 2)
        planned, report, by_type, by_target = asyncio.run(
            replay_all(Path(directory) / "e.db", events, selected, upcast)
        )
    assert planned.by_type == dict(by_type)
    assert planned.by_target == {name: count for name, count in by_target.items() if count}
    assert (report.replayed, report.failed) == (planned.events, 0)
    assert sum(planned.by_type.values()) == planned.events
    left_out = sum(planned.excluded.get(name, 0) for name in ("filtered", "replays", "no_target"))
    assert planned.events + left_out == len(events)
    assert report.skipped == left_out - planned.excluded.get("filtered", 0)
    assert set(planned.why) == set(planned.excluded)
    if not selected.get("targets"):
        assert not set(by_target) & set(UNWANTED)


async def test_a_plan_says_what_would_go_where_and_what_is_left_out_and_why(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db", rules=rules(RULES, *TARGETS)) as bus:
        await record(bus, [(0, "a.x", {}), (30, "a.y", {}), (90, "down", {}), (100, "zzz", {})])
        desk = ReplayDesk(bus, lambda: UNWANTED)
        for target in TARGETS:
            bus.add_target(target, lambda batch: asyncio.sleep(0))
        planned = await desk.plan(PlanReplay(**SPAN, type="#", filter="^[ad]", speed=2.0))
        assert (await desk.plan(PlanReplay(**SPAN, speed="max"))).seconds == 0.0
        assert bus.store.counters["accepted"] == 4
    assert planned.by_type == {"a.x": 1, "a.y": 1}
    assert planned.by_target == {"count": 2, "log": 1}
    assert planned.excluded == {"alert": 1, "filtered": 1, "no_target": 1, "recovery": 1}
    assert planned.why["alert"] == "side effects"
    assert (planned.first, planned.last) == (to_iso(LONG_AGO), to_iso(LONG_AGO + 30))
    assert planned.seconds == 15.0


async def test_a_clock_that_was_set_back_neither_loses_nor_doubles_an_event(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db", rules=rules({}, "log")) as bus:
        bus.add_target("log", lambda batch: asyncio.sleep(0), batch_size=10)
        await record(bus, [(100, "a", {}), (0, "b", {}), (50, "c", {}), (160, "d", {}), (160, "e", {})])
        desk = ReplayDesk(bus)
        await desk.start()
        planned = await desk.plan(PlanReplay(**SPAN))
        begun = await desk.begin(StartReplay(**SPAN, speed="max"))
        report = await ended(desk, begun.id)
        await desk.stop()
    assert (planned.events, report.replayed, report.skipped) == (5, 5, 0)
    assert planned.seconds == 60.0, "time runs from the first event to the latest, never back"


@pytest.mark.parametrize(
    ("selected", "said"),
    [
        ({"since": "now", "until": "-1h"}, "after its end"),
        ({"since": "yesterday"}, "not a time"),
        ({"since": "-1h", "targets": ("nobody", "log")}, "no target is named nobody.*known: log"),
        ({"since": "-1h", "speed": 0.0}, "speed 0 is out of range.*0.1 to 100"),
        ({"since": "-1h", "speed": 1000.0}, "speed 1000 is out of range"),
        ({"since": "-1h", "speed": float("nan")}, "speed nan is out of range"),
        ({"since": "-1h", "type": "a..b"}, "not a topic pattern"),
        ({"since": "-1h", "filter": "(?=x)"}, "not a regular expression"),
    ],
)
async def test_what_cannot_be_meant_is_refused(tmp_path: Path, selected: dict[str, Any], said: str) -> None:
    async with open_bus(tmp_path / "e.db") as bus:
        bus.add_target("log", lambda batch: asyncio.sleep(0))
        desk = ReplayDesk(bus)
        for ask in (desk.plan(PlanReplay(**selected)), desk.begin(StartReplay(**selected))):
            with pytest.raises(InvalidRequest, match=said):
                await ask
