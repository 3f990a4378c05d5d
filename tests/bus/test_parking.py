"""While a target's breaker is open its deliveries are parked: they wait, and lose no attempt."""

from __future__ import annotations

import asyncio
from pathlib import Path

from event_monitor.bus.event_bus import EventBus
from event_monitor.config import BreakerSettings, RetrySettings, TargetSettings
from event_monitor.model import Event
from event_monitor.resilience.breaker import BreakerState, CircuitBreaker, CircuitOpenError
from event_monitor.resilience.retry import PermanentError
from tests.bus.helpers import Recorder, open_bus, rows, settings

PROTECTED = TargetSettings(
    retry=RetrySettings(strategy="fixed", max_retries=5, max_delay=0.01, jitter=0),
    breaker=BreakerSettings(failure_threshold=3, recovery_timeout=0.2),
)


async def _until(condition: object, timeout: float = 10) -> None:
    async with asyncio.timeout(timeout):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - many things may make it true
            await asyncio.sleep(0.005)


async def test_deliveries_are_parked_while_the_breaker_is_open_and_lose_no_attempt(tmp_path: Path) -> None:
    broken = True
    recorder, other = Recorder(lambda event: broken), Recorder()

    def prepare(bus: EventBus) -> None:
        bus.subscribe("#", recorder, name="broken")
        bus.subscribe("#", other, name="other")

    async with open_bus(
        tmp_path / "e.db", prepare, settings=settings(target_defaults=PROTECTED), protect=True
    ) as bus:
        breaker = bus.circuit_breakers["broken"]
        lane = bus.dispatcher.lanes["broken"]
        ids = [(await bus.publish("a", {"n": n})).id for n in range(50)]
        await _until(lambda: breaker.state is BreakerState.OPEN)
        await _until(lambda: len(other.events) == 50)
        assert lane.parked >= 45
        assert bus.circuit_breakers["other"].state is BreakerState.CLOSED
        broken = False
        await _until(lambda: bus.pending == 0)
        assert breaker.state is BreakerState.CLOSED
        assert lane.parked == 0
    assert sorted(recorder.ids) == ids
    tried_again = rows(tmp_path / "e.db", "SELECT COUNT(*) FROM events WHERE retry_count > 0")[0][0]
    assert tried_again <= 3


async def test_exactly_one_delivery_probes_when_the_wait_is_over(tmp_path: Path) -> None:
    recorder = Recorder(lambda event: True)
    options = TargetSettings(
        concurrency=8,
        retry=RetrySettings(strategy="fixed", max_retries=50, max_delay=0.01, jitter=0),
        breaker=BreakerSettings(failure_threshold=3, recovery_timeout=0.1),
    )
    async with open_bus(
        tmp_path / "e.db",
        lambda bus: bus.subscribe("#", recorder, name="r", settings=options),
        protect=True,
    ) as bus:
        breaker = bus.circuit_breakers["r"]
        await asyncio.gather(*(bus.publish("a", {}) for _ in range(100)))
        await _until(lambda: breaker.state is BreakerState.OPEN)
        await _until(lambda: bus.dispatcher.lanes["r"].running == 0)
        recorder.gate.clear()
        recorder.entered.clear()
        await recorder.entered.wait()
        await asyncio.sleep(0.05)
        assert breaker.state is BreakerState.HALF_OPEN
        assert bus.dispatcher.lanes["r"].running == 1
        recorder.gate.set()


async def test_an_event_that_can_never_be_handled_does_not_open_the_breaker(tmp_path: Path) -> None:
    async def refuse(event: object) -> None:
        raise PermanentError("malformed")

    async with open_bus(
        tmp_path / "e.db",
        lambda bus: bus.subscribe("#", refuse, name="r"),
        settings=settings(target_defaults=PROTECTED),
        protect=True,
    ) as bus:
        for _ in range(10):
            await bus.publish("a", {})
        await _until(lambda: len(bus.dead_letter_queue) == 10)
        assert bus.circuit_breakers["r"].state is BreakerState.CLOSED


async def test_a_person_holds_a_target_and_lets_it_go(tmp_path: Path) -> None:
    recorder = Recorder()
    async with open_bus(
        tmp_path / "e.db", lambda bus: bus.subscribe("#", recorder, name="r"), protect=True
    ) as bus:
        breaker = bus.circuit_breakers["r"]
        breaker.force_open("me", "deploy")
        for _ in range(5):
            await bus.publish("a", {})
        await _until(lambda: bus.dispatcher.lanes["r"].parked == 5)
        assert recorder.events == []
        breaker.reset("me")
        await bus.settled()
    assert len(recorder.events) == 5


async def test_what_the_open_breaker_of_a_service_refuses_loses_no_attempt_either(tmp_path: Path) -> None:
    """The handler needs a service that is down; the target's own breaker has nothing to do with it."""
    breaker = CircuitBreaker(1, name="db", recovery_timeout=0.05)
    down, refused, handled = True, [], []

    async def query() -> None:
        if down:
            raise ConnectionRefusedError("no answer")

    async def handler(event: Event) -> None:
        try:
            await breaker.call(query)
        except CircuitOpenError:
            refused.append(event.id)
            raise
        handled.append(event.id)

    once = TargetSettings(retry=RetrySettings(strategy="fixed", max_retries=1, max_delay=0.01, jitter=0))
    breaker.force_open("a person", "upgrade")
    async with open_bus(
        tmp_path / "e.db", lambda bus: bus.subscribe("#", handler, name="db", settings=once)
    ) as bus:
        published = [(await bus.publish("a", {"n": n})).id for n in range(3)]
        await _until(lambda: len(refused) >= 12)
        waiting = rows(tmp_path / "e.db", "SELECT state, attempts FROM deliveries")
        assert set(waiting) <= {("retrying", 0), ("queued", 0)}, "not one was given up"
        down = False
        breaker.reset(by="a person")
        await _until(lambda: bus.pending == 0)
    assert sorted(handled) == published
    kept = rows(tmp_path / "e.db", "SELECT state, json_array_length(errors) FROM deliveries")
    assert kept == [("delivered", 1)] * 3, "the last refusal tells it all"
