"""Servers that the assistant declares: shown, and started on a person's word only, as it was given."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from event_monitor import messages as m
from event_monitor.config import ServiceSettings, Settings
from event_monitor.errors import InvalidConfig, InvalidRequest, NotFound
from event_monitor.paths import HomePaths
from event_monitor.replies import general as r
from event_monitor.runtime import Runtime

STUB = str(Path(__file__).parent / "services" / "stub_server.py")
SECRET = "hunter2-hunter2"


class Assistant:
    """The assistant's configuration in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / ".claude.json"
        self.project = directory.parent / "shop"
        self.project.mkdir(parents=True)
        self.stub: dict[str, Any] = {
            "command": sys.executable,
            "args": [STUB, "--env=TOKEN"],
            "env": {"TOKEN": SECRET},
        }
        self.declare(stub=self.stub)

    def declare(self, local: dict[str, Any] | None = None, **servers: Any) -> None:
        self.file.parent.mkdir(exist_ok=True)
        projects = {str(self.project): {"mcpServers": local or {}, "enableAllProjectMcpServers": True}}
        self.file.write_text(json.dumps({"mcpServers": servers, "projects": projects}))

    def declare_in_project(self, **servers: Any) -> None:
        (self.project / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))


@pytest.fixture
def assistant() -> Assistant:
    return Assistant(Path(os.environ["CLAUDE_CONFIG_DIR"]))


@pytest.fixture
def file(home: Path) -> Path:
    return home / "event-bus" / "event-monitor.yaml"


@asynccontextmanager
async def running(home: Path, settings: Settings | None = None) -> AsyncIterator[Runtime]:
    runtime = await Runtime.start(HomePaths(str(home)), settings)
    try:
        yield runtime
    finally:
        await runtime.stop()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - timers and other processes change it
            await asyncio.sleep(0.01)


async def adopt(runtime: Runtime, name: str = "stub", **options: Any) -> r.AdoptionPlan:
    plan: r.AdoptionPlan = await runtime.handle(m.PlanAdoption(name=name, **options))
    await runtime.handle(m.AdoptService(name=name, fingerprint=plan.fingerprint, by="ada", **options))
    return plan


async def discovered(runtime: Runtime) -> dict[str, r.DiscoveredServerInfo]:
    reply: r.DiscoveredServers = await runtime.handle(m.QueryDiscovered())
    return {server.name: server for server in reply.servers}


def pid_of(runtime: Runtime, name: str = "stub") -> int | None:
    pid: int | None = runtime.services[name].service.describe()["pid"]
    return pid


# --- discovery ------------------------------------------------------------------------------


async def test_what_is_declared_is_shown_and_nothing_of_it_is_started(
    home: Path, assistant: Assistant, tmp_path: Path
) -> None:
    trap = {"command": "touch", "args": [str(tmp_path / "started")]}
    assistant.declare(trap=trap, docs={"type": "http", "url": f"https://docs.example.org/?key={SECRET}"})
    assistant.declare_in_project(shop=trap)
    async with running(home) as runtime:
        await until(lambda: runtime.desk.unwatched == 3)
        assert (await runtime.handle(m.GetSnapshot())).unwatched == 3
        found = await discovered(runtime)
        assert [(one.scope, one.transport, one.service) for one in found.values()] == [
            ("user", "stdio", None),
            ("user", "http", None),
            ("project", "stdio", None),
        ]
        assert found["docs"].shown == "https://docs.example.org"
        assert found["shop"].origin == str(assistant.project / ".mcp.json")
        assert SECRET not in str(found)
    assert not (tmp_path / "started").exists()


async def test_calls_that_hooks_told_of_are_counted_and_the_last_error_is_told(
    home: Path, assistant: Assistant
) -> None:
    hook = {"tool_name": "mcp__stub__work", "mcp_server": {"name": "stub"}}
    async with running(home) as runtime:
        for name, extra in (
            ("PostToolUse", {}),
            ("PostToolUseFailure", {"error": "timed out after 3s"}),
            ("PostToolUseFailure", {"error": "connection closed"}),
            ("PostToolUse", {}),
        ):
            await runtime.handle(m.PublishHook(text=json.dumps({"hook_event_name": name, **hook, **extra})))
        old = {"hook_event_name": "PostToolUse", "tool_name": "mcp__plugin__work"}
        await runtime.handle(m.PublishHook(text=json.dumps(old)))
        reply = await runtime.handle(m.QueryDiscovered())
        (stub,) = reply.servers
        assert (stub.calls_ok, stub.calls_failed, stub.last_error) == (2, 2, "connection closed")
        newest = (await runtime.handle(m.QueryEvents(type="mcp.call.ok", limit=2))).events[-1]
        assert stub.last_call_at == newest.timestamp
        assert reply.notes == ["called, but declared in no file that is read here: plugin"]


async def test_a_service_that_is_configured_by_hand_is_known_by_its_command(
    home: Path, assistant: Assistant
) -> None:
    by_hand = ServiceSettings(name="mine", kind="mcp", command=(sys.executable, STUB, "--env=TOKEN"))
    async with running(home, Settings(services=(by_hand,))) as runtime:
        await until(lambda: pid_of(runtime, "mine"))
        found = (await discovered(runtime))["stub"]
        assert found.service == "mine"
        assert found.health in ("pass", "unknown")
        assert runtime.desk.unwatched == 0
        with pytest.raises(InvalidRequest, match="watched already, as mine"):
            await runtime.handle(m.PlanAdoption(name="stub"))


# --- adoption -------------------------------------------------------------------------------


async def test_an_adopted_server_runs_with_its_environment_and_over_a_restart(
    home: Path, file: Path, assistant: Assistant
) -> None:
    file.parent.mkdir(parents=True)
    file.write_text("# mine\nqueue: {reserve: 5}  # few\n")
    async with running(home) as runtime:
        plan = await adopt(runtime)
        assert plan.file == str(file)
        assert plan.entry in file.read_text()
        assert file.read_text().startswith("# mine\nqueue: {reserve: 5}  # few\n")
        assert SECRET not in file.read_text() + str(plan)
        await until(lambda: pid_of(runtime))
        environ = Path(f"/proc/{pid_of(runtime)}/environ").read_bytes()
        assert f"TOKEN={SECRET}".encode() in environ.split(b"\0")
        (row,) = (await runtime.handle(m.QueryServices())).services
        assert (row.service, row.state, row.restarts, row.declared) == ("stub", "running", 0, "user")
        assert (await discovered(runtime))["stub"].service == "stub"
        with pytest.raises(InvalidRequest, match="watched already"):
            await adopt(runtime)
    async with running(home) as again:
        await until(lambda: pid_of(again))
        answer = await again.services["stub"].call("echo", text="hello")
        assert "hello" in str(answer.value)
        last = pid_of(again)
        told = await again.handle(m.ForgetService(service="stub", by="ada"))
        assert "removed: stub" in told.message
        assert not Path(f"/proc/{last}").exists()
        assert "stub" not in file.read_text()
        assert "# few" in file.read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"command": "/bin/sh"},
        {"args": [STUB, "--env=TOKEN", "--hang"]},
        {"env": {"TOKEN": SECRET, "PYTHONSTARTUP": "/tmp/evil.py"}},
        {"type": "http", "url": "http://127.0.0.1:9/"},
    ],
    ids=["command", "arguments", "environment", "transport"],
)
async def test_what_was_changed_since_it_was_approved_is_not_started(
    home: Path, file: Path, assistant: Assistant, change: dict[str, Any]
) -> None:
    async with running(home) as runtime:
        await adopt(runtime)
    assistant.declare(stub={**assistant.stub, **change})
    async with running(home) as runtime:
        assert not runtime.services
        (alert,) = [one for one in runtime.alerts.newest(9) if one.title == "Service stub is left out"]
        assert f"{file}:4:" in alert.detail
        assert "services[0].declared.approved" in alert.detail
        assert "otherwise than it was approved" in alert.detail
        assert "services forget stub" in alert.detail
        await runtime.handle(m.ForgetService(service="stub"))
        assistant.declare(stub=assistant.stub)
        await adopt(runtime)
        assert list(runtime.services) == ["stub"]


async def test_what_was_changed_since_it_was_shown_is_not_adopted(
    home: Path, file: Path, assistant: Assistant
) -> None:
    async with running(home) as runtime:
        plan = await runtime.handle(m.PlanAdoption(name="stub"))
        assistant.declare(stub={**assistant.stub, "command": "/bin/sh"})
        with pytest.raises(InvalidRequest, match="otherwise than it was shown"):
            await runtime.handle(m.AdoptService(name="stub", fingerprint=plan.fingerprint))
        assert not file.exists()


async def test_what_is_declared_no_more_is_said_and_not_started(home: Path, assistant: Assistant) -> None:
    async with running(home) as runtime:
        await adopt(runtime)
    assistant.declare()
    async with running(home) as runtime:
        assert not runtime.services
        assert "declares no server 'stub'" in runtime.alerts.newest(1)[0].detail


async def test_a_server_of_a_project_is_started_there_while_the_person_approves_it(
    home: Path, assistant: Assistant
) -> None:
    assistant.declare()
    assistant.declare_in_project(shop=assistant.stub)
    async with running(home) as runtime:
        plan = await adopt(runtime, "shop", service="my-shop")
        assert plan.cwd == str(assistant.project)
        await until(lambda: pid_of(runtime, "my-shop"))
        cwd = os.readlink(f"/proc/{pid_of(runtime, 'my-shop')}/cwd")
        assert cwd == os.path.realpath(assistant.project)
        assistant.file.write_text("{}")
        assert "left out, see alerts: my-shop" in (await runtime.handle(m.Reload())).message


async def test_a_name_that_stands_in_two_scopes_must_be_told_apart(home: Path, assistant: Assistant) -> None:
    assistant.declare(local={"stub": assistant.stub}, stub=assistant.stub)
    async with running(home) as runtime:
        with pytest.raises(InvalidRequest, match=f"user scope; local scope of {assistant.project}"):
            await adopt(runtime)
        await adopt(runtime, scope="local")
        assert runtime.services["stub"].settings.cwd == str(assistant.project)
        with pytest.raises(InvalidRequest, match="a service is named stub already"):
            await adopt(runtime, scope="user")
        await adopt(runtime, scope="user", service="other")
        assert list(runtime.services) == ["stub", "other"]


async def test_what_cannot_be_adopted_is_refused(home: Path, file: Path, assistant: Assistant) -> None:
    assistant.declare(old={"type": "sse", "url": "https://example.org"}, empty={"type": "stdio"})
    async with running(home) as runtime:
        for name in ("old", "empty"):
            with pytest.raises(InvalidRequest, match="cannot be watched"):
                await adopt(runtime, name)
        with pytest.raises(NotFound, match="'gone'"):
            await adopt(runtime, "gone")
        with pytest.raises(NotFound, match="no service 'gone'"):
            await runtime.handle(m.ForgetService(service="gone"))
    file.write_text("services: [{name: mine, kind: tcp, port: 9}, {name: stub, kind: pigeon}]\n")
    assistant.declare(stub=assistant.stub)
    async with running(home) as runtime:
        with pytest.raises(InvalidRequest, match="written by hand"):
            await runtime.handle(m.ForgetService(service="mine"))
        with pytest.raises(InvalidConfig, match=r"a service 'stub' stands in .* already"):
            await adopt(runtime)
        with pytest.raises(InvalidRequest, match="cannot be a service's name"):
            await adopt(runtime, service="target:log")
        assert "declared" not in file.read_text()
    async with running(home, Settings()) as runtime:
        with pytest.raises(InvalidRequest, match="not started with a settings file"):
            await adopt(runtime)


async def test_a_command_line_is_described_without_its_secrets(home: Path, assistant: Assistant) -> None:
    assistant.stub["args"].append("--token=swordfish")
    assistant.declare(stub=assistant.stub)
    async with running(home) as runtime:
        await adopt(runtime)
        await until(lambda: pid_of(runtime))
        told = str(await runtime.handle(m.QueryHealth()))
        assert STUB in told
        assert "swordfish" not in told
