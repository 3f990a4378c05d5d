"""Services under a real runtime: they go down and come up, answers come from fallbacks, the switch stops."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from event_monitor import messages as m
from event_monitor.config import (
    BreakerSettings,
    FallbackSettings,
    ProbeSettings,
    ServiceProbes,
    ServiceSettings,
    Settings,
    StoreSettings,
)
from event_monitor.errors import NotFound
from event_monitor.model import Status, SystemState
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime

STUB = Path(__file__).parent / "services" / "stub_server.py"
QUICK = ServiceProbes(
    startup=ProbeSettings(interval=0.1, limit=5.0, failures=3),
    readiness=ProbeSettings(interval=0.1, limit=1.0, failures=2),
    liveness=ProbeSettings(interval=0.1, limit=1.0, failures=2),
)


def service(**given: Any) -> ServiceSettings:
    return ServiceSettings(
        **{"probes": QUICK, "breaker": BreakerSettings(failure_threshold=3, recovery_timeout=0.3), **given}
    )


@asynccontextmanager
async def running(home: Path, *services: ServiceSettings, **sections: Any) -> AsyncIterator[Runtime]:
    settings = Settings(store=StoreSettings(durability="normal"), services=services, **sections)
    runtime = await Runtime.start(HomePaths(str(home)), settings)
    try:
        yield runtime
    finally:
        await runtime.stop()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - timers and other processes change it
            await asyncio.sleep(0.01)


async def kinds(runtime: Runtime, pattern: str) -> list[str]:
    page = await runtime.handle(m.QueryEvents(type=pattern, newest_first=False))
    return [event.event_type for event in page.events]


async def test_a_port_that_closes_degrades_and_one_that_opens_recovers(home: Path) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(home, service(name="db", kind="tcp", port=port)) as runtime:
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        (health,) = (await runtime.handle(m.QueryHealth())).services
        assert health.startup == "pass"
        server.close()
        await server.wait_closed()
        await until(lambda: runtime.machine.state is SystemState.DEGRADED)
        await until(lambda: runtime.services["db"].breaker.state == "OPEN")
        (row,) = (await runtime.handle(m.GetSnapshot())).services
        assert (row.name, row.health[1]) == ("db", "fail")
        server = await asyncio.start_server(accept, "127.0.0.1", port)
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        assert await kinds(runtime, "service.*") == ["service.down", "service.up"]
        assert SystemState.RECOVERING in [one.to_state for one in runtime.machine.history]
    server.close()


async def test_an_mcp_server_that_is_killed_is_started_again_and_ended_with_the_monitor(home: Path) -> None:
    stub = service(name="stub", kind="mcp", command=(sys.executable, str(STUB)))
    async with running(home, stub) as runtime:
        guard = runtime.services["stub"]
        await until(lambda: guard.verdicts()[1].value == "pass")
        first = guard.service.describe()["pid"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: guard.service.describe()["pid"] not in (None, first))
        await until(guard.is_well)
        second = guard.service.describe()["pid"]
    await until(lambda: not Path(f"/proc/{second}").exists())


async def test_a_fallback_answers_for_a_service_that_is_down_and_says_so(home: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("kept here")
    files = service(name="filesystem", kind="mcp", command=("/nonexistent/server",), fallback=("local_fs",))
    async with running(home, files, fallback=FallbackSettings(roots=(str(tmp_path),))) as runtime:
        answer = await runtime.services["filesystem"].call("read_file", path=str(tmp_path / "note.txt"))
        assert (answer.source, answer.degraded) == ("local_fs", True)
        assert "kept here" in str(answer.value)
        await until(lambda: runtime.machine.state is SystemState.DEGRADED)
        assert (await runtime.handle(m.QueryHealth(service="filesystem"))).services[0].fallback == "local_fs"
        await until(lambda: runtime.bus.pending == 0)
        assert "fallback.began" in await kinds(runtime, "fallback.*")


async def test_a_service_that_is_wrongly_configured_is_named_and_the_rest_goes_on(home: Path) -> None:
    async with running(home, service(name="web", kind="http")) as runtime:
        assert len(runtime.services) == 0
        assert any("service web: kind http needs url" in one.detail for one in runtime.alerts.newest(10))
        assert (await runtime.handle(m.Publish(event_type="a.b"))).status == "accepted"
        with pytest.raises(NotFound, match="none is configured"):
            await runtime.handle(m.RestartService(service="web"))


async def test_the_kill_switch_stops_all_but_critical_until_a_person_resumes(home: Path) -> None:
    probe = service(name="db", kind="tcp", port=9)
    async with running(home, probe) as runtime:
        await runtime.handle(m.Publish(event_type="error.critical", payload={"error": "disk on fire"}))
        await until(lambda: runtime.switch.engaged)
        await until(lambda: runtime.machine.state is SystemState.FAILED)
        assert runtime.services["db"].breaker.forced == "open"
        held = await runtime.handle(m.Publish(event_type="a.b"))
    async with running(home, probe) as runtime:
        assert runtime.switch.engaged
        await until(lambda: runtime.machine.state is SystemState.FAILED)
        await asyncio.sleep(0.1)
        assert (await runtime.handle(m.GetEvent(event_id=held.id))).event.status is Status.PENDING
        await runtime.handle(m.Resume(by="ada", reason="put out"))
        await until(lambda: runtime.bus.pending == 0)
        assert not runtime.switch.engaged
        assert runtime.services["db"].breaker.forced is None
        assert runtime.machine.state is not SystemState.FAILED


def test_check_config_names_what_is_wrong_with_services(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from event_monitor.__main__ import main

    (home / "event-bus").mkdir(parents=True)
    settings = home / "event-bus" / "event-monitor.yaml"
    settings.write_text(
        "services:\n"
        "  - {name: a, kind: http}\n"
        "  - {name: b, kind: tcp, port: 80, fallback: [no_such_fs]}\n"
        "  - {name: b, kind: tcp, port: 81}\n"
    )
    assert main(["--home", str(home), "--check-config"]) == 2
    told = capsys.readouterr().err
    assert "service a: kind http needs url" in told
    assert "no_such_fs" in told
    assert "the name 'b' stands twice" in told
    assert str(settings) in told
    settings.write_text("services: [{name: a, kind: carrier-pigeon}]\n")
    assert main(["--home", str(home), "--check-config"]) == 2
    assert "services" in capsys.readouterr().err
