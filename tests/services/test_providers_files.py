"""Files below the roots are reached; nothing else is, however the path or the directory is bent."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.providers.confined import Roots, read_limited
from event_monitor.services.providers.files import MAX_FILE_BYTES, LocalFiles

SECRET = "outside the roots"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("one\ntwo\nthree\n")
    (root / "sub" / "b.md").write_text("inner")
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "secret").write_text(SECRET)
    (tmp_path / "secret").write_text(SECRET)
    return root


@pytest.fixture
def files(root: Path) -> LocalFiles:
    return LocalFiles([str(root)], writable=True)


async def test_reads_lists_searches_and_describes(files: LocalFiles, root: Path) -> None:
    assert await files.call("read_file", path=str(root / "a.txt")) == "one\ntwo\nthree\n"
    assert await files.call("read_file", path="sub/../a.txt", head=1) == "one\n"
    assert await files.call("read_text_file", path="a.txt", tail=2) == "two\nthree\n"
    assert await files.call("list_directory", path=".") == {
        "entries": [{"name": "a.txt", "type": "file"}, {"name": "sub", "type": "directory"}],
        "truncated": False,
    }
    assert (await files.call("search_files", path=".", pattern="B.md"))["matches"] == [
        str(root / "sub" / "b.md")
    ]
    assert (await files.call("search_files", pattern="sub/*.md"))["matches"] == [str(root / "sub" / "b.md")]
    assert (await files.call("get_file_info", path="a.txt"))["size"] == 14
    assert (await files.call("get_file_info", path=str(root)))["type"] == "directory"
    both = await files.call("read_multiple_files", paths=["sub/b.md", "../secret"])
    assert both[0] == {"path": "sub/b.md", "text": "inner"}
    assert "outside" in both[1]["error"] and SECRET not in str(both)
    assert await files.call("tools/call", name="read_file", arguments={"path": "sub/b.md"}) == "inner"


async def test_writes_atomically_and_keeps_the_mode(files: LocalFiles, root: Path) -> None:
    script = root / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    outside = root.parent / "secret"
    os.link(outside, root / "linked")
    await files.call("write_file", path="run.sh", content="new")
    await files.call("write_file", path="linked", content="new")
    await files.call("create_directory", path="x/y")
    await files.call("write_file", path="x/y/z.txt", content="deep")
    assert script.read_text() == "new" and script.stat().st_mode & 0o777 == 0o750
    assert outside.read_text() == SECRET
    assert (root / "x/y/z.txt").read_text() == "deep"
    assert [path.name for path in root.rglob(".event-monitor-*")] == []


async def test_readonly_refuses_every_write(root: Path) -> None:
    files = LocalFiles([str(root)], writable=False, name="readonly_fs")
    assert await files.call("read_file", path="sub/b.md") == "inner"
    for operation in ("write_file", "create_directory"):
        with pytest.raises(CallerError, match="readonly_fs changes nothing"):
            await files.call(operation, path="new", content="x")
    assert not (root / "new").exists()


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "/etc/passwd",
        "sub/../../secret",
        "../root-beside/secret",
        "a\0b",
        "",
        "\ud800",
        "//etc/passwd",
    ],
)
async def test_a_path_outside_is_refused(files: LocalFiles, path: str) -> None:
    for operation in ("read_file", "write_file", "list_directory", "create_directory", "get_file_info"):
        with pytest.raises(CallerError):
            await files.call(operation, path=path, content="x")


async def test_links_are_not_followed(files: LocalFiles, root: Path) -> None:
    (root / "file-link").symlink_to(root.parent / "secret")
    (root / "dir-link").symlink_to(root.parent)
    for path in ("file-link", "dir-link/secret", "dir-link/../secret"):
        with pytest.raises((ServiceError, CallerError)):
            await files.call("read_file", path=path)
    for path in ("file-link", "dir-link/new", "dir-link/secret"):
        with pytest.raises(ServiceError, match="links are not followed"):
            await files.call("write_file", path=path, content="x")
    with pytest.raises(ServiceError):
        await files.call("list_directory", path="dir-link")
    with pytest.raises(ServiceError):
        await files.call("create_directory", path="dir-link/new")
    assert (await files.call("search_files", pattern="secret"))["matches"] == []
    assert (await files.call("get_file_info", path="file-link"))["type"] == "link"
    assert (root.parent / "secret").read_text() == SECRET and not (root.parent / "new").exists()


async def test_pipes_and_devices_are_refused_at_once(files: LocalFiles, root: Path) -> None:
    os.mkfifo(root / "pipe")
    for operation in ("read_file", "write_file"):
        with pytest.raises(ServiceError, match="not a regular file"):
            await files.call(operation, path="pipe", content="x")


async def test_huge_and_binary_files(files: LocalFiles, root: Path) -> None:
    line = "0123456789\n"
    (root / "huge").write_text(line * (MAX_FILE_BYTES // len(line) + 100) + "the end\n")
    (root / "sparse").touch()
    os.truncate(root / "sparse", 1 << 40)
    (root / "feeds").write_text("one\x0cstill one\u2028so\ntwo\n")
    assert await files.call("read_file", path="feeds", head=1) == "one\x0cstill one\u2028so\n"
    (root / "binary").write_bytes(b"\x7fELF\0\0")
    (root / "latin").write_bytes(b"caf\xe9")
    for name in ("huge", "sparse"):
        with pytest.raises(ServiceError, match="larger than 1,000,000 bytes"):
            await files.call("read_file", path=name)
    assert await files.call("read_file", path="huge", head=2) == line * 2
    assert await files.call("read_file", path="huge", tail=2) == line + "the end\n"
    (root / "one-line").write_text("x" * (MAX_FILE_BYTES + 5))
    for name, wanted in (
        ("huge", {"head": 200_000}),
        ("huge", {"tail": 200_000}),
        ("one-line", {"head": 1}),
        ("one-line", {"tail": 1}),
    ):
        with pytest.raises(ServiceError, match="ask for fewer"):
            await files.call("read_file", path=name, **wanted)
    for name in ("binary", "latin"):
        with pytest.raises(ServiceError, match=r"binary|UTF-8"):
            await files.call("read_file", path=name)
    with pytest.raises(CallerError, match="larger"):
        await files.call("write_file", path="new", content="x" * (MAX_FILE_BYTES + 1))


async def test_what_a_call_may_not_say(files: LocalFiles) -> None:
    for operation, arguments, complaint in (
        ("read_file", {}, "path is missing"),
        ("read_file", {"path": 3}, "path must be text"),
        ("read_file", {"path": "a.txt", "head": True}, "head must be a whole number"),
        ("read_file", {"path": "a.txt", "head": 1, "tail": 1}, "cannot both"),
        ("search_files", {"pattern": "*" * 201}, "1 to 200"),
        ("format_disk", {}, "cannot do 'format_disk'; it knows create_directory"),
    ):
        with pytest.raises(CallerError, match=complaint):
            await files.call(operation, **arguments)
    with pytest.raises(CallerError, match=r"fallback\.roots"):
        await LocalFiles([], writable=False).call("read_file", path="/etc/passwd")
    with pytest.raises(ServiceError, match="No such file"):
        await files.call("read_file", path="absent")


async def test_a_cancelled_write_leaves_the_old_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on = threading.Event(), threading.Event()
    sync = os.fsync

    def slow_sync(descriptor: int) -> None:
        reached.set()
        go_on.wait()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", slow_sync)
    call = asyncio.create_task(
        LocalFiles([str(root)], writable=True).call("write_file", path="a.txt", content="x")
    )
    await asyncio.to_thread(reached.wait)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    go_on.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert (root / "a.txt").read_text().startswith("one")
    assert [path.name for path in root.rglob(".event-monitor-*")] == []


def test_a_directory_swapped_for_a_link_gives_nothing_away(root: Path) -> None:
    """One thread swaps a directory and a link to the outside as fast as it can."""
    real, aside, link = root / "sub", root / "aside", root / "link"
    (real / "secret").write_text("inside")
    link.symlink_to(root.parent)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            os.rename(real, aside)
            os.rename(link, real)
            os.rename(real, link)
            os.rename(aside, real)

    roots = Roots([str(root)])
    place = roots.locate("sub/secret")
    seen = set()
    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(3_000):
            try:
                with roots.file(place) as descriptor:
                    seen.add(read_limited(descriptor, 100))
            except ServiceError:
                continue
    finally:
        done.set()
        swapper.join()
    assert seen == {b"inside"}


COMPONENTS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "sub",
        "a.txt",
        "secret",
        "dir-link",
        "file-link",
        "up-link",
        "root",
        "root-beside",
        "/",
        "~",
    ]
) | st.text(max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(parts=st.lists(COMPONENTS, max_size=8), absolute=st.sampled_from(["", "/", "//", "root", "tmp"]))
def test_no_path_escapes(root: Path, parts: list[str], absolute: str) -> None:
    if not (root / "up-link").is_symlink():
        (root / "up-link").symlink_to("..")
        (root / "dir-link").symlink_to(root.parent)
        (root / "file-link").symlink_to(root.parent / "secret")
    before = {"root": f"{root}/", "tmp": f"{root.parent}/"}.get(absolute, absolute)
    path = before + "/".join(parts)
    roots = Roots([str(root)])
    try:
        place = roots.locate(path)
    except CallerError:
        return
    assert ".." not in place.parts
    try:
        with roots.file(place) as descriptor:
            assert read_limited(descriptor, 100) in (b"one\ntwo\nthree\n", b"inner")
            named = os.stat(os.path.realpath(place.path))
            assert os.path.realpath(place.path).startswith(f"{os.path.realpath(root)}/")
            assert named.st_ino == os.fstat(descriptor).st_ino
    except (ServiceError, CallerError):
        return
