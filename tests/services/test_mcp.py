"""A supervised MCP server over stdio, behaving and misbehaving."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from event_monitor.clock import LoopClock
from event_monitor.config import (
    BreakerSettings,
    ProbeSettings,
    RestartSettings,
    RetrySettings,
    ServiceProbes,
    ServiceSettings,
)
from event_monitor.resilience import DeadlineExceeded
from event_monitor.resilience.breaker import BreakerState
from event_monitor.resilience.health import CheckKind, Health, Undecided
from event_monitor.services.base import CallerError, ServiceDown, ServiceError
from event_monitor.services.guard import ServiceGuard
from event_monitor.services.guardian import Guardian
from event_monitor.services.mcp import McpService
from event_monitor.services.supervisor import Grace
from tests.services.groups import members

STUB = str(Path(__file__).with_name("stub_server.py"))
QUICK = RestartSettings(min_delay=0.05, max_delay=0.2)
IMPATIENT = Grace(end_of_input=0.3, terminate=0.3, kill=5.0)
Make = Callable[..., McpService]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    guardian = Guardian()
    made: list[McpService] = []

    def stub(*troubles: str, start_limit: float = 20.0, restart: RestartSettings = QUICK) -> McpService:
        command = [sys.executable, "-I", "-S", STUB, *troubles]
        service = McpService(
            "stub", command, guardian, restart=restart, start_limit=start_limit, grace=IMPATIENT
        )
        made.append(service)
        return service

    async with asyncio.timeout(40):
        yield stub
        groups = list(guardian.groups)
        for service in made:
            await service.stop()
        assert not any(members(group) for group in groups)
        await guardian.close()


async def check(service: McpService, kind: CheckKind) -> None:
    await service.probes()[kind]()


async def eventually(service: McpService, kind: CheckKind, passes: bool = True) -> None:
    """Ask a probe until it says what is expected, as the health monitor would."""
    while True:
        try:
            await check(service, kind)
        except ServiceError:
            if not passes:
                return
        else:
            if passes:
                return
        await asyncio.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what only a person could ask for."""
    while not condition():  # noqa: ASYNC110 - a description has no signal
        await asyncio.sleep(0.01)


async def begun(service: McpService) -> int:
    await service.start()
    await eventually(service, CheckKind.STARTUP)
    pid = service.describe()["pid"]
    assert isinstance(pid, int)
    return pid


@pytest.mark.parametrize(
    ("era", "version"), [("handshake", "2025-11-25"), ("modern", "2026-07-28"), ("both", "2026-07-28")]
)
async def test_both_eras_are_spoken(make: Make, era: str, version: str) -> None:
    service = make(f"--era={era}")
    await begun(service)
    for kind in CheckKind:
        await check(service, kind)
    answer = await service.call("echo", text="a")
    assert answer["content"][0]["text"] == '{"text": "a"}'
    said = service.describe()
    assert (said["protocol"], said["server"], said["starts"]) == (version, "stub 1.0", 1)


async def test_whose_fault_an_error_is(make: Make) -> None:
    service = make()
    await begun(service)
    assert (await service.call("fail"))["isError"] is True
    with pytest.raises(CallerError, match="unknown tool"):
        await service.call("no_such_tool")
    with pytest.raises(CallerError, match="Method not found"):
        await service.call("no/method")
    with pytest.raises(CallerError, match="not JSON"):
        await service.call("echo", text=object())
    with pytest.raises(ServiceError, match="internal error") as raised:
        await service.call("break")
    assert not isinstance(raised.value, ServiceDown)
    assert (await service.call("tools/call", name="echo", arguments={}))["isError"] is False


async def test_a_killed_server_fails_its_calls_and_comes_back(make: Make) -> None:
    service = make()
    pid = await begun(service)
    call = asyncio.create_task(service.call("slow", seconds=600))
    await until(lambda: service.describe()["traffic"]["requests"] >= 3)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ServiceDown):
        await call
    await eventually(service, CheckKind.READINESS)
    said = service.describe()
    assert (said["starts"], said["last_exit"]) == (2, "ended by SIGKILL")


async def test_a_server_that_ends_itself_in_a_call(make: Make) -> None:
    service = make(restart=RestartSettings(enabled=False))
    await begun(service)
    with pytest.raises(ServiceDown):
        await service.call("crash")
    await eventually(service, CheckKind.LIVENESS, passes=False)
    await until(lambda: service.describe()["last_exit"] is not None)
    assert service.describe()["last_exit"] == "exit status 7"


async def test_a_stopped_server_is_alive_and_not_ready_and_its_late_answer_is_dropped(make: Make) -> None:
    service = make()
    pid = await begun(service)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await check(service, CheckKind.READINESS)
    await check(service, CheckKind.LIVENESS)
    os.kill(pid, signal.SIGCONT)
    await check(service, CheckKind.READINESS)
    traffic = service.describe()["traffic"]
    assert traffic["late"] == 1


async def test_a_slow_start_is_waited_for(make: Make) -> None:
    service = make("--start=0.5")
    await service.start()
    with pytest.raises(ServiceDown):
        await check(service, CheckKind.READINESS)
    await begun(service)
    await service.call("echo")
    assert service.describe()["starts"] == 1


async def test_one_that_never_answers_is_ended_and_started_again(make: Make, tmp_path: Path) -> None:
    service = make("--hang", f"--once={tmp_path / 'mark'}", start_limit=2.0)
    await service.start()
    await eventually(service, CheckKind.READINESS)
    assert service.describe()["starts"] == 2


async def test_garbage_on_its_output_does_no_harm(make: Make) -> None:
    service = make("--noise", "--flood")
    await begun(service)
    await service.call("echo")
    await check(service, CheckKind.READINESS)
    assert service.describe()["traffic"]["noise"] >= 6


async def test_one_that_closes_its_output_is_started_again(make: Make, tmp_path: Path) -> None:
    service = make("--mute", f"--once={tmp_path / 'mark'}")
    await service.start()
    await eventually(service, CheckKind.READINESS)
    assert service.describe()["starts"] == 2


async def test_one_that_dies_at_the_first_word_keeps_being_tried(make: Make) -> None:
    service = make("--die=server/discover")
    await service.start()
    await until(lambda: service.describe()["starts"] >= 3)
    await eventually(service, CheckKind.STARTUP, passes=False)


async def test_the_deaf_are_ended_whole(make: Make) -> None:
    service = make("--deaf")
    pid = await begun(service)
    await service.stop()
    assert members(pid) == []
    with pytest.raises(ServiceDown, match="not running"):
        await service.call("echo")


async def test_no_probe_is_sent_while_a_call_is_in_flight(make: Make) -> None:
    service = make()
    await begun(service)
    call = asyncio.create_task(service.call("slow", seconds=0.3))
    await until(lambda: service.describe()["traffic"]["requests"] >= 3)
    for _ in range(5):
        with contextlib.suppress(Undecided):
            await check(service, CheckKind.READINESS)
    await call
    assert (await service.call("pings"))["content"][0]["text"] == "0"


async def test_a_probe_beside_calls_that_nobody_answers_is_no_success(make: Make) -> None:
    """It would end each row of failures: the breaker of a server that hangs under load would never open."""
    service = make()
    quick = ProbeSettings(interval=0.05, limit=10.0)
    settings = ServiceSettings(
        name="stub",
        kind="mcp",
        breaker=BreakerSettings(failure_threshold=3, failure_rate=None),
        retry=RetrySettings(max_retries=0),
        probes=ServiceProbes(startup=quick, readiness=quick),
    )
    guard = ServiceGuard(settings, service, timeout=0.3, clock=LoopClock(asyncio.get_running_loop()))
    await guard.start()
    try:
        await until(lambda: guard.verdicts()[1] is Health.PASS)
        turns = guard.monitor.counters(CheckKind.READINESS)
        os.kill(service.describe()["pid"], signal.SIGSTOP)
        under_way = asyncio.create_task(service.call("echo"))
        for _ in range(3):
            assert guard.breaker.state is BreakerState.CLOSED
            with pytest.raises(DeadlineExceeded):
                await guard.call("echo")
            before = turns.checks + turns.skipped
            await until(lambda before=before: turns.checks + turns.skipped >= before + 3)  # type: ignore[misc]
        assert guard.breaker.state is BreakerState.OPEN
        assert guard.verdicts()[1] is Health.PASS
        os.kill(service.describe()["pid"], signal.SIGCONT)
        await under_way
    finally:
        await guard.stop()


async def test_restarting_by_hand_gives_a_new_process(make: Make) -> None:
    service = make()
    before = await begun(service)
    await service.restart("a person asked")
    await until(lambda: service.describe()["starts"] >= 2)
    await eventually(service, CheckKind.READINESS)
    assert service.describe()["pid"] != before


async def test_a_command_that_does_not_exist_is_told_by_every_probe() -> None:
    guardian = Guardian()
    service = McpService("gone", ["no-such-mcp-server"], guardian, restart=QUICK)
    await service.start()
    await until(lambda: service.describe()["state"] == "cannot be started")
    for kind in CheckKind:
        with pytest.raises(ServiceDown, match="not found on PATH"):
            await check(service, kind)
    await service.stop()
    await guardian.close()
