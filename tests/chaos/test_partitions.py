"""Networks that part and heal, on virtual time: nothing is lost, nothing is done twice, nobody is flooded."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles

import pytest

from event_monitor.bus.event_bus import EventBus
from event_monitor.config import Settings, StoreSettings, TargetSettings
from event_monitor.model import Event, Priority
from event_monitor.resilience.breaker import BreakerState
from tests.virtual import database_counted, run_virtual

STEADY, PARTITION, SERVICE_TIME = 2, 600.0, 0.05
OUTAGE, OUTAGES = 45.0, 12
DRAINED_WITHIN = 120.0
SETTINGS = Settings(
    store=StoreSettings(durability="normal"),
    target_defaults=TargetSettings(timeout="critical_path"),
)


class Remote:
    """A consumer behind a network. It knows what it has done by the delivery's id."""

    def __init__(self) -> None:
        self.requests_arrive = True
        self.replies_arrive = True
        self.silence = 3_600.0
        self.received: Counter[str] = Counter()
        self.applied: list[str] = []
        self.arrivals: list[float] = []
        self.busy = self.busiest = 0

    async def deliver(self, event: Event) -> None:
        """The bus's handler: send the request and wait for the reply."""
        if self.requests_arrive:
            await self._consume(f"{event.id}:remote")
        if not (self.requests_arrive and self.replies_arrive):
            await asyncio.sleep(self.silence)
            raise OSError("no reply")

    async def _consume(self, delivery_id: str) -> None:
        self.arrivals.append(asyncio.get_running_loop().time())
        self.received[delivery_id] += 1
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(SERVICE_TIME)
        self.busy -= 1
        if delivery_id not in self.applied:
            self.applied.append(delivery_id)

    def busiest_second(self, since: float) -> int:
        """The most calls that reached it within one second."""
        later = [at - since for at in self.arrivals if at >= since]
        return max(sum(begin <= at < begin + 1 for at in later) for begin in later)


def ids(accepted: list[int]) -> set[str]:
    return {f"{number}:remote" for number in accepted}


async def publish_steadily(bus: EventBus, seconds: float) -> list[int]:
    """``STEADY`` events a second; one a minute is CRITICAL."""
    accepted = []
    for number in range(int(seconds * STEADY)):
        urgent = Priority.CRITICAL if number % (60 * STEADY) == 0 else Priority.NORMAL
        accepted.append((await bus.publish("order.placed", {"n": number}, priority=urgent)).id)
        await asyncio.sleep(1 / STEADY)
    return accepted


@asynccontextmanager
async def delivering(path: Path, remote: Remote) -> AsyncIterator[EventBus]:
    async with await EventBus.open(path, settings=SETTINGS, protect=True) as bus:
        bus.subscribe("order.#", remote.deliver, name="remote")
        yield bus


async def seconds_until_applied(remote: Remote, accepted: list[int]) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not ids(accepted) <= set(remote.applied) and loop.time() < started + 3_600:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    return loop.time() - started


def test_scenario_12_lost_replies_lead_to_redelivery_and_no_effect_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        remote = Remote()
        async with delivering(tmp_path / "events.db", remote) as bus:
            accepted = await publish_steadily(bus, 10)
            remote.replies_arrive = False
            accepted += await publish_steadily(bus, 120)
            remote.replies_arrive = True
            accepted += await publish_steadily(bus, 10)
            await seconds_until_applied(remote, accepted)
            while bus.pending:  # noqa: ASYNC110 - on virtual time
                await asyncio.sleep(0.5)
            assert max(remote.received.values()) > 1, "no delivery came twice"
            assert sorted(remote.applied) == sorted(ids(accepted))
            assert bus.store.counters["delivered"] == len(accepted)

    with database_counted(monkeypatch):
        run_virtual(main)


def test_scenario_13_a_partition_of_ten_minutes_loses_nothing_and_drains_at_the_lanes_own_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To drain ten minutes of arrivals in two takes at least six times their rate, so the rate that is
    held is the one that the lane may always have: its concurrency over the time of a call."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        remote = Remote()
        async with delivering(tmp_path / "events.db", remote) as bus:
            accepted = await publish_steadily(bus, 60)
            remote.requests_arrive = False
            accepted += await publish_steadily(bus, PARTITION)
            breaker = bus.circuit_breakers["remote"]
            assert breaker.state == "OPEN"
            assert bus.dispatcher.lanes["remote"].parked > 0.9 * PARTITION * STEADY
            assert breaker.counters.failures < PARTITION / 30 + 10, "it was asked more often than to probe"
            healed = loop.time()
            remote.requests_arrive = True
            later = asyncio.create_task(publish_steadily(bus, 2 * DRAINED_WITHIN))
            assert await seconds_until_applied(remote, accepted) < DRAINED_WITHIN
            accepted += await later
            await seconds_until_applied(remote, accepted)
            while bus.pending:  # noqa: ASYNC110 - on virtual time
                await asyncio.sleep(0.5)
            assert bus.store.counters["delivered"] == len(accepted), "a long outage made a dead letter"
            assert set(remote.received.values()) == {1}
            assert remote.busiest == 1
            assert remote.busiest_second(healed) <= 1.1 / SERVICE_TIME

    with database_counted(monkeypatch):
        run_virtual(main)


async def recovery_times(bus: EventBus, remote: Remote, rng: random.Random) -> tuple[float, float]:
    """Seconds from the end of an outage until the breaker is closed, and until nothing waits."""
    loop = asyncio.get_running_loop()
    breaker = bus.circuit_breakers["remote"]
    closed: list[float] = []
    breaker.listeners.append(
        lambda _, change: closed.append(change.at) if change.to_state is BreakerState.CLOSED else None
    )
    remote.silence = rng.choice([0.0, 3_600.0])
    traffic = asyncio.create_task(publish_steadily(bus, 2 * OUTAGE + 60))
    await asyncio.sleep(rng.uniform(0, 10))
    remote.requests_arrive = False
    await asyncio.sleep(OUTAGE * rng.uniform(0.7, 1.5))
    assert breaker.state is not BreakerState.CLOSED
    before = len(closed)
    healed = loop.time()
    remote.requests_arrive = True
    while len(closed) == before:  # noqa: ASYNC110 - on virtual time
        await asyncio.sleep(0.1)
    while bus.dispatcher.lanes["remote"].waiting > 1:  # noqa: ASYNC110 - on virtual time
        await asyncio.sleep(0.1)
    drained = loop.time() - healed
    await seconds_until_applied(remote, await traffic)
    breaker.listeners.pop()
    return closed[-1] - healed, drained


def test_scenario_33_after_an_outage_the_breaker_closes_within_its_wait_and_one_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: pytest.RecordProperty
) -> None:
    async def main() -> list[tuple[float, float]]:
        remote, rng = Remote(), random.Random(33)
        async with delivering(tmp_path / "events.db", remote) as bus:
            times = [await recovery_times(bus, remote, rng) for _ in range(OUTAGES)]
            while bus.pending:  # noqa: ASYNC110 - on virtual time
                await asyncio.sleep(0.5)
            counters = bus.store.counters
            assert counters["delivered"] == counters["accepted"], "a parked event was not delivered"
            return times

    with database_counted(monkeypatch):
        times = run_virtual(main)
    limit = 31.0 + SETTINGS.seconds("critical_path")
    for name, seconds in zip(("closed", "drained"), zip(*times, strict=True), strict=True):
        cuts = quantiles(seconds, n=20, method="inclusive")
        told = f"{name} after p50 {cuts[9]:.1f} s, p95 {cuts[18]:.1f} s, at most {max(seconds):.1f} s"
        print(told)
        record_property(f"recovery_{name}", told)
    assert max(closed for closed, _ in times) <= limit
