"""Storms: what is over a limit is sampled, delayed or refused, counted exactly, and harms no other source."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from event_monitor.answers.overview import resident_bytes
from event_monitor.bus.admission import ON_THE_WAY
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.receipt import Receipt
from event_monitor.bus.storms import QUIET, StormChange
from event_monitor.bus.turns import MAX_NAMED, OTHERS
from event_monitor.config import StormRule
from event_monitor.errors import InvalidEvent, RateLimited
from event_monitor.event_types import SOURCE
from event_monitor.model import Priority, Status
from tests.bus.helpers import Recorder, open_bus, queue, rows, settings
from tests.virtual import database_counted, run_virtual

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def virtual(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    with database_counted(monkeypatch):
        yield run_virtual


def storm(**rules: StormRule) -> Any:
    """Settings with storm rules; ``_`` in a name stands for a dot, ``every`` for all types."""
    return settings(
        storm={"#" if name == "every" else name.replace("_", "."): rule for name, rule in rules.items()}
    )


def counts(bus: EventBus) -> dict[tuple[str, str | None], tuple[int, int, int, int, int]]:
    return {
        (count.pattern, count.source): (
            count.over,
            count.kept,
            count.sampled,
            count.delayed,
            count.refused,
        )
        for count in bus.admission.storms.counts()
    }


async def outcomes(bus: EventBus, number: int, **options: Any) -> list[Receipt | BaseException]:
    return await asyncio.gather(
        *(bus.publish("a.b", {"n": n}, **options) for n in range(number)), return_exceptions=True
    )


# --- what a rule does -----------------------------------------------------------------------


def test_what_is_sampled_out_is_stored_counted_and_delivered_to_nobody(virtual: Run, tmp_path: Path) -> None:
    recorder = Recorder()

    async def main() -> None:
        async with open_bus(
            tmp_path / "e.db",
            lambda bus: bus.subscribe("#", recorder, name="r"),
            settings=storm(a_b=StormRule(rate=10, burst=10, keep=5)),
        ) as bus:
            receipts = await outcomes(bus, 40, source="loud")
            other = await bus.publish("a.b", {}, source="quiet")
            await bus.settled()
            assert all(isinstance(receipt, Receipt) for receipt in receipts)
            assert Counter((r.status, r.sampled, r.targets) for r in receipts) == {
                ("accepted", False, ("r",)): 16,
                ("accepted", True, ()): 24,
            }
            assert not other.sampled
            counters = bus.store.counters
            assert (counters["accepted"], counters["delivered"], counters["sampled"]) == (41, 17, 24)
            assert bus.pending == 0
            assert counts(bus) == {("a.b", "loud"): (30, 6, 24, 0, 0)}
            assert len({r.id for r in receipts}) == 40

    virtual(main)
    assert recorder.ids == sorted(recorder.ids)
    assert len(recorder.ids) == 17
    stored = rows(
        tmp_path / "e.db", "SELECT status, queued, COUNT(*), COUNT(route) FROM events GROUP BY status"
    )
    assert stored == [("delivered", None, 17, 17), ("sampled", None, 24, 24)]


def test_what_is_sampled_stays_so_over_a_restart(virtual: Run, tmp_path: Path) -> None:
    recorder = Recorder()
    options = {"settings": storm(every=StormRule(rate=1, keep=0))}

    async def first() -> None:
        async with open_bus(tmp_path / "e.db", **options) as bus:
            await outcomes(bus, 5)

    async def second() -> None:
        async with open_bus(
            tmp_path / "e.db", lambda bus: bus.subscribe("#", recorder, name="r"), **options
        ) as bus:
            await bus.settled()
            assert (bus.store.counters["sampled"], bus.pending) == (4, 0)

    virtual(first)
    virtual(second)
    assert recorder.ids == []


def test_a_duplicate_of_a_sampled_event_is_counted_once(virtual: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with open_bus(tmp_path / "e.db", settings=storm(every=StormRule(rate=1, keep=0))) as bus:
            receipts = await outcomes(bus, 2)
            sampled = [await bus.publish("a.b", {}, key="k") for _ in range(3)]
            assert [r.status for r in sampled] == ["accepted", "duplicate", "duplicate"]
            assert bus.store.counters["sampled"] == 2
            assert counts(bus) == {("#", None): (4, 0, 2, 0, 0)}
            assert len(receipts) == 2

    virtual(main)
    assert rows(tmp_path / "e.db", "SELECT COUNT(*) FROM events WHERE status = 'sampled'") == [(2,)]


def test_who_is_delayed_waits_in_line_and_no_longer_than_allowed(virtual: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        done: list[tuple[int, float]] = []

        async def one(number: int) -> None:
            await bus.publish("a.b", {"n": number}, source="s")
            done.append((number, round(loop.time() - begun, 6)))

        async with open_bus(
            tmp_path / "e.db",
            settings=storm(every=StormRule(rate=10, burst=2, action="delay", max_wait=0.35)),
        ) as bus:
            results = await asyncio.gather(*(one(n) for n in range(8)), return_exceptions=True)
            refused = [result for result in results if isinstance(result, RateLimited)]
            assert done == [(0, 0), (1, 0), (2, 0.1), (3, 0.2), (4, 0.3)]
            assert len(refused) == 3
            assert refused[0].retry_after == pytest.approx(0.4)
            assert counts(bus) == {("#", "s"): (6, 0, 0, 3, 3)}

    virtual(main)


def test_a_cancelled_wait_gives_its_token_back(virtual: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with open_bus(
            tmp_path / "e.db", settings=storm(every=StormRule(rate=1, burst=1, action="delay"))
        ) as bus:
            await bus.publish("a.b")
            begun = loop.time()
            waiting = [asyncio.create_task(bus.publish("a.b")) for _ in range(4)]
            await asyncio.sleep(0.01)
            for task in waiting[:3]:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await bus.publish("a.b")
            assert loop.time() - begun == pytest.approx(4, abs=0.02)
            with contextlib.suppress(RateLimited):
                await asyncio.gather(*(bus.publish("a.b") for _ in range(5)))
            assert bus.store.counters["accepted"] == 8

    virtual(main)


def test_who_is_refused_is_told_when_to_come_back(virtual: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with open_bus(
            tmp_path / "e.db", settings=storm(a_x=StormRule(rate=4, burst=4, action="refuse"))
        ) as bus:
            for _ in range(4):
                await bus.publish("a.x", source="s")
            with pytest.raises(RateLimited, match=r"more than 4 events a second of a\.x from s") as refused:
                await bus.publish("a.x", source="s")
            assert refused.value.retry_after == pytest.approx(0.25)
            with pytest.raises(RateLimited, match="from no named source"):
                for _ in range(5):
                    bus.submit("a.x")
            await asyncio.sleep(refused.value.retry_after)
            await bus.publish("a.x", source="s")
            await bus.publish("a.y", source="s")
            assert counts(bus) == {("a.x", "s"): (1, 0, 0, 0, 1), ("a.x", None): (1, 0, 0, 0, 1)}

    virtual(main)


@pytest.mark.parametrize("action", ["sample", "delay", "refuse"])
def test_critical_events_and_the_buss_own_are_never_held_back(
    virtual: Run, tmp_path: Path, action: Any
) -> None:
    async def main() -> None:
        async with open_bus(
            tmp_path / "e.db", settings=storm(every=StormRule(rate=1, keep=0, action=action, max_wait=0.01))
        ) as bus:
            begun = asyncio.get_running_loop().time()
            await outcomes(bus, 3)
            over = counts(bus)
            receipts = await outcomes(bus, 100, priority=Priority.CRITICAL)
            receipts += await outcomes(bus, 100, source=SOURCE)
            receipts += [await bus.publish("error.critical") for _ in range(10)]
            own = [bus.submit("storm.began", reserved=True) for _ in range(10)]
            await asyncio.gather(*(future for future, _ in own))
            receipts += [receipt for _, receipt in own]
            assert all(isinstance(r, Receipt) and not r.sampled for r in receipts)
            assert counts(bus) == over
            assert asyncio.get_running_loop().time() - begun < 0.1

    virtual(main)


async def test_the_first_rule_that_matches_counts(tmp_path: Path) -> None:
    chosen = settings(
        storm={
            "a.free": StormRule(rate=1_000),
            "a.*": StormRule(rate=1, action="refuse"),
            "#": StormRule(rate=1),
        }
    )
    async with open_bus(tmp_path / "e.db", settings=chosen) as bus:
        for _ in range(10):
            await bus.publish("a.free")
        await bus.publish("a.b")
        with pytest.raises(RateLimited):
            await bus.publish("a.b")
        await bus.publish("z")
        assert (await bus.publish("z")).sampled


@pytest.mark.parametrize("event_type", ["Not.a.type", 5, ["a"], None])
async def test_a_bad_event_is_refused_as_such_under_a_rule_too(tmp_path: Path, event_type: Any) -> None:
    async with open_bus(tmp_path / "e.db", settings=storm(every=StormRule(rate=1, keep=0))) as bus:
        with pytest.raises(InvalidEvent):
            await bus.publish(event_type)
        with pytest.raises(InvalidEvent, match="source"):
            await bus.publish("a.b", source="\x1b[31m")
        assert counts(bus) == {}


async def test_sources_without_end_share_one_limit_and_cost_bounded_memory(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db", settings=storm(every=StormRule(rate=0.001, keep=0))) as bus:
        for number in range(3 * MAX_NAMED):
            await asyncio.gather(*(bus.publish("a.b", source=f"s{number}") for _ in range(2)))
        found = counts(bus)
        assert len(found) == MAX_NAMED + 1
        assert sum(over for over, *_ in found.values()) == bus.store.counters["sampled"]
        assert found["#", "s0"][0] == 1
        assert found["#", OTHERS][0] == 2 * 2 * MAX_NAMED - 1


# --- fairness -------------------------------------------------------------------------------


async def test_a_flood_of_one_source_costs_another_no_more_than_the_events_on_their_way(
    tmp_path: Path,
) -> None:
    async with open_bus(tmp_path / "e.db") as bus:
        flood = [asyncio.create_task(bus.publish("a", {"n": n}, source="loud")) for n in range(12_000)]
        await asyncio.sleep(0)
        quiet = await asyncio.gather(*(bus.publish("a", {}, source=f"quiet{n}") for n in range(5)))
        accepted = await asyncio.gather(*flood, return_exceptions=True)
        assert max(receipt.id for receipt in quiet) <= ON_THE_WAY + 20
        ids = [receipt.id for receipt in accepted if isinstance(receipt, Receipt)]
        assert ids == sorted(ids)
        assert len(ids) == 12_000
        assert bus.admission.turns.waiting == bus.admission.turns.taken == 0


async def test_too_many_waiting_publishers_of_one_source_are_shed_and_counted(tmp_path: Path) -> None:
    chosen = settings(queue=queue(max_waiting=100))
    async with open_bus(tmp_path / "e.db", settings=chosen) as bus:
        flood = [asyncio.create_task(bus.publish("a", {}, source="loud")) for _ in range(ON_THE_WAY + 150)]
        await asyncio.sleep(0)
        await bus.publish("a", {}, source="quiet")
        await bus.publish("a", {}, source="loud", priority=Priority.CRITICAL)
        results = Counter(map(type, await asyncio.gather(*flood, return_exceptions=True)))
        assert results == {Receipt: ON_THE_WAY + 100, RateLimited: 50}
        assert bus.admission.turns.shed == {"loud": 50}


async def test_the_backlogs_limit_holds_for_waiting_publishers_and_strands_none(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with open_bus(
        tmp_path / "e.db",
        lambda bus: bus.subscribe("#", recorder, name="r"),
        settings=settings(queue=queue(max_backlog=ON_THE_WAY + 500, reserve=0)),
    ) as bus:
        async with asyncio.timeout(30):
            results = Counter(map(type, await outcomes(bus, ON_THE_WAY + 2_000)))
        assert results[Receipt] == ON_THE_WAY + 500
        assert bus.admission.turns.open
        recorder.gate.set()
        await bus.settled()


# --- being told -----------------------------------------------------------------------------


def test_a_storm_is_told_once_when_it_begins_and_once_when_it_is_over(virtual: Run, tmp_path: Path) -> None:
    told: list[StormChange] = []

    async def main() -> None:
        async with open_bus(
            tmp_path / "e.db", settings=storm(every=StormRule(rate=100, burst=100, keep=0))
        ) as bus:
            bus.admission.storms.on_change = told.append
            for _ in range(50):
                await outcomes(bus, 5, source="quiet")
                await asyncio.sleep(0.1)
            assert told == []
            for _ in range(150):
                await outcomes(bus, 60, source="loud")
                await outcomes(bus, 11, source="a little loud")
                await asyncio.sleep(0.1)
            await asyncio.sleep(QUIET - 2)
            assert [change.began for change in told] == [True]
            await asyncio.sleep(4)
            assert [change.began for change in told] == [True, False]

    virtual(main)
    began, ended = told
    assert (began.pattern, began.source, ended.source) == ("#", "loud", "loud")
    assert began.rate == pytest.approx(600, rel=0.2)
    assert ended.rate == pytest.approx(600, rel=0.2)
    assert ended.seconds == pytest.approx(15, abs=1.5)
    assert set(ended.over) == {"loud", "a little loud"}
    assert ended.over["loud"] == pytest.approx(150 * 60 - 100 - 149 * 10, abs=2)


# --- scenario 20 ----------------------------------------------------------------------------

SECONDS, TICK, FLOOD, LIMIT, QUIET_SOURCES = 10, 0.01, 50_000, 1_000, 5


@pytest.mark.slow
def test_scenario_20_a_flood_from_one_source_is_cut_to_its_limit_and_harms_no_other(
    virtual: Run, tmp_path: Path
) -> None:
    """Half of the flood is of a type that is sampled, half of one that is refused over its limit."""
    received: Counter[tuple[str | None, str]] = Counter()
    seen: Counter[str] = Counter()
    late: list[float] = []
    growth = [0]

    async def handler(event: Any) -> None:
        received[event.source, event.event_type] += 1

    async def flood(bus: EventBus, event_type: str) -> None:
        try:
            receipt = await bus.publish(event_type, {"n": 1}, source="loud")
        except RateLimited:
            seen["dropped"] += 1
        else:
            seen["sampled" if receipt.sampled else "accepted"] += 1

    async def quiet(bus: EventBus, name: str) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(SECONDS * 20):
            begun = loop.time()
            receipt = await bus.publish("flood.clicks", {}, source=name)
            assert not receipt.sampled
            late.append(loop.time() - begun)
            await asyncio.sleep(0.05)

    async def main() -> None:
        half = StormRule(rate=LIMIT / 2, burst=LIMIT // 2, keep=1_000)
        rules = {"flood.noise": half, "flood.clicks": StormRule(rate=LIMIT / 2, action="refuse")}
        async with open_bus(
            tmp_path / "e.db",
            lambda bus: bus.subscribe("#", handler, name="r"),
            settings=settings(storm=rules),
        ) as bus:
            await asyncio.gather(*(flood(bus, "flood.noise") for _ in range(500)))
            before = resident_bytes()
            seen.clear()
            sources = [asyncio.create_task(quiet(bus, f"quiet{n}")) for n in range(QUIET_SOURCES)]
            for _ in range(int(SECONDS / TICK)):
                each = int(FLOOD * TICK / 2)
                await asyncio.gather(
                    *(flood(bus, "flood.noise") for _ in range(each)),
                    *(flood(bus, "flood.clicks") for _ in range(each)),
                )
                growth[0] = max(growth[0], resident_bytes() - before)
                await asyncio.sleep(TICK)
            await asyncio.gather(*sources)
            await bus.settled()
            found = counts(bus)
            assert bus.pending == 0
            assert found["flood.noise", "loud"][2] == bus.store.counters["sampled"] == seen["sampled"]
            assert found["flood.clicks", "loud"][4] == seen["dropped"]
            assert set(found) == {("flood.noise", "loud"), ("flood.clicks", "loud")}
            assert bus.store.counters["expired"] == bus.store.counters["dead"] == 0

    virtual(main)
    published = FLOOD * SECONDS
    delivered = received["loud", "flood.noise"] + received["loud", "flood.clicks"] - 500
    assert seen["sampled"] + seen["dropped"] + delivered == published
    assert seen["accepted"] == delivered
    # What the limit lets through: the burst, what comes in ten seconds, and 1 in 1,000 of the sampled.
    assert delivered == pytest.approx(LIMIT * SECONDS + LIMIT / 2 + 250, rel=0.05)
    assert (
        sum(received[f"quiet{n}", "flood.clicks"] for n in range(QUIET_SOURCES))
        == QUIET_SOURCES * SECONDS * 20
    )
    assert max(late) == 0
    print(f"resident memory grew by {growth[0] / 1024 / 1024:.1f} MiB")
    assert growth[0] < 50 * 1024 * 1024
    stored = dict(rows(tmp_path / "e.db", "SELECT status, COUNT(*) FROM events GROUP BY status"))
    assert stored[Status.SAMPLED.value] == seen["sampled"]
