"""The three chains answer in their order, and a name that does not exist is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from event_monitor.config import FallbackSettings
from event_monitor.errors import InvalidConfig
from event_monitor.resilience.fallback import AnswerCache, FallbackChain, FallbacksExhausted
from event_monitor.services.base import ServiceDown
from event_monitor.services.providers import CHAINS, make_steps
from tests.services.repository_helper import Repository


async def down(operation: str, **arguments: Any) -> Any:
    raise ServiceDown("the service is down")


def chain(service: str, settings: FallbackSettings) -> FallbackChain:
    cache = AnswerCache(lambda: 0.0)
    return FallbackChain(service, make_steps(CHAINS[service], settings, cache, service), cache)


def test_the_chains_are_those_that_were_asked_for() -> None:
    assert dict(CHAINS) == {
        "mcp.filesystem": ("local_fs", "cached_fs", "readonly_fs"),
        "mcp.github": ("git_cli", "local_git", "cached_data"),
        "web_search": ("cached_search", "local_docs", "error_message"),
    }
    for service in CHAINS:
        assert [step.name for step in chain(service, FallbackSettings()).steps] == list(CHAINS[service])


async def test_files_are_read_locally_when_the_service_is_down(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    filesystem = chain("mcp.filesystem", FallbackSettings(roots=(str(tmp_path),)))
    answer = await filesystem.call(down, "read_file", path=str(tmp_path / "a.txt"))
    assert (answer.value, answer.source, answer.degraded, answer.stale) == ("text", "local_fs", True, False)
    with pytest.raises(FallbacksExhausted, match="outside the directories"):
        await filesystem.call(down, "read_file", path="/etc/passwd")


async def test_without_git_the_repository_is_read_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository(tmp_path / "clone")
    sha = repository.commit("First", a_txt="one\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    github = chain("mcp.github", FallbackSettings(repositories=(str(repository.path),)))
    answer = await github.call(down, "list_commits", repo="clone")
    assert (answer.value[0]["sha"], answer.source, answer.degraded) == (sha, "local_git", True)


async def test_a_search_ends_with_a_word_of_what_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("about lamps\n")
    search = chain("web_search", FallbackSettings(docs=(str(tmp_path),)))
    found = await search.call(down, "search", query="lamps")
    assert (found.source, found.value["results"][0]["line"]) == ("local_docs", 1)
    last = await search.call(down, "search", query="zebras")
    assert (last.source, last.degraded, last.value["error"]) == ("error_message", True, "unavailable")


def test_an_unknown_or_repeated_provider_is_refused() -> None:
    cache = AnswerCache(lambda: 0.0)
    with pytest.raises(InvalidConfig, match=r"'files' names the unknown provider 'local_sf'.*local_fs"):
        make_steps(["local_sf"], FallbackSettings(), cache, "files")
    with pytest.raises(InvalidConfig, match="twice"):
        make_steps(["local_fs", "local_fs"], FallbackSettings(), cache)
