"""A day of health checks: how many of each there are, when, and what they ask."""

from __future__ import annotations

import asyncio
import sys
from itertools import pairwise
from pathlib import Path

from event_monitor.clock import LoopClock
from event_monitor.config import ProbeSettings, ServiceProbes, ServiceSettings
from event_monitor.resilience.health import CheckKind, Health
from event_monitor.services.guard import ServiceGuard
from event_monitor.services.guardian import Guardian
from event_monitor.services.mcp import McpService
from tests.chaos.scripted import ScriptedService
from tests.virtual import run_virtual

STUB = Path(__file__).parents[1] / "services" / "stub_server.py"
DAY = 86_400.0
READY_AFTER = 118.0


async def watched_for_a_day(service: ScriptedService, probes: ServiceProbes = ServiceProbes()) -> float:  # noqa: B008
    """Probe it from now on; answers when its startup passed. A day is counted from then."""
    loop = asyncio.get_running_loop()
    settings = ServiceSettings(name=service.name, kind="tcp", probes=probes)
    guard = ServiceGuard(settings, service, timeout=30.0, clock=LoopClock(loop))
    passed: list[float] = []

    def changed(name: str, kind: CheckKind, health: Health, reason: str) -> None:
        if kind is CheckKind.STARTUP and health is Health.PASS:
            passed.append(loop.time())
        assert passed or kind is CheckKind.STARTUP, "it was called ready before it had started"

    guard.on_health = changed
    await guard.start()
    while not passed:
        assert guard.verdicts()[1:] == (Health.UNKNOWN, Health.UNKNOWN)
        await asyncio.sleep(1)
    await asyncio.sleep(passed[0] + DAY - loop.time())
    assert guard.verdicts() == (Health.PASS,) * 3
    await guard.stop()
    return passed[0]


def test_scenario_36_startup_then_liveness_and_readiness_without_drift_over_a_day() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        service = ScriptedService("db", lambda: loop.time() - begin >= READY_AFTER)
        started = await watched_for_a_day(service)
        startup = [round(at - begin, 3) for at in service.checks[CheckKind.STARTUP]]
        assert startup == [5.0 * number for number in range(25)]
        for kind, interval, count in ((CheckKind.LIVENESS, 30, 2_880), (CheckKind.READINESS, 10, 8_640)):
            times = [round(at - started, 3) for at in service.checks[kind]]
            assert abs(len(times) - count) <= 1
            assert times == [float(interval * number) for number in range(len(times))], "it drifts"

    run_virtual(main)


def test_scenario_36_a_check_slower_than_its_interval_never_overlaps_itself() -> None:
    async def main() -> None:
        service = ScriptedService("db", lambda: True, check_seconds=20.5)
        await watched_for_a_day(service, ServiceProbes(readiness=ProbeSettings(limit=30.0)))
        assert service.overlaps == 0
        times = service.checks[CheckKind.READINESS]
        assert {round(later - earlier, 3) for earlier, later in pairwise(times)} == {30.0}
        assert abs(len(service.checks[CheckKind.LIVENESS]) - 2_880) <= 1, "it held up another check"

    run_virtual(main)


async def test_scenario_36_liveness_asks_nothing_of_a_server() -> None:
    guardian = Guardian()
    service = McpService("stub", [sys.executable, str(STUB)], guardian)
    try:
        await service.start()
        probes = service.probes()
        async with asyncio.timeout(20):
            while service.describe()["pid"] is None:  # noqa: ASYNC110 - a description has no signal
                await asyncio.sleep(0.01)
            await probes[CheckKind.STARTUP]()
        for _ in range(20):
            await probes[CheckKind.LIVENESS]()
        assert (await service.call("pings"))["content"][0]["text"] == "0"
        await probes[CheckKind.READINESS]()
        assert (await service.call("pings"))["content"][0]["text"] == "1"
    finally:
        await service.stop()
        await guardian.close()
