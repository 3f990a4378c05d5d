"""Git answers from a clone, in time, and runs nothing on the repository's behalf."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.providers.git_cli import GitCli
from tests.services.repository_helper import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "clone")
    made.commit("First", a_txt="one\n")
    made.commit("", b_txt="needle\n", sub__c_txt="a needle here\n")
    made.git("branch", "other")
    made.commit("Third\n\nWith a body.", a_txt="two\n", d_bin=b"\0\1")
    made.git("remote", "add", "origin", "https://code.example.org/ada/engine.git")
    return made


@pytest.fixture
def git(repository: Repository) -> GitCli:
    return GitCli([str(repository.path)])


async def test_answers_from_the_clone(git: GitCli, repository: Repository) -> None:
    head, other = repository.git("rev-parse", "main"), repository.git("rev-parse", "other")
    assert await git.call("list_branches", owner="ada", repo="engine") == {
        "current": "main",
        "branches": [{"name": "main", "sha": head}, {"name": "other", "sha": other}],
    }
    log = await git.call("list_commits", repo="clone")
    assert [commit["subject"] for commit in log] == ["Third", "", "First"]
    assert log[0] == {
        "sha": head,
        "author": "Ada Example",
        "date": "2023-11-14T22:16:20.000000Z",
        "subject": "Third",
    }
    assert [one["sha"] for one in await git.call("log", sha="other", perPage=1)] == [other]
    assert len(await git.call("log", path="a.txt")) == 2
    shown = await git.call("get_commit", sha=head)
    assert (shown["parents"], shown["message"]) == ([other], "Third\n\nWith a body.")
    assert await git.call("get_file_contents", path="/a.txt") == "two\n"
    assert await git.call("get_file_contents", path="a.txt", ref="other") == "one\n"
    assert await git.call("search_code", query="needle") == [
        {"file": "b.txt", "line": 1, "text": "needle"},
        {"file": "sub/c.txt", "line": 1, "text": "a needle here"},
    ]
    assert await git.call("search_code", query="absent") == []
    assert "+two" in await git.call("diff", base="other", head="main")
    (repository.path / "new.txt").write_text("x")
    assert await git.call("status") == {"branch": "main", "changes": [{"status": "??", "path": "new.txt"}]}


async def test_runs_nothing_that_the_repository_names(
    git: GitCli, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = repository.path.parent / "ran"
    script = repository.path.parent / "script"
    script.write_text(f"#!/bin/sh\necho ran >> {trace}\ncat\n")
    script.chmod(0o755)
    program = str(script)
    for key in (
        "core.pager",
        "core.fsmonitor",
        "core.sshCommand",
        "core.editor",
        "diff.external",
        "diff.x.textconv",
        "diff.x.command",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
        "gpg.program",
        "credential.helper",
        "pager.log",
        "pager.status",
        "interactive.diffFilter",
        "alias.log",
    ):
        repository.git("config", key, f"!{program}" if key == "alias.log" else program)
    repository.git("config", "log.showSignature", "true")
    repository.git("config", "filter.x.required", "true")
    for variable in ("GIT_PAGER", "PAGER", "GIT_EXTERNAL_DIFF", "GIT_SSH_COMMAND", "GIT_ASKPASS"):
        monkeypatch.setenv(variable, program)
    hooks = repository.path / ".git" / "hooks"
    for hook in ("post-index-change", "fsmonitor-watchman", "post-checkout", "reference-transaction"):
        (hooks / hook).write_bytes(script.read_bytes())
        (hooks / hook).chmod(0o755)
    (repository.path / ".gitattributes").write_text("* filter=x diff=x\n")
    (repository.path / "a.txt").write_text("six\n")
    os.utime(repository.path / "b.txt", (1, 1))
    trace.unlink(missing_ok=True)
    for operation, arguments in (
        ("status", {}),
        ("log", {}),
        ("get_commit", {}),
        ("diff", {"base": "other", "head": "main"}),
        ("search_code", {"query": "needle"}),
        ("get_file_contents", {"path": "a.txt"}),
        ("branches", {}),
    ):
        await git.call(operation, **arguments)
    assert not trace.exists()


@pytest.mark.parametrize(
    "reference", ["--output=/tmp/x", "-n1", "a..b", "a:b", "../x", "x@{1}", "", "a\nb", "a b"]
)
async def test_a_reference_is_never_an_option_or_a_range(git: GitCli, reference: str) -> None:
    for operation in ("log", "show", "get_file_contents"):
        with pytest.raises(CallerError, match="not the name of"):
            await git.call(operation, ref=reference, path="a.txt")


async def test_what_git_or_the_call_gets_wrong_is_said(
    git: GitCli, repository: Repository, tmp_path: Path
) -> None:
    with pytest.raises(ServiceError, match="git log: fatal"):
        await git.call("log", ref="absent")
    with pytest.raises(ServiceError, match="binary"):
        await git.call("get_file_contents", path="d.bin")
    with pytest.raises(CallerError, match="git_cli cannot do 'create_issue'"):
        await git.call("create_issue", title="x")
    with pytest.raises(CallerError, match=r"names none of fallback\.repositories"):
        await git.call("log", owner="eve", repo="engine")
    with pytest.raises(CallerError, match="names none"):
        await git.call("log", repository=str(tmp_path))
    with pytest.raises(CallerError, match="not a path inside"):
        await git.call("get_file_contents", path="../x")
    with pytest.raises(CallerError, match=r"fallback\.repositories"):
        await GitCli([]).call("log")
    inside = repository.path / "sub"
    with pytest.raises(ServiceError, match="not a git repository"):
        await GitCli([str(inside)]).call("log")


async def test_a_huge_answer_is_refused(git: GitCli, repository: Repository) -> None:
    repository.commit("huge", huge_txt="x" * 79 + "\n" + ("x" * 79 + "\n") * 60_000)
    with pytest.raises(ServiceError, match="more than 4,000,000 bytes"):
        await git.call("get_file_contents", path="huge.txt")


async def test_a_git_that_hangs_is_killed_with_its_group(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipe ends only when the last process that holds it is gone."""
    programs, pipe = tmp_path / "bin", tmp_path / "pipe"
    programs.mkdir()
    os.mkfifo(pipe)
    (programs / "git").write_text(f"#!/bin/sh\nexec 3>{pipe}\necho runs >&3\nsleep 600 &\nwait\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    ended = asyncio.create_task(asyncio.to_thread(pipe.read_text))
    with pytest.raises(ServiceError, match=r"within 0\.5 s"):
        await GitCli([str(repository.path)], timeout=0.5).call("log")
    async with asyncio.timeout(5):
        assert await ended == "runs\n"

    call = asyncio.create_task(GitCli([str(repository.path)]).call("log"))
    reader = await asyncio.to_thread(pipe.open)
    with reader:
        assert await asyncio.to_thread(reader.readline) == "runs\n"
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(reader.read) == ""
