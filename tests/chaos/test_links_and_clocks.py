"""Links that flap and clocks that jump, in a whole runtime on virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from event_monitor import messages as m
from event_monitor import surroundings
from event_monitor.clock import LoopClock
from event_monitor.config import ProbeSettings, RetrySettings, ServiceProbes, ServiceSettings, TargetSettings
from event_monitor.model import Alert, Event, Status
from event_monitor.resilience.breaker import BreakerChange, BreakerState
from event_monitor.runtime import Runtime
from tests.chaos.scripted import ScriptedService, scripted_runtime
from tests.virtual import database_counted, run_virtual

MINUTES = 10
NO_RETRY = RetrySettings(max_retries=0)
NERVOUS = ServiceProbes(
    startup=ProbeSettings(interval=1.0),
    readiness=ProbeSettings(interval=3.0, failures=1),
    liveness=ProbeSettings(interval=5.0, failures=1),
)


def link_is_up() -> bool:
    """About a second up and a second down, not in step with any probe."""
    return int(asyncio.get_running_loop().time() / 1.03) % 2 == 0


async def call_for_ever(runtime: Runtime, name: str) -> None:
    while True:
        try:
            await runtime.services[name].call("get")
        except Exception:  # noqa: BLE001 - whatever a call raises on such a link
            await asyncio.sleep(0)
        await asyncio.sleep(0.19)


class Watch:
    """All that breakers and alerts did, with the loop's time."""

    def __init__(self, runtime: Runtime) -> None:
        self.changes: dict[str, list[BreakerChange]] = {name: [] for name in runtime.services}
        self.alerts: list[tuple[float, Alert]] = []
        for name, guard in runtime.services.items():
            guard.breaker.listeners.append(lambda _, change, name=name: self.changes[name].append(change))
        loop = asyncio.get_running_loop()
        runtime.alerts.on_raised = lambda alert: self.alerts.append((loop.time(), alert))

    def times(self, name: str, state: BreakerState) -> list[float]:
        return [change.at for change in self.changes[name] if change.to_state is state]

    def begun(self, title: str) -> list[float]:
        """When each new alert of a title began; repetitions of it are no new ones."""
        return [at for at, alert in self.alerts if alert.title == title and alert.count == 1]


@pytest.mark.parametrize("acknowledged", [True, False], ids=["acknowledged all the time", "nobody looks"])
def test_scenario_15_a_flapping_link_opens_a_breaker_once_in_30_s_and_rings_once_a_minute(
    home: Path, monkeypatch: pytest.MonkeyPatch, acknowledged: bool
) -> None:
    async def main() -> None:
        names = {"db": "tcp", "tools": "mcp"}
        services = {name: ScriptedService(name, link_is_up) for name in names}
        settings = tuple(
            ServiceSettings(name=name, kind=kind, probes=NERVOUS, retry=NO_RETRY)  # type: ignore[arg-type]
            for name, kind in names.items()
        )
        async with scripted_runtime(home, monkeypatch, services, settings) as runtime:
            watch = Watch(runtime)
            callers = [asyncio.create_task(call_for_ever(runtime, name)) for name in names]
            for _ in range(60 * MINUTES // 7):
                await asyncio.sleep(7)
                if acknowledged:
                    await runtime.handle(m.AcknowledgeAlerts())
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
        for name in names:
            tried = watch.times(name, BreakerState.HALF_OPEN)
            opened = watch.times(name, BreakerState.OPEN)
            assert len(tried) > MINUTES, "the link was not found to flap"
            assert all(later - earlier >= 30 - 1e-6 for earlier, later in pairwise(tried))
            assert len(opened) <= len(tried) + 1
        titles = Counter(alert.title for _, alert in watch.alerts)
        assert titles["mcp.server.down: tools"] > 2 * MINUTES, "there was no storm to coalesce"
        for title in titles:
            begun = watch.begun(title)
            assert all(later - earlier >= 60 for earlier, later in pairwise(begun)), title
            assert len(begun) == 1 or acknowledged, title

    with database_counted(monkeypatch):
        run_virtual(main)


class JumpingWall:
    """A wall clock that somebody sets, and that a suspended machine finds ahead of the loop's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 1_800_000_000.0
        monkeypatch.setattr(surroundings, "LoopClock", lambda loop: LoopClock(loop, lambda: self(loop)))

    def __call__(self, loop: asyncio.AbstractEventLoop) -> float:
        return loop.time() + self.ahead


JUMPS = {"an hour ahead": 3_600.0, "an hour back": -3_600.0, "a suspend of 90 s": 90.0}


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_scenario_16_a_jump_of_the_wall_clock_hurries_and_delays_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    wall = JumpingWall(monkeypatch)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        up = True
        service = ScriptedService("db", lambda: up)
        settings = (ServiceSettings(name="db", kind="tcp", retry=NO_RETRY),)
        handled: dict[int, list[float]] = {}

        async def slow(event: Event) -> None:
            handled.setdefault(event.id, []).append(loop.time())
            await asyncio.sleep(event.payload.get("seconds", 0))
            if event.payload.get("fails", 0) >= len(handled[event.id]):
                raise OSError("not yet")

        async with scripted_runtime(home, monkeypatch, {"db": service}, settings) as runtime:
            retry = RetrySettings(strategy="fixed", max_retries=3, jitter=0)
            for name in ("slow", "retried"):
                runtime.bus.subscribe(
                    f"{name}.#", slow, name=name, settings=TargetSettings(timeout=300.0, retry=retry)
                )
            watch = Watch(runtime)
            await asyncio.sleep(1)
            up = False
            for _ in range(5):
                with pytest.raises(Exception, match="down"):
                    await runtime.services["db"].call("get")
            opened = loop.time()
            up = True
            ahead = await runtime.handle(m.Publish(event_type="slow.a", payload={"seconds": 40}))
            in_time = await runtime.handle(m.Publish(event_type="slow.b", payload={"seconds": 40}, ttl=60))
            too_late = await runtime.handle(m.Publish(event_type="slow.c", ttl=60))
            failing = await runtime.handle(m.Publish(event_type="retried.a", payload={"fails": 1}))
            await asyncio.sleep(5)
            wall.ahead += jump
            later = await runtime.handle(m.Publish(event_type="retried.b"))
            breaker = runtime.services["db"].breaker
            assert (breaker.state, round(breaker.retry_after)) == (BreakerState.OPEN, 25)
            assert runtime.breakers.report("db").retry_after == pytest.approx(25, abs=0.5)
            await asyncio.sleep(100)
            (tried,) = watch.times("db", BreakerState.HALF_OPEN)
            assert 30 <= tried - opened <= 30 + 10, "a readiness probe tries at the first turn after 30 s"
            assert breaker.state is BreakerState.CLOSED
            statuses = [await status(runtime, one.id) for one in (ahead, in_time, too_late, failing, later)]
            assert statuses == [Status.DELIVERED, Status.DELIVERED, Status.EXPIRED, *[Status.DELIVERED] * 2]
            first, second = handled[failing.id]
            assert second - first == pytest.approx(10, abs=1.5)
            page = await runtime.handle(m.QueryEvents(limit=1_000))
            numbers = [event.id for event in page.events]
            assert numbers == sorted(numbers, reverse=True)
            assert later.id in numbers and ahead.id in numbers
            assert watch.times("db", BreakerState.OPEN) == [opened]

    with database_counted(monkeypatch):
        run_virtual(main)


async def status(runtime: Runtime, event_id: int) -> Status:
    return (await runtime.handle(m.GetEvent(event_id=event_id))).event.status  # type: ignore[no-any-return]
