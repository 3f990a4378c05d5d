"""What ``GetService`` tells of a real service that is killed, of targets, and of who decided what."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from event_monitor import messages as m
from event_monitor.breaker_history import KEPT, BreakerHistory
from event_monitor.bus.lane import HandlerTimeout
from event_monitor.clock import LoopClock
from event_monitor.config import (
    BreakerSettings,
    ProbeSettings,
    ServiceProbes,
    ServiceSettings,
    Settings,
    StoreSettings,
)
from event_monitor.control.client import SocketClient
from event_monitor.errors import InvalidRequest, NotFound, ReadOnly
from event_monitor.model import SystemState
from event_monitor.paths import HomePaths
from event_monitor.replies import general as r
from event_monitor.resilience.breaker import BreakerChange, BreakerState
from event_monitor.resilience.budget import RetryBudget
from event_monitor.resilience.health import CheckKind
from event_monitor.resilience.tally import KEPT as DISTINCT
from event_monitor.resilience.tally import LONGEST, ErrorTally
from event_monitor.runtime import Runtime
from event_monitor.services.guard import ServiceGuard
from tests.virtual import run_virtual

QUICK = ProbeSettings(interval=0.05, limit=1.0)
SLOW = ProbeSettings(interval=10.0, limit=2.0)
PROBES = ServiceProbes(startup=QUICK, readiness=QUICK, liveness=QUICK)


@contextlib.asynccontextmanager
async def running(home: Path, *services: ServiceSettings) -> AsyncIterator[Runtime]:
    settings = Settings(store=StoreSettings(durability="normal"), services=services)
    runtime = await Runtime.start(HomePaths(str(home)), settings)
    try:
        yield runtime
    finally:
        await runtime.stop()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - timers and other processes change it
            await asyncio.sleep(0.005)


async def test_a_server_that_is_killed_is_told_of_in_every_detail(home: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    web = ServiceSettings(
        name="web",
        kind="tcp",
        port=port,
        probes=PROBES,
        breaker=BreakerSettings(failure_threshold=3, recovery_timeout=30),
    )
    async with running(home, web) as runtime:
        await until(lambda: runtime.services["web"].breaker.counters.successes)
        server.close()
        await until(lambda: runtime.services["web"].breaker.state is BreakerState.OPEN)
        client = SocketClient(runtime.paths.socket)
        detail: r.ServiceDetail = await client.request(m.GetService(name="web"))
        await client.close()
        assert (detail.breaker, detail.startup) == ("OPEN", "pass")
        assert detail.timeline[-1] == "OPEN" and detail.timeline[0] == "UNKNOWN"
        assert [(move.from_state, move.to_state) for move in detail.changes] == [("CLOSED", "OPEN")]
        assert "failures in a row" in detail.circuit.reason
        assert detail.counters["failures"] == 3
        (error,) = detail.errors
        assert "ServiceDown" in error.error and error.count >= 3
        assert len(detail.p95_ms) == 59
        assert 0 < len(detail.probes) <= 10 and detail.probes[-1].error is not None
        assert detail.details["address"].endswith(str(port))
        assert detail.bulkhead == r.BulkheadReport(busy=0, max_concurrent=10, waiting=0, queue_size=50)


async def test_who_and_why_are_told_for_services_and_targets(home: Path) -> None:
    async with running(home) as runtime:
        await runtime.handle(m.SetBreaker(name="target:log", action="open", reason="disk [swap]", by="ada"))
        await runtime.handle(m.Publish(event_type="a.b"))
        await until(lambda: runtime.bus.dispatcher.lanes["log"].parked >= 1)
        detail = await runtime.handle(m.GetService(name="target:log"))
        assert (detail.kind, detail.breaker, detail.circuit.forced) == ("target", "OPEN", "open")
        assert (detail.circuit.by, detail.circuit.reason) == ("ada", "disk [swap]")
        assert detail.deliveries.parked >= 1 and detail.bulkhead.waiting >= 1
        assert detail.circuit.waiting == detail.bulkhead.waiting
        assert (detail.bulkhead.busy, detail.bulkhead.max_concurrent) == (0, 1)
        await runtime.handle(m.SetBreaker(name="target:log", action="reset", reason="done", by="eve"))
        (report,) = (await runtime.handle(m.QueryBreakers(name="target:log"))).breakers
        assert (report.by, report.reason, report.forced) == ("eve", "done", None)
        with pytest.raises(NotFound, match="target:alert"):
            await runtime.handle(m.GetService(name="target:nobody"))
        with pytest.raises(NotFound):
            await runtime.handle(m.GetService(name="log"))


async def test_maintenance_and_resume_record_who_and_why(home: Path) -> None:
    async with running(home) as runtime:
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        report = await runtime.handle(m.SetMaintenance(on=True, reason="upgrade", by="ada"))
        assert report.reason == "planned downtime by ada: upgrade"
        await runtime.handle(m.SetMaintenance(on=False, by="ada"))
        reasons = [change.reason for change in (await runtime.handle(m.GetState(history=True))).history]
        assert "maintenance ended by ada" in reasons
        await runtime.handle(m.Publish(event_type="error.critical", payload={"error": "fire"}))
        await until(lambda: runtime.machine.state is SystemState.FAILED)
        assert (await runtime.handle(m.GetSnapshot())).kill_switch
        await runtime.handle(m.Resume(by="ada", reason="put out"))
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        assert not (await runtime.handle(m.GetSnapshot())).kill_switch
        assert runtime.machine.reason == "resumed by ada: put out"


async def test_a_read_only_view_reads_details_and_changes_nothing(home: Path) -> None:
    async with running(home) as runtime:
        client = SocketClient(runtime.paths.socket, read_only=True)
        assert (await client.request(m.GetService(name="target:log"))).breaker == "CLOSED"
        for message in (
            m.SetBreaker(name="target:log", action="open"),
            m.SetMaintenance(on=True),
            m.Resume(),
            m.RestartService(service="web"),
        ):
            with pytest.raises(ReadOnly):
                await client.request(message)
        await client.close()
        client = SocketClient(runtime.paths.socket)
        with pytest.raises(InvalidRequest, match="1000"):
            await client.request(m.SetMaintenance(on=True, reason="x" * 1_001))
        await client.close()
        assert runtime.breakers.report("target:log").forced is None


# --- the parts ------------------------------------------------------------------------------


class Hanging:
    """A service whose readiness probe never returns."""

    name = "web"

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def restart(self, reason: str) -> None:
        """Nothing to restart."""

    def probes(self) -> dict[CheckKind, Any]:
        return {CheckKind.READINESS: self._hang}

    async def _hang(self) -> None:
        await asyncio.Event().wait()

    async def call(self, operation: str, **arguments: Any) -> Any:
        raise HandlerTimeout

    def describe(self) -> dict[str, Any]:
        return {}


def test_a_probe_that_hangs_counts_against_the_breaker() -> None:
    async def scenario() -> tuple[BreakerState, int, list[str]]:
        guard = ServiceGuard(
            ServiceSettings(name="web", kind="tcp", port=1, probes=ServiceProbes(readiness=SLOW)),
            Hanging(),
            timeout=30,
            clock=LoopClock(asyncio.get_running_loop()),
        )
        await guard.start()
        await asyncio.sleep(99)
        await guard.stop()
        counters = guard.breaker.counters
        return guard.breaker.state, counters.cancelled, [one.text for one in guard.breaker.errors.newest(5)]

    state, cancelled, errors = run_virtual(scenario)
    assert state is BreakerState.OPEN
    assert cancelled == 0
    assert errors == ["TimeoutError: no answer within 2 s"]


def change(before: str, after: str, at: float) -> BreakerChange:
    return BreakerChange(BreakerState(before), BreakerState(after), at, "why")


def test_the_timeline_shows_the_worst_state_of_each_minute() -> None:
    history = BreakerHistory(BreakerState.CLOSED, 1_000.0)
    history.add(change("CLOSED", "OPEN", 1_095.0), 0.0)
    history.add(change("OPEN", "HALF_OPEN", 1_210.0), 0.0)
    history.add(change("HALF_OPEN", "CLOSED", 1_215.0), 0.0)
    shown = history.timeline(1_330.0)
    assert len(shown) == 60 and set(shown[:54]) == {"UNKNOWN"}
    assert shown[54:] == ["CLOSED", "CLOSED", "OPEN", "OPEN", "HALF_OPEN", "CLOSED"]
    assert set(history.timeline(1_330.0 + 7_200)) == {"CLOSED"}


def test_the_history_is_bounded_and_what_it_forgets_is_unknown() -> None:
    history = BreakerHistory(BreakerState.CLOSED, 0.0)
    for number in range(2 * KEPT):
        history.add(change("CLOSED" if number % 2 else "OPEN", "OPEN", float(number)), 0.0)
    assert len(history.moves(10 * KEPT)) == KEPT
    assert history.timeline(float(2 * KEPT)).count("UNKNOWN") >= 60 - KEPT // 60 - 2


def test_errors_are_counted_by_what_they_say_and_bounded() -> None:
    tally = ErrorTally()
    for number in range(3):
        tally.add("refused", float(number))
    tally.add("x" * 10_000, 3.0)
    assert [(one.text[:7], one.count, one.last_at) for one in tally.newest(5)] == [
        ("xxxxxxx", 1, 3.0),
        ("refused", 3, 2.0),
    ]
    assert len(tally.newest(1)[0].text) == LONGEST
    for number in range(1_000):
        tally.add(f"error {number}", 4.0)
    assert len(tally.newest(1_000)) == DISTINCT


def test_the_budget_tells_what_is_used_and_allowed() -> None:
    now = 0.0
    budget = RetryBudget(lambda: now, ratio=0.5, floor=1)
    for _ in range(4):
        budget.attempt()
    assert budget.try_retry()
    assert (budget.used, budget.allowed) == (1, 3)
    now = 100.0
    assert (budget.used, budget.allowed) == (0, 1)
