"""Our protocol against servers that others wrote, in both eras and over both transports."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from event_monitor.config import RestartSettings
from event_monitor.resilience.health import CheckKind
from event_monitor.services.base import CallerError, ServiceDown
from event_monitor.services.command import CommandService
from event_monitor.services.guardian import Guardian
from event_monitor.services.mcp import McpService
from event_monitor.services.mcp_http import McpHttpService
from tests.services import peers
from tests.services.groups import members

pytestmark = pytest.mark.slow
QUICK = RestartSettings(min_delay=0.05, max_delay=0.2)
Make = Callable[[list[str]], McpService]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    guardian = Guardian()
    made: list[McpService] = []

    def begin(command: list[str]) -> McpService:
        made.append(McpService("peer", command, guardian, restart=QUICK))
        return made[-1]

    yield begin
    groups = list(guardian.groups)
    for service in made:
        await service.stop()
    assert not any(members(group) for group in groups)
    await guardian.close()


async def ready(service: McpService | McpHttpService) -> None:
    """Ask until it is ready, as the health monitor would."""
    async with asyncio.timeout(60):
        while True:
            try:
                await service.probes()[CheckKind.STARTUP]()
                await service.probes()[CheckKind.READINESS]()
            except ServiceDown:
                await asyncio.sleep(0.05)
            else:
                return


async def started_again(service: McpService | CommandService) -> None:
    """Wait for its second process."""
    async with asyncio.timeout(10):
        while service.describe()["starts"] < 2:  # noqa: ASYNC110 - a description has no signal
            await asyncio.sleep(0.01)


async def live_through_trouble(service: McpService) -> None:
    """SIGSTOP makes it unready, SIGCONT ready again, SIGKILL brings a new one."""
    pid = service.describe()["pid"]
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await service.probes()[CheckKind.READINESS]()
    await service.probes()[CheckKind.LIVENESS]()
    os.kill(pid, signal.SIGCONT)
    await ready(service)
    os.kill(pid, signal.SIGKILL)
    await started_again(service)
    await ready(service)
    assert service.describe()["last_exit"] == "ended by SIGKILL"


async def test_the_time_server_speaks_the_modern_era(make: Make) -> None:
    service = make(peers.time_server())
    await service.start()
    await ready(service)
    assert service.describe()["protocol"] == "2026-07-28"
    answer = await service.call("get_current_time", timezone="UTC")
    assert '"timezone": "UTC"' in answer["content"][0]["text"]
    with pytest.raises(CallerError):
        await service.call("no_such_tool")
    await live_through_trouble(service)


async def test_the_filesystem_server_shakes_hands(make: Make, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("said")
    service = make([*peers.node_server("server-filesystem"), str(tmp_path)])
    await service.start()
    await ready(service)
    assert service.describe()["protocol"] == "2025-11-25"
    answer = await service.call("read_text_file", path=str(tmp_path / "a.txt"))
    assert answer["content"][0]["text"] == "said"
    refused = await service.call("read_text_file", path="/etc/passwd")
    assert refused["isError"] is True
    await live_through_trouble(service)


async def test_the_everything_server_over_stdio_and_http(make: Make) -> None:
    command = peers.node_server("server-everything")
    service = make(command)
    await service.start()
    await ready(service)
    assert "hello" in (await service.call("echo", message="hello"))["content"][0]["text"]
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    guardian = Guardian()
    runner = CommandService("runner", [*command, "streamableHttp"], guardian, env={"PORT": str(port)})
    remote = McpHttpService("remote", f"http://127.0.0.1:{port}/mcp")
    await runner.start()
    try:
        await ready(remote)
        assert remote.describe()["protocol"] == "2025-11-25"
        assert "hello" in (await remote.call("echo", message="hello"))["content"][0]["text"]
        await runner.restart("a session is lost")
        await started_again(runner)
        await ready(remote)
        await remote.call("echo", message="again")
    finally:
        await remote.stop()
        await runner.stop()
        await guardian.close()
