"""The three fallback chains under a real runtime: a real server answers, dies, and answers again."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from event_monitor import messages as m
from event_monitor.config import FallbackSettings, ServiceSettings, Settings, StoreSettings
from event_monitor.model import SystemState
from event_monitor.paths import HomePaths
from event_monitor.resilience.fallback import Answer, FallbacksExhausted
from event_monitor.resilience.health import CheckKind
from event_monitor.runtime import Runtime
from event_monitor.services.guard import ServiceGuard
from tests.services.repository_helper import Repository
from tests.test_watched import kinds, service, until

STUB = Path(__file__).parent / "services" / "stub_server.py"


class Chain:
    """A runtime with one service behind one chain."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        self.runtime = runtime
        self.guard: ServiceGuard = runtime.services[name]

    async def call(self, operation: str, **arguments: Any) -> Answer[Any]:
        return await self.runtime.services[self.guard.name].call(operation, **arguments)

    async def end_server(self) -> None:
        """Have the server end itself; it is not started again by itself."""
        with contextlib.suppress(FallbacksExhausted):
            await self.guard.call("crash")
        await until(lambda: self.guard.service.describe()["pid"] is None)

    async def begin_server(self) -> None:
        """Start the server again and wait until it has been seen to answer: the verdicts of before may
        still be good while it starts."""
        await self.runtime.handle(m.RestartService(service=self.guard.name))
        await self.runtime.handle(m.SetBreaker(name=self.guard.name, action="reset"))
        began = asyncio.get_running_loop().time()
        await until(
            lambda: any(
                result.kind is CheckKind.READINESS and result.at >= began and result.error is None
                for _, result in self.guard.recent
            )
        )


def settings(name: str, *chain: str, **sections: Any) -> Settings:
    server = service(
        name=name,
        kind="mcp",
        command=(sys.executable, str(STUB), "--any"),
        fallback=chain,
        retry={"max_retries": 0},
        restart={"enabled": False},
    )
    watched = msgspec.convert(msgspec.to_builtins(server), ServiceSettings)
    return Settings(
        store=StoreSettings(durability="normal"), services=(watched,), fallback=FallbackSettings(**sections)
    )


@contextlib.asynccontextmanager
async def running(home: Path, chosen: Settings) -> AsyncIterator[Chain]:
    runtime = await Runtime.start(HomePaths(str(home)), chosen)
    try:
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        yield Chain(runtime, chosen.services[0].name)
    finally:
        await runtime.stop()


def stale(answer: Answer[Any], source: str, asked_at: float) -> bool:
    """Whether an answer says that it is old, and how old: as old as the time since ``asked_at``."""
    since = asyncio.get_running_loop().time() - asked_at
    return answer.source == source and answer.degraded and answer.stale and 0 < answer.age <= since


async def test_filesystem(home: Path, tmp_path: Path) -> None:
    inside, outside = tmp_path / "root" / "a.txt", tmp_path / "b.txt"
    inside.parent.mkdir()
    inside.write_text("on disk")
    outside.write_text("on disk")
    chosen = settings("filesystem", "mcp.filesystem", roots=(str(inside.parent),))
    async with running(home, chosen) as chain:
        asked_at = asyncio.get_running_loop().time()
        first = await chain.call("read_file", path=str(outside))
        assert (first.source, first.degraded, first.stale) == ("filesystem", False, False)
        assert "read_file" in str(first.value)
        await chain.end_server()
        local = await chain.call("read_file", path=str(inside))
        assert (local.value, local.source, local.degraded, local.stale) == (
            "on disk",
            "local_fs",
            True,
            False,
        )
        await chain.call("write_file", path=str(inside), content="written")
        assert inside.read_text() == "written"
        remembered = await chain.call("read_file", path=str(outside))
        assert stale(remembered, "cached_fs", asked_at)
        assert remembered.value == first.value
        with pytest.raises(FallbacksExhausted, match=r"cached_fs: .*readonly_fs: "):
            await chain.call("read_file", path="/etc/hostname")


async def test_filesystem_that_may_only_be_read(home: Path, tmp_path: Path) -> None:
    note = tmp_path / "root" / "a.txt"
    note.parent.mkdir()
    note.write_text("on disk")
    chosen = settings("filesystem", "cached_fs", "readonly_fs", roots=(str(note.parent),))
    async with running(home, chosen) as chain:
        await chain.end_server()
        answer = await chain.call("read_file", path=str(note))
        assert (answer.value, answer.source, answer.stale) == ("on disk", "readonly_fs", False)
        with pytest.raises(FallbacksExhausted, match="readonly_fs"):
            await chain.call("write_file", path=str(note), content="written")
        assert note.read_text() == "on disk"


async def test_github(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(tmp_path / "clone")
    sha = repository.commit("First", a_txt="one\n")
    chosen = settings("github", "mcp.github", repositories=(str(repository.path),))
    async with running(home, chosen) as chain:
        asked_at = asyncio.get_running_loop().time()
        issue = await chain.call("get_issue", issue_number=7)
        await chain.end_server()
        commits = await chain.call("list_commits", repo="clone")
        assert (commits.value[0]["sha"], commits.source) == (sha, "git_cli")
        remembered = await chain.call("get_issue", issue_number=7)
        assert stale(remembered, "cached_data", asked_at)
        assert remembered.value == issue.value
        monkeypatch.setenv("PATH", str(tmp_path))
        commits = await chain.call("list_commits", repo="clone")
        assert (commits.value[0]["sha"], commits.source, commits.degraded) == (sha, "local_git", True)
        with pytest.raises(FallbacksExhausted, match="cached_data: "):
            await chain.call("get_issue", issue_number=8)


async def test_web_search(home: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("all about lamps\n")
    chosen = settings("web_search", "web_search", docs=(str(tmp_path / "docs"),))
    async with running(home, chosen) as chain:
        asked_at = asyncio.get_running_loop().time()
        first = await chain.call("search", query="weather")
        await chain.end_server()
        remembered = await chain.call("search", query="weather")
        assert stale(remembered, "cached_search", asked_at)
        assert remembered.value == first.value
        docs = await chain.call("search", query="lamps")
        assert (docs.source, docs.degraded) == ("local_docs", True)
        assert "all about lamps" in str(docs.value)
        nothing = await chain.call("search", query="zeppelins")
        assert (nothing.source, nothing.value["error"]) == ("error_message", "unavailable")


async def test_degraded_mode_lasts_from_the_first_fallback_answer_to_the_servers_next(
    home: Path, tmp_path: Path
) -> None:
    note = tmp_path / "a.txt"
    note.write_text("on disk")
    chosen = settings("filesystem", "mcp.filesystem", roots=(str(tmp_path),))
    async with running(home, chosen) as chain:
        runtime = chain.runtime
        await chain.end_server()
        assert (await runtime.handle(m.QueryHealth())).services[0].fallback is None
        assert await kinds(runtime, "fallback.*") == []
        for _ in range(2):
            await chain.call("read_file", path=str(note))
        await until(lambda: runtime.machine.state is SystemState.DEGRADED)
        assert (await runtime.handle(m.QueryHealth())).services[0].fallback == "local_fs"
        (row,) = (await runtime.handle(m.GetSnapshot())).services
        assert row.fallback == "local_fs"
        await chain.begin_server()
        await until(chain.guard.is_well)
        assert (await runtime.handle(m.QueryHealth())).services[0].fallback == "local_fs"
        await until(lambda: runtime.machine.state is SystemState.DEGRADED)
        again = await chain.call("read_file", path=str(note))
        assert (again.source, again.degraded) == ("filesystem", False)
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        assert await kinds(runtime, "fallback.*") == ["fallback.began", "fallback.ended"]
        assert (await runtime.handle(m.QueryHealth())).services[0].fallback is None
