"""A person holds breakers and begins maintenance; both outlive a restart, with who and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from event_monitor import messages as m
from event_monitor.config import BreakerSettings, RetrySettings, Settings, StoreSettings, TargetSettings
from event_monitor.errors import InvalidRequest, NotFound
from event_monitor.model import Priority, Status, SystemState
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime

SETTINGS = Settings(
    store=StoreSettings(durability="normal"),
    target_defaults=TargetSettings(
        retry=RetrySettings(strategy="fixed", max_retries=20, max_delay=0.02, jitter=0),
        breaker=BreakerSettings(failure_threshold=3, recovery_timeout=0.3),
    ),
)


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Runtime]:
    runtime = await Runtime.start(HomePaths(str(home)), SETTINGS)
    try:
        yield runtime
    finally:
        await runtime.stop()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - timers and other processes change it
            await asyncio.sleep(0.005)


async def status(runtime: Runtime, event_id: int) -> Status:
    return (await runtime.handle(m.GetEvent(event_id=event_id))).event.status  # type: ignore[no-any-return]


async def test_a_breaker_that_is_held_open_stays_so_over_a_restart(home: Path) -> None:
    async with running(home) as runtime:
        report = await runtime.handle(
            m.SetBreaker(name="target:log", action="open", reason="disk swap", by="ada")
        )
        assert (report.state, report.forced, report.retry_after) == ("OPEN", "open", None)
        published = await runtime.handle(m.Publish(event_type="a.b"))
        await until(lambda: runtime.bus.dispatcher.lanes["log"].parked >= 1)
        assert await status(runtime, published.id) is Status.PENDING
        await until(lambda: runtime.machine.state is SystemState.DEGRADED)
    async with running(home) as runtime:
        (report,) = (await runtime.handle(m.QueryBreakers(name="target:log"))).breakers
        assert (report.forced, report.forced_by, report.forced_reason) == ("open", "ada", "disk swap")
        await until(lambda: runtime.machine.state is SystemState.DEGRADED)
        picture = await runtime.handle(m.GetSnapshot())
        assert [service.name for service in picture.services] == ["target:log"]
        await runtime.handle(m.SetBreaker(name="target:log", action="reset", by="ada"))
        await runtime.bus.settled()
        assert await status(runtime, published.id) is Status.DELIVERED
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
    log = (home / "event-bus" / "logs" / "events.jsonl").read_text()
    assert '"a.b"' in log


async def test_an_unknown_breaker_or_a_senseless_action_is_refused(home: Path) -> None:
    async with running(home) as runtime:
        with pytest.raises(NotFound, match="known: target:alert"):
            await runtime.handle(m.SetBreaker(name="github", action="reset"))
        with pytest.raises(InvalidRequest, match="not open by itself"):
            await runtime.handle(m.SetBreaker(name="target:log", action="half_open"))


async def test_a_failing_command_opens_its_breaker_degrades_and_recovers(home: Path, tmp_path: Path) -> None:
    works = tmp_path / "works"
    script = tmp_path / "handler"
    script.write_text(f"#!/bin/sh\ncat > /dev/null\ntest -e {works}\n")
    script.chmod(0o755)
    async with running(home) as runtime:
        await runtime.handle(m.Subscribe(pattern="a.#", handler=f"exec:{script}", name="mine"))
        ids = [(await runtime.handle(m.Publish(event_type="a.b", payload={"n": n}))).id for n in range(6)]
        await until(lambda: runtime.machine.state is SystemState.DEGRADED)
        stats = await runtime.handle(m.GetStats())
        assert stats.breakers["target:mine"] in ("OPEN", "HALF_OPEN")
        assert runtime.alerts.unacknowledged >= 1
        works.touch()
        await until(lambda: runtime.bus.pending == 0)
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        assert [await status(runtime, event_id) for event_id in ids] == [Status.DELIVERED] * 6
        states = [change.to_state for change in runtime.machine.history]
        assert SystemState.RECOVERING in states
        # Nothing that is over waits to be seen, and nothing of it is forgotten.
        assert runtime.alerts.unacknowledged == 0
        assert "HEALTHY → DEGRADED" in [alert.title for alert in runtime.alerts.newest(100)]
        page = await runtime.handle(m.QueryEvents(type="breaker.#", newest_first=False))
        kinds = [event.event_type for event in page.events if event.payload["service"] == "target:mine"]
        assert kinds[0] == "breaker.opened"
        assert kinds[-2:] == ["breaker.half_open", "breaker.closed"]
        await runtime.handle(m.Unsubscribe(name="mine"))
        with pytest.raises(NotFound):
            await runtime.handle(m.QueryBreakers(name="target:mine"))


async def test_maintenance_stores_everything_delivers_only_critical_and_survives_a_restart(
    home: Path,
) -> None:
    async with running(home) as runtime:
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        report = await runtime.handle(m.SetMaintenance(on=True, reason="upgrade"))
        assert (report.state, report.reason) == (SystemState.MAINTENANCE, "upgrade")
        normal = await runtime.handle(m.Publish(event_type="a.b"))
        urgent = await runtime.handle(m.Publish(event_type="a.b", priority=Priority.CRITICAL))
        async with asyncio.timeout(5):
            while await status(runtime, urgent.id) is not Status.DELIVERED:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
        assert await status(runtime, normal.id) is Status.PENDING
    async with running(home) as runtime:
        assert runtime.machine.state is SystemState.MAINTENANCE
        await asyncio.sleep(0.1)
        assert await status(runtime, normal.id) is Status.PENDING
        report = await runtime.handle(m.SetMaintenance(on=False, reason="upgraded"))
        assert report.state is SystemState.HEALTHY
        await runtime.bus.settled()
        assert await status(runtime, normal.id) is Status.DELIVERED
        last = list(runtime.machine.history)[-2:]
        assert [change.to_state for change in last] == [SystemState.INITIALIZING, SystemState.HEALTHY]
        assert last[0].reason == "upgraded"
