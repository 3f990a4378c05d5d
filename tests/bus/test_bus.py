"""The bus: acceptance, order, routing to handlers, retries, dead letters, expiry, recovery."""

from __future__ import annotations

import asyncio
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest

from event_monitor.bus.dead_groups import Letters
from event_monitor.bus.event_bus import EventBus
from event_monitor.config import BusSettings, RetrySettings, TargetSettings
from event_monitor.errors import BusClosed, BusFull, InvalidEvent
from event_monitor.model import DeliveryState, Priority
from event_monitor.resilience.retry import PermanentError
from tests.bus.helpers import Recorder, open_bus, queue, rows, rules, settings


async def test_an_event_reaches_its_handler_with_all_its_fields(tmp_path: Path) -> None:
    recorder = Recorder()
    async with open_bus(tmp_path / "events.db", lambda bus: bus.subscribe("a.*", recorder, name="r")) as bus:
        receipt = await bus.publish(
            "a.b",
            {"x": [1, None, "é"]},
            priority=Priority.HIGH,
            source="me",
            correlation_id="c",
            traceparent="00-1",
        )
        await bus.publish("b.a", {})
        await bus.settled()
    (event,) = recorder.events
    assert (event.id, event.event_type, event.payload) == (receipt.id, "a.b", {"x": [1, None, "é"]})
    assert (event.priority, event.source, event.correlation_id, event.traceparent) == (
        "HIGH",
        "me",
        "c",
        "00-1",
    )
    assert rows(tmp_path / "events.db", "SELECT status, retry_count FROM events ORDER BY id") == [
        ("delivered", 0),
        ("delivered", 0),
    ]


@pytest.mark.parametrize(
    ("event_type", "payload", "options", "message"),
    [
        ("A.b", {}, {}, "'A.b' is not an event type"),
        ("a..b", {}, {}, "not an event type"),
        ("", {}, {}, "not an event type"),
        ("a" * 256, {}, {}, "255"),
        ("a", {"b": float("nan")}, {}, r"\$\.b: nan"),
        ("a", {"b": [{}, {"c": {1}}]}, {}, r"\$\.b\[1\]\.c"),
        ("a", {"b": "\ud800"}, {}, "surrogate"),
        ("a", {1: 2}, {}, "key 1"),
        ("a", {"b": "x" * 300_000}, {}, "262,144"),
        ("a", {}, {"ttl": 0}, "ttl"),
        ("a", {}, {"ttl": float("nan")}, "ttl"),
        ("a", {}, {"key": ""}, "key"),
        ("a", {}, {"source": "a\x1b[31m"}, "source"),
        ("a", {}, {"schema_version": 0}, "schema_version"),
    ],
)
async def test_a_bad_event_is_refused_with_rule_and_place(
    tmp_path: Path, event_type: str, payload: dict, options: dict, message: str
) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        with pytest.raises(InvalidEvent, match=message):
            await bus.publish(event_type, payload, **options)
    assert rows(tmp_path / "events.db", "SELECT COUNT(*) FROM events") == [(0,)]


async def test_nesting_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    payload: dict = {}
    for _ in range(64):
        payload = {"in": payload}
    async with open_bus(tmp_path / "events.db") as bus:
        await bus.publish("a", payload["in"])
        with pytest.raises(InvalidEvent, match="deeper than 64"):
            await bus.publish("a", payload)


async def test_strict_priority_and_order_within_a_level(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with open_bus(tmp_path / "events.db", lambda bus: bus.subscribe("#", recorder, name="r")) as bus:
        await bus.publish("first", {})
        await recorder.entered.wait()
        for number in range(40):
            await bus.publish("a", {"n": number}, priority=list(Priority)[number % 4])
        recorder.gate.set()
        await bus.settled()
    served = [(event.priority.rank, event.id) for event in recorder.events[1:]]
    assert served == sorted(served)
    assert len(served) == 40


async def test_a_slow_target_delays_no_other(tmp_path: Path) -> None:
    slow, quick = Recorder(), Recorder()
    slow.gate.clear()

    def prepare(bus: EventBus) -> None:
        bus.subscribe("#", slow, name="slow")
        bus.subscribe("#", quick, name="quick")

    async with open_bus(
        tmp_path / "events.db", prepare, settings=settings(queue=queue(max_in_memory=1_000))
    ) as bus:
        for start in range(0, 5_000, 500):
            await asyncio.gather(*(bus.publish("a", {"n": start + n}) for n in range(500)))
        await _until(lambda: len(quick.events) == 5_000, timeout=20)
        assert slow.events == []
        assert bus.dispatcher.window.count <= 1_000
        slow.gate.set()
        await bus.settled()
        assert bus.pending == 0
    assert slow.ids == sorted(slow.ids)
    assert len(slow.ids) == 5_000
    assert quick.ids == sorted(quick.ids)
    assert rows(tmp_path / "events.db", "SELECT DISTINCT status FROM events") == [("delivered",)]
    assert rows(tmp_path / "events.db", "SELECT COUNT(*) FROM deliveries") == [(0,)]


async def test_a_failing_delivery_is_retried_then_a_dead_letter_with_every_error(tmp_path: Path) -> None:
    failing, sound = Recorder(lambda event: True), Recorder()

    def prepare(bus: EventBus) -> None:
        bus.subscribe("#", failing, name="failing")
        bus.subscribe("#", sound, name="sound")

    async with open_bus(tmp_path / "events.db", prepare) as bus:
        died: list[tuple[int, str, str]] = []
        bus.dispatcher.on_dead = lambda record, target, error: died.append((record.event.id, target, error))
        receipt = await bus.publish("a", {"x": 1})
        await _until(lambda: len(bus.dead_letter_queue) == 1)
        (letter,), more = await bus.dead_letter_queue.page()
        assert (letter.id, letter.target, letter.attempts, letter.payload) == (
            receipt.id,
            "failing",
            3,
            {"x": 1},
        )
        assert [error["error"] for error in letter.errors] == [f"ValueError: refused {receipt.id}"] * 3
        assert letter.error == letter.errors[-1]["error"]
        assert not more
        assert sound.ids == [receipt.id]
        assert died == [(receipt.id, "failing", letter.error)]
        await bus.store.flush()
        assert bus.store.counters["dead"] == 1
    assert rows(tmp_path / "events.db", "SELECT status, retry_count FROM events") == [("dead", 2)]


async def test_retrying_a_dead_letter_delivers_it(tmp_path: Path) -> None:
    broken = True
    recorder = Recorder(lambda event: broken)
    async with open_bus(tmp_path / "events.db", lambda bus: bus.subscribe("#", recorder, name="r")) as bus:
        receipt = await bus.publish("a", {})
        await _until(lambda: len(bus.dead_letter_queue) == 1)
        broken = False
        assert await bus.dead_letter_queue.retry(Letters(event_id=receipt.id)) == 1
        await _until(lambda: bus.pending == 0)
        assert recorder.ids == [receipt.id]
        assert len(bus.dead_letter_queue) == 0
        await bus.store.flush()
        assert (bus.store.counters["delivered"], bus.store.counters["dead"]) == (1, 0)


async def test_dropping_a_dead_letter_keeps_the_events_status(tmp_path: Path) -> None:
    recorder = Recorder(lambda event: True)
    async with open_bus(tmp_path / "events.db", lambda bus: bus.subscribe("#", recorder, name="r")) as bus:
        await bus.publish("a", {})
        await _until(lambda: len(bus.dead_letter_queue) == 1)
        assert await bus.dead_letter_queue.drop(Letters(target="r")) == 1
        assert len(bus.dead_letter_queue) == 0
        assert await bus.dead_letter_queue.page() == ([], False)
    assert rows(tmp_path / "events.db", "SELECT status FROM events") == [("dead",)]


async def test_a_permanent_error_is_not_retried(tmp_path: Path) -> None:
    calls = 0

    async def handler(event: object) -> None:
        nonlocal calls
        calls += 1
        raise PermanentError("never")

    async with open_bus(tmp_path / "events.db", lambda bus: bus.subscribe("#", handler, name="r")) as bus:
        await bus.publish("a", {})
        await _until(lambda: len(bus.dead_letter_queue) == 1)
    assert calls == 1


async def test_a_retry_survives_a_restart(tmp_path: Path) -> None:
    slow_retry = TargetSettings(retry=RetrySettings(strategy="fixed", max_delay=0.5, jitter=0))
    failing, sound = Recorder(lambda event: True), Recorder()
    options = {"settings": settings(target_defaults=slow_retry)}
    async with open_bus(
        tmp_path / "e.db", lambda bus: bus.subscribe("#", failing, name="r"), **options
    ) as bus:
        receipt = await bus.publish("a", {})
        await _until(lambda: bus.dispatcher.counts[DeliveryState.RETRYING] == 1)
    async with open_bus(tmp_path / "e.db", lambda bus: bus.subscribe("#", sound, name="r"), **options) as bus:
        await _until(lambda: bool(sound.events))
        await _until(lambda: bus.pending == 0)
    assert sound.ids == [receipt.id]
    assert rows(tmp_path / "e.db", "SELECT state, attempts FROM deliveries") == [("delivered", 1)]
    assert rows(tmp_path / "e.db", "SELECT status FROM events") == [("delivered",)]


async def test_an_unfinished_event_is_delivered_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    stuck = Recorder()
    stuck.gate.clear()
    bus = await EventBus.open(path, settings=settings())
    bus.subscribe("#", stuck, name="r")
    await bus.start()
    ids = [(await bus.publish("a", {"n": n})).id for n in range(5)]
    await stuck.entered.wait()
    copy = tmp_path / "crashed.db"
    for suffix in ("", "-wal"):
        (tmp_path / f"crashed.db{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    await bus.stop(grace=0)
    recorder = Recorder()
    async with open_bus(copy, lambda bus: bus.subscribe("#", recorder, name="r")) as bus:
        await bus.settled()
        assert bus.pending == 0
    assert recorder.ids == ids


async def test_deliveries_to_a_target_that_is_gone_become_dead_letters(tmp_path: Path) -> None:
    stuck = Recorder()
    stuck.gate.clear()
    async with open_bus(tmp_path / "e.db", lambda bus: bus.subscribe("#", stuck, name="gone")) as bus:
        await bus.publish("a", {})
        await stuck.entered.wait()
        await bus.stop(grace=0)
    async with open_bus(tmp_path / "e.db") as bus:
        await _until(lambda: len(bus.dead_letter_queue) == 1)
        (letter,), _ = await bus.dead_letter_queue.page()
        assert letter.error == "no target is named gone"


async def test_an_idempotency_key_accepts_once_also_after_a_restart(tmp_path: Path) -> None:
    recorder = Recorder()
    async with open_bus(tmp_path / "e.db", lambda bus: bus.subscribe("#", recorder, name="r")) as bus:
        receipts = await asyncio.gather(*(bus.publish("a", {"n": n}, key="k") for n in range(5)))
        assert [receipt.status for receipt in receipts] == ["accepted"] + ["duplicate"] * 4
        assert len({receipt.id for receipt in receipts}) == 1
        await bus.settled()
    async with open_bus(tmp_path / "e.db", lambda bus: bus.subscribe("#", recorder, name="r")) as bus:
        again = await bus.publish("a", {}, key="k")
        assert (again.status, again.id) == ("duplicate", receipts[0].id)
        await bus.settled()
    assert recorder.ids == [receipts[0].id]


async def test_publish_is_refused_at_the_backlogs_limit_but_for_the_reserve(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with open_bus(
        tmp_path / "e.db",
        lambda bus: bus.subscribe("#", recorder, name="r"),
        settings=settings(queue=queue(max_backlog=10, reserve=2)),
    ) as bus:
        for _ in range(10):
            await bus.publish("a", {})
        with pytest.raises(BusFull, match="limit is 10"):
            await bus.publish("a", {})
        for _ in range(2):
            await bus.publish("a", {}, priority=Priority.CRITICAL)
        with pytest.raises(BusFull):
            await bus.publish("a", {}, priority=Priority.CRITICAL)
        recorder.gate.set()
        await bus.settled()
        assert (await bus.publish("a", {})).status == "accepted"


async def test_a_burst_of_publishers_cannot_pass_the_limit_together(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with open_bus(
        tmp_path / "e.db",
        lambda bus: bus.subscribe("#", recorder, name="r"),
        settings=settings(queue=queue(max_backlog=50, reserve=0)),
    ) as bus:
        results = await asyncio.gather(*(bus.publish("a", {}) for _ in range(200)), return_exceptions=True)
        assert sum(isinstance(result, BusFull) for result in results) == 150
        recorder.gate.set()


async def test_a_loop_of_events_ends_in_the_dead_letter_queue(tmp_path: Path) -> None:
    async def again(event: object) -> None:
        await bus.publish("ping", {})

    async with open_bus(
        tmp_path / "e.db",
        lambda bus: bus.subscribe("ping", again, name="r"),
        settings=settings(bus=BusSettings(max_causation_depth=5)),
    ) as bus:
        first = await bus.publish("ping", {})
        await _until(lambda: len(bus.dead_letter_queue) == 1)
        (letter,), _ = await bus.dead_letter_queue.page()
        assert letter.error.startswith("loop")
        await bus.settled()
        chain = rows(tmp_path / "e.db", "SELECT id, causation_id, depth FROM events ORDER BY id")
    assert len(chain) == 7
    assert chain[0] == (first.id, None, 0)
    assert all(row[1] == before[0] and row[2] == before[2] + 1 for before, row in pairwise(chain))


async def test_a_named_cause_counts_its_depth(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db") as bus:
        first = await bus.publish("a", {})
        second = await bus.publish("a", {}, causation_id=first.id)
        await bus.publish("a", {}, causation_id=second.id)
        await bus.settled()
    assert rows(tmp_path / "e.db", "SELECT depth FROM events ORDER BY id") == [(0,), (1,), (2,)]


async def test_a_synchronous_handler_runs_off_the_loop(tmp_path: Path) -> None:
    import threading

    threads: list[str] = []
    async with open_bus(
        tmp_path / "e.db",
        lambda bus: bus.subscribe(
            "#", lambda event: threads.append(threading.current_thread().name), name="r"
        ),
    ) as bus:
        await bus.publish("a", {})
        await bus.settled()
    assert threads and threads[0].startswith("handler")


async def test_unsubscribing_buries_what_was_owed(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with open_bus(tmp_path / "e.db", lambda bus: bus.subscribe("#", recorder, name="r")) as bus:
        for _ in range(3):
            await bus.publish("a", {})
        await recorder.entered.wait()
        assert await bus.unsubscribe("r")
        assert not await bus.unsubscribe("r")
        await _until(lambda: bus.pending == 0)
        assert (await bus.publish("a", {})).targets == ()


async def test_publish_after_stop_is_refused(tmp_path: Path) -> None:
    bus = await EventBus.open(tmp_path / "e.db", settings=settings())
    await bus.start()
    await bus.stop()
    await bus.stop()
    with pytest.raises(BusClosed):
        await bus.publish("a", {})


async def test_rules_choose_targets_priority_and_ttl(tmp_path: Path) -> None:
    chosen = rules({"a.#": {"targets": ["log"], "priority": "CRITICAL", "ttl": 60}, "a.b": ["x"]}, "x")
    log, x = Recorder(), Recorder()

    def prepare(bus: EventBus) -> None:
        from event_monitor.bus.lane import single

        async def to(recorder: Recorder, delivery: object) -> None:
            await recorder(delivery.record.event)  # type: ignore[attr-defined]

        bus.add_target("log", single(lambda delivery: to(log, delivery)))
        bus.add_target("x", single(lambda delivery: to(x, delivery)))

    async with open_bus(tmp_path / "e.db", prepare, rules=chosen) as bus:
        receipt = await bus.publish("a.b", {})
        assert (receipt.targets, receipt.priority) == (("log", "x"), Priority.CRITICAL)
        assert (await bus.publish("z", {})).targets == ("log",)
        await bus.settled()
    assert len(log.events) == 2
    assert x.events[0].expires_at is not None


async def test_a_stream_sees_accepted_events_and_counts_what_it_missed(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "e.db") as bus:
        stream = bus.stream("a.#")
        await asyncio.gather(*(bus.publish("a.b", {"n": n}) for n in range(1_500)))
        await bus.publish("b", {})
        stream.close()
        items = [item async for item in stream]
    events = [item for item in items if hasattr(item, "event")]
    gaps = [item.gap for item in items if hasattr(item, "gap")]
    assert len(events) == 1_000
    assert gaps == [500]


async def test_conservation_over_mixed_outcomes(tmp_path: Path) -> None:
    flaky = Recorder(lambda event: event.payload["n"] % 7 == 0)
    async with open_bus(tmp_path / "e.db", lambda bus: bus.subscribe("#", flaky, name="r")) as bus:
        await asyncio.gather(*(bus.publish("a", {"n": n}) for n in range(700)))
        await _until(lambda: bus.pending == 0)
        counters = bus.store.counters
        assert counters["accepted"] == 700
        assert counters["delivered"] == 600
        assert counters["dead"] == 100 == len(bus.dead_letter_queue)
    counted = dict(rows(tmp_path / "e.db", "SELECT status, COUNT(*) FROM events GROUP BY status"))
    stored = dict(rows(tmp_path / "e.db", "SELECT name, value FROM counters"))
    assert counted == {"delivered": 600, "dead": 100}
    assert {name: value for name, value in stored.items() if value} == {"accepted": 700, **counted}


async def _until(condition: object, timeout: float = 10) -> None:
    async with asyncio.timeout(timeout):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - many things may make it true
            await asyncio.sleep(0.005)


def test_the_database_is_readable_by_plain_sqlite(tmp_path: Path) -> None:
    async def publish() -> None:
        async with open_bus(tmp_path / "e.db") as bus:
            await bus.publish("a.b", {"n": {"deep": [1, 2]}})
            await bus.settled()

    asyncio.run(publish())
    connection = sqlite3.connect(tmp_path / "e.db")
    found = connection.execute("SELECT event_type, payload ->> '$.n.deep[1]', status FROM events").fetchone()
    connection.close()
    assert found == ("a.b", 2, "delivered")


async def test_priority_holds_over_a_backlog_although_other_targets_are_idle(tmp_path: Path) -> None:
    busy, idle = Recorder(), Recorder()
    busy.gate.clear()

    def prepare(bus: EventBus) -> None:
        bus.subscribe("a", busy, name="busy")
        bus.subscribe("b", idle, name="idle")

    async with open_bus(tmp_path / "e.db", prepare, settings=settings(queue=queue(max_in_memory=400))) as bus:
        await bus.publish("a", {})
        await busy.entered.wait()
        for level in (Priority.LOW, Priority.NORMAL, Priority.HIGH):
            await asyncio.gather(*(bus.publish("a", {}, priority=level) for _ in range(1_500)))
        late = await bus.publish("b", {}, priority=Priority.HIGH)
        await _until(lambda: idle.ids == [late.id])
        busy.gate.set()
        await _until(lambda: bus.pending == 0, timeout=30)
    ranks = [event.priority.rank for event in busy.events[1:]]
    assert len(ranks) == 4_500
    assert ranks == sorted(ranks)
