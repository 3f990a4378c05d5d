"""The settings are read again: what changed is exchanged, what did not is left alone, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from event_monitor import messages as m
from event_monitor import runtime as runtime_module
from event_monitor.errors import BusClosed, InvalidConfig
from event_monitor.model import SystemState
from event_monitor.paths import HomePaths
from event_monitor.reloading import Stamps
from event_monitor.runtime import Runtime
from event_monitor.services.supervisor import Supervisor
from tests.processes import headless, wait_for

SLEEPER = f"{{name: job, kind: command, command: [{sys.executable}, -c, 'import time; time.sleep(600)']"


@pytest.fixture(autouse=True)
def quick_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "TICK", 0.02)


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "event-bus" / "event-monitor.yaml"
    path.parent.mkdir(parents=True)
    return path


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[Runtime]:
    runtime = await Runtime.start(HomePaths(str(file.parent.parent)))
    try:
        yield runtime
    finally:
        await runtime.stop()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - timers and other processes change it
            await asyncio.sleep(0.01)


def services(file: Path, *lines: str, rest: str = "") -> None:
    file.write_text("services:\n" + "".join(f"  - {line}\n" for line in lines) + rest)


def titles(runtime: Runtime) -> list[str]:
    return [alert.title for alert in runtime.alerts.newest(50)]


def pid_of(runtime: Runtime, name: str = "job") -> int | None:
    pid: int | None = runtime.services[name].service.describe()["pid"]
    return pid


async def test_services_are_added_removed_and_replaced_when_the_file_changes(file: Path) -> None:
    services(file, SLEEPER + "}", "{name: old, kind: tcp, port: 9}", "{name: same, kind: tcp, port: 9}")
    async with running(file) as runtime:
        await until(lambda: pid_of(runtime))
        first, same = pid_of(runtime), runtime.services["same"]
        await runtime.handle(m.SetBreaker(name="same", action="open", by="ada", reason="no"))
        services(
            file,
            "{name: same, kind: tcp, port: 9}",
            SLEEPER + ", critical: true}",
            "{name: new, kind: tcp, port: 9}",
        )
        await until(lambda: list(runtime.services) == ["same", "job", "new"])
        await until(lambda: pid_of(runtime) not in (None, first))
        assert not Path(f"/proc/{first}").exists()
        assert runtime.services["same"] is same
        assert same.breaker.forced_by == "ada"
        assert runtime.services["job"].settings.critical
        names = [one.service for one in (await runtime.handle(m.QueryBreakers())).breakers]
        assert {"new", "job", "same"} <= set(names)
        assert "old" not in names
        second = pid_of(runtime)
        file.unlink()
        await until(lambda: not runtime.services)
        await until(lambda: not Path(f"/proc/{second}").exists())
    assert same.breaker.forced is not None


async def test_a_changed_service_keeps_what_a_person_holds_and_forgets_what_it_learned(file: Path) -> None:
    services(file, "{name: held, kind: tcp, port: 9}", "{name: broken, kind: tcp, port: 9}")
    async with running(file) as runtime:
        await runtime.handle(m.SetBreaker(name="held", action="open", by="ada", reason="no"))
        for _ in range(5):
            runtime.services["broken"].breaker.acquire().failure(OSError("gone"))
        assert runtime.breakers.report("broken").state == "OPEN"
        services(file, "{name: held, kind: tcp, port: 10}", "{name: broken, kind: tcp, port: 10}")
        assert "replaced: held, broken" in (await runtime.handle(m.Reload())).message
        assert runtime.breakers.report("held").forced_by == "ada"
        assert runtime.breakers.report("broken").state == "CLOSED"
        assert "breaker broken" not in str(runtime.driver.wanted())
    async with running(file) as runtime:
        assert runtime.breakers.report("held").forced_by == "ada"
        assert runtime.breakers.report("broken").state == "CLOSED"


async def test_a_late_word_of_a_service_that_was_replaced_counts_for_nothing(file: Path) -> None:
    services(file, "{name: web, kind: tcp, port: 9}")
    async with running(file) as runtime:
        old = runtime.services["web"].breaker
        permits = [old.acquire() for _ in range(5)]
        services(file, "{name: web, kind: tcp, port: 10}")
        await runtime.handle(m.Reload())
        for permit in permits:
            permit.failure(OSError("late"))
        assert old.state == "OPEN"
        assert runtime.breakers.report("web").state == "CLOSED"
        events = (await runtime.handle(m.QueryEvents(type="breaker.opened"))).events
        assert events == []


async def test_what_was_wrong_with_a_removed_service_no_longer_degrades(file: Path) -> None:
    services(
        file,
        "{name: gone, kind: process, match: no-such-process-here,"
        " probes: {readiness: {interval: 0.05}, startup: {interval: 0.05}}}",
        "{name: good, kind: command, command: [sleep, '600'], probes: {startup: {interval: 0.05}}}",
    )
    async with running(file) as runtime:
        await until(lambda: runtime.machine.state is SystemState.DEGRADED)
        services(
            file, "{name: good, kind: command, command: [sleep, '600'], probes: {startup: {interval: 0.05}}}"
        )
        await runtime.handle(m.Reload())
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        assert runtime.machine.reason == "gone is no longer configured"


async def test_a_service_that_is_mended_by_its_settings_comes_up(file: Path) -> None:
    probes = "probes: {startup: {interval: 0.05}, readiness: {interval: 0.05}}"
    services(file, f"{{name: db, kind: tcp, port: 9, {probes}}}")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(file) as runtime:
        await until(lambda: runtime.machine.state is SystemState.DEGRADED)
        services(file, f"{{name: db, kind: tcp, port: {port}, {probes}}}")
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        page = await runtime.handle(m.QueryEvents(type="service.*", newest_first=False))
        assert [event.event_type for event in page.events] == ["service.down", "service.up"]
    server.close()


async def test_a_broken_file_keeps_what_is_in_force_and_says_where(file: Path) -> None:
    services(file, "{name: good, kind: tcp, port: 9}")
    async with running(file) as runtime:
        kept = runtime.services["good"]
        services(file, "{name: good, kind: tcp, port: 10}", rest="queue:\n  max_backlog: many\n")
        await until(lambda: "Settings were not reloaded" in titles(runtime))
        (alert,) = [one for one in runtime.alerts.newest(9) if one.title == "Settings were not reloaded"]
        assert f"{file}:4:3: queue.max_backlog: found 'many'; expected a whole number" in alert.detail
        assert runtime.services["good"] is kept
        services(file, "{name: good, kind: tcp, port: 10}")
        await until(lambda: runtime.services["good"].settings.port == 10)


async def test_one_broken_file_does_not_keep_the_other_back(file: Path, home: Path) -> None:
    services(file, "{name: a, kind: tcp, port: 9}")
    async with running(file) as runtime:
        Path(HomePaths(str(home)).rules).write_text("{")
        services(file, "{name: b, kind: tcp, port: 9}")
        with pytest.raises(InvalidConfig, match=r"routing-rules\.json:1"):
            await runtime.handle(m.Reload())
        assert list(runtime.services) == ["b"]


async def test_what_counts_from_the_next_start_only_is_named_once(file: Path) -> None:
    services(file, "{name: a, kind: tcp, port: 9, timeout: mine}", rest="timeouts: {mine: 5}\n")
    async with running(file) as runtime:
        first = runtime.services["a"]
        services(
            file,
            "{name: a, kind: tcp, port: 9, timeout: mine}",
            rest="timeouts: {mine: 7}\nqueue: {max_backlog: 5000}\n",
        )
        assert "need a restart: queue, timeouts" in (await runtime.handle(m.Reload())).message
        await runtime.handle(m.Reload())
        waiting = [one for one in runtime.alerts.newest(9) if one.title == "Settings wait for a restart"]
        assert [(one.count, "queue, timeouts" in one.detail) for one in waiting] == [(1, True)]
        assert runtime.services["a"] is not first
        assert runtime.services["a"].pipeline.timeout == 7


async def test_a_service_whose_fallback_may_use_other_directories_is_replaced(
    file: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("text")
    services(file, "{name: fs, kind: mcp, command: [/nonexistent], fallback: [local_fs]}")
    async with running(file) as runtime:
        services(
            file,
            "{name: fs, kind: mcp, command: [/nonexistent], fallback: [local_fs]}",
            rest=f"fallback: {{roots: [{tmp_path}]}}\n",
        )
        await runtime.handle(m.Reload())
        answer = await runtime.services["fs"].call("read_file", path=str(tmp_path / "a.txt"))
        assert (answer.value, answer.source) == ("text", "local_fs")
        services(file, "{name: fs, kind: tcp, port: 9}")
        await runtime.handle(m.Reload())
        await runtime.bus.settled()
        page = await runtime.handle(m.QueryEvents(type="fallback.*", newest_first=False))
        assert [event.event_type for event in page.events] == ["fallback.began", "fallback.ended"]


async def test_a_reload_whose_asker_is_gone_is_carried_out_before_the_next(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services(file, SLEEPER + "}")
    stopping, go_on = asyncio.Event(), asyncio.Event()
    stop = Supervisor.stop

    async def slowly(self: Supervisor) -> None:
        stopping.set()
        await go_on.wait()
        await stop(self)

    async with running(file) as runtime:
        await until(lambda: pid_of(runtime))
        first = pid_of(runtime)
        monkeypatch.setattr(Supervisor, "stop", slowly)
        services(file, SLEEPER + ", critical: true}")
        asker = asyncio.create_task(runtime.handle(m.Reload()))
        await stopping.wait()
        asker.cancel()
        services(file, SLEEPER + ", timeout: 5}")
        second = asyncio.create_task(runtime.handle(m.Reload()))
        # Time for a second reload that does not wait for the first to get ahead of it.
        await asyncio.sleep(0.2)
        go_on.set()
        await second
        await until(lambda: "runtime-reload" not in {task.get_name() for task in asyncio.all_tasks()})
        await until(lambda: pid_of(runtime) not in (None, first))
        await until(lambda: sleepers() == [pid_of(runtime)])
    assert sleepers() == []


async def test_an_end_in_the_midst_of_a_reload_leaves_nothing_running(file: Path) -> None:
    services(file, SLEEPER + "}")
    before = asyncio.all_tasks()
    async with running(file) as runtime:
        await until(lambda: pid_of(runtime))
        services(file, SLEEPER + ", critical: true}")
        asker = asyncio.create_task(runtime.handle(m.Reload()))
        await asyncio.sleep(0)
    await asyncio.gather(asker, return_exceptions=True)
    assert asyncio.all_tasks() == before
    assert sleepers() == []
    with pytest.raises(BusClosed):
        await runtime.handle(m.Reload())


def sleepers() -> list[int]:
    """The children of this process that run a ``SLEEPER``."""
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _is_child_sleeper(pid)]


def _is_child_sleeper(pid: str) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return int(stat[1]) == os.getpid() and b"time.sleep(600)" in line


def test_a_file_counts_as_changed_once_it_rests(tmp_path: Path) -> None:
    path = tmp_path / "f"
    stamps = Stamps(str(path))
    assert not stamps.changed(str(path))
    path.write_text("half")
    assert not stamps.changed(str(path))
    path.write_text("half of it")
    assert not stamps.changed(str(path))
    assert stamps.changed(str(path))
    stamps.take(str(path))
    assert not stamps.changed(str(path))


def test_the_real_program_follows_the_file(home: Path, file: Path) -> None:
    services(file, SLEEPER + "}")
    with headless(home) as program:

        def row() -> dict[str, Any]:
            return next(iter(program.ask(do="query_services")["services"]), {})

        first = wait_for(lambda: row().get("pid"))
        services(file, SLEEPER + ", critical: true}")
        second = wait_for(lambda: row().get("pid") not in (None, first) and row()["pid"])
        assert not Path(f"/proc/{first}").exists()
        services(file)
        wait_for(lambda: not row())
        wait_for(lambda: not Path(f"/proc/{second}").exists())
        assert program.stop() == 0
