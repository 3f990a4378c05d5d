"""What is read without git is what git itself says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.providers.git_cli import GitCli
from event_monitor.services.providers.local_git import LocalGit
from tests.services.repository_helper import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "clone")
    long = "".join(f"line {number}\n" for number in range(2_000))
    made.commit("First", big_txt=long, sub__deep__c_txt="inner\n")
    made.commit("Second\nstill the subject\n\nA body.\n", big_txt=long.replace("line 7\n", "changed\n"))
    made.git("checkout", "-q", "-b", "side/branch")
    made.commit("Aside", b_txt="side\n")
    made.git("checkout", "-q", "main")
    made.commit("Third", big_txt=long.replace("line 9\n", "changed again\n"))
    made.git("merge", "-q", "--no-ff", "-m", "Merge", "side/branch")
    made.git("tag", "-a", "v1", "-m", "one")
    return made


@pytest.mark.parametrize("form", ["loose", "packed", "packed by name", "mixed"])
async def test_says_what_git_says(repository: Repository, form: str) -> None:
    if form == "packed":
        repository.git("gc", "-q", "--aggressive")
    elif form == "packed by name":
        repository.git("-c", "repack.useDeltaBaseOffset=false", "repack", "-q", "-a", "-d", "-f")
        repository.git("pack-refs", "--all")
    elif form == "mixed":
        repository.git("gc", "-q")
        repository.commit("After", a_txt="new\n")
    paths = [str(repository.path)]
    ours, theirs = LocalGit(paths), GitCli(paths)
    for operation, arguments in (
        ("branches", {}),
        ("log", {}),
        ("log", {"ref": "side/branch", "limit": 2}),
        ("log", {"ref": "v1"}),
        ("show", {"ref": repository.git("rev-parse", "HEAD")}),
        ("show", {"ref": "HEAD"}),
        ("read_file", {"path": "big.txt"}),
        ("read_file", {"path": "big.txt", "ref": "side/branch"}),
        ("get_file_contents", {"path": "sub/deep/c.txt", "ref": "refs/heads/main"}),
    ):
        said = await ours.call(operation, **arguments)
        assert said == await theirs.call(operation, **arguments), operation
        assert said
    assert "changed again" in await ours.call("read_file", path="big.txt")


async def test_linked_work_trees_bare_and_borrowing_clones(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "-q", str(tmp_path / "tree"), "side/branch")
    repository.git("clone", "-q", "--bare", str(repository.path), str(tmp_path / "bare"))
    repository.git("clone", "-q", "--shared", str(repository.path), str(tmp_path / "shared"))
    repository.git("clone", "-q", "--depth=1", f"file://{repository.path}", str(tmp_path / "shallow"))
    for name, subject, count in (
        ("tree", "Aside", 3), ("bare", "Merge", 5), ("shared", "Merge", 5), ("shallow", "Merge", 1),
    ):  # fmt: skip
        log = await LocalGit([str(tmp_path / name)]).call("log")
        assert (log[0]["subject"], len(log)) == (subject, count), name


async def test_a_detached_head_and_an_empty_repository(repository: Repository, tmp_path: Path) -> None:
    repository.git("checkout", "-q", "--detach")
    found = await LocalGit([str(repository.path)]).call("branches")
    assert found["current"] is None and len(found["branches"]) == 2
    assert len(await LocalGit([str(repository.path)]).call("log")) == 5
    empty = Repository(tmp_path / "empty")
    assert (await LocalGit([str(empty.path)]).call("branches")) == {"current": "main", "branches": []}
    with pytest.raises(ServiceError, match="no branch, tag or commit 'HEAD'"):
        await LocalGit([str(empty.path)]).call("log")


async def test_damage_is_named(repository: Repository) -> None:
    ours = LocalGit([str(repository.path)])
    head = repository.git("rev-parse", "HEAD")
    loose = repository.path / ".git/objects" / head[:2] / head[2:]
    loose.chmod(0o600)
    content = loose.read_bytes()
    for damaged in (b"", b"garbage", content[: len(content) // 2]):
        loose.write_bytes(damaged)
        with pytest.raises(ServiceError, match=f"object {head}"):
            await ours.call("log")
    loose.write_bytes(content)
    repository.git("gc", "-q")
    pack = next((repository.path / ".git/objects/pack").glob("*.pack"))
    pack.chmod(0o600)
    os.truncate(pack, 30)
    with pytest.raises(ServiceError, match=f"object {head}"):
        await ours.call("log")


async def test_what_cannot_be_read_is_refused(repository: Repository, tmp_path: Path) -> None:
    ours = LocalGit([str(repository.path)])
    for operation, arguments, kind, complaint in (
        ("create_issue", {}, CallerError, "local_git cannot do 'create_issue'"),
        ("log", {"ref": "HEAD~1"}, CallerError, "not the name of"),
        ("log", {"path": "big.txt"}, CallerError, "one file's history"),
        ("log", {"ref": "0" * 40}, ServiceError, "not in this clone"),
        ("read_file", {"path": "sub"}, ServiceError, "not a file"),
        ("read_file", {"path": "big.txt/x"}, ServiceError, "no directory"),
        ("read_file", {"path": "absent"}, ServiceError, "not in this commit"),
        ("read_file", {"path": "../x"}, CallerError, "not a path inside"),
    ):
        with pytest.raises(kind, match=complaint):
            await ours.call(operation, **arguments)
    (repository.path / ".git" / "HEAD").write_text("ref: refs/../../../etc/passwd\n")
    with pytest.raises(ServiceError, match="no branch"):
        await ours.call("log")
    Repository(tmp_path / "long", "--object-format=sha256")
    with pytest.raises(ServiceError, match="only git itself"):
        await LocalGit([str(tmp_path / "long")]).call("log")
    with pytest.raises(ServiceError, match="not a git repository"):
        await LocalGit([str(tmp_path)]).call("log")
