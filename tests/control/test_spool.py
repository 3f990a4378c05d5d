from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor import spooling
from event_monitor.control.spool import MAX_ENTRY_BYTES, Spool, SpoolEntry
from event_monitor.errors import InvalidEvent
from event_monitor.model import Priority


def put(directory: Path, kind: str, data: bytes, age: int = 0) -> str:
    name = f"{10**18 - age:020d}-77-{os.urandom(8).hex()}.{kind}"
    spooling.write_entry(str(directory), name, [data])
    return name


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "home" / "event-bus" / "spool"


def test_nothing_spooled_is_no_entry(directory: Path) -> None:
    assert Spool(directory).entries(10) == []
    assert not directory.exists()


def test_an_entry_is_private_and_whole(directory: Path) -> None:
    name = spooling.entry_name("hook")
    old = os.umask(0)
    try:
        spooling.write_entry(str(directory), name, [b"one ", b"", b"two"])
    finally:
        os.umask(old)
    file = directory / "new" / name
    assert file.read_bytes() == b"one two"
    assert mode(file) == 0o600
    assert [mode(path) for path in (directory, directory / "new", directory / "tmp", directory.parent)] == [
        0o700
    ] * 4
    assert list((directory / "tmp").iterdir()) == []


def test_a_failed_write_leaves_nothing(directory: Path) -> None:
    def chunks() -> object:
        yield b"begun"
        raise OSError("stdin broke")

    with pytest.raises(OSError, match="stdin broke"):
        spooling.write_entry(str(directory), spooling.entry_name("hook"), chunks())  # type: ignore[arg-type]
    assert list((directory / "tmp").iterdir()) == []
    assert list((directory / "new").iterdir()) == []


def test_a_home_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        spooling.write_entry(str(tmp_path / "file" / "spool"), spooling.entry_name("hook"), [b"x"])


def test_entries_are_oldest_first_and_limited(directory: Path) -> None:
    names = [put(directory, kind, b"{}", age) for age, kind in ((1, "hook"), (30, "event"), (20, "lines"))]
    spool = Spool(directory)
    assert [entry.name for entry in spool.entries(10)] == [names[1], names[2], names[0]]
    assert [entry.kind for entry in spool.entries(2)] == ["event", "lines"]


def test_foreign_files_and_links_are_passed_over(directory: Path, tmp_path: Path) -> None:
    name = put(directory, "hook", b"{}")
    secret = tmp_path / "secret"
    secret.write_text('{"hook_event_name": "Stop"}')
    new = directory / "new"
    (new / "README").write_text("foreign")
    (new / name.replace(".hook", ".exe")).write_text("foreign")
    (new / f"{1:020d}-1-ab.hook").symlink_to(secret)
    (new / f"{2:020d}-1-ab.hook").mkdir()
    os.mkfifo(new / f"{3:020d}-1-ab.hook")
    assert [entry.name for entry in Spool(directory).entries(10)] == [name]


def test_a_link_that_takes_an_entrys_place_is_not_followed(directory: Path, tmp_path: Path) -> None:
    name = put(directory, "hook", b"{}")
    spool = Spool(directory)
    (entry,) = spool.entries(1)
    file = directory / "new" / name
    file.unlink()
    file.symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("{}")
    with pytest.raises(OSError):
        spool.read(entry)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(InvalidEvent, match="not a file"):
        spool.read(entry)


def test_a_hook_is_translated_with_its_key(directory: Path) -> None:
    name = put(directory, "hook", b'{"hook_event_name": "Stop"}')
    spool = Spool(directory)
    (event,) = spool.read(spool.entries(1)[0])
    assert (event.event_type, event.key) == ("turn.done", f"spool:{name}")


def test_a_huge_hook_is_kept_as_unreadable(directory: Path) -> None:
    name = put(directory, "hook", b"")
    os.truncate(directory / "new" / name, MAX_ENTRY_BYTES + 10)
    spool = Spool(directory)
    (event,) = spool.read(spool.entries(1)[0])
    assert event.event_type == "hook.unreadable"
    assert event.payload["bytes"] == MAX_ENTRY_BYTES + 10


def test_an_event_keeps_its_own_key(directory: Path) -> None:
    message = {
        "do": "publish_text",
        "event_type": "a.b",
        "payload": '{"x": 1}',
        "priority": "high",
        "ttl": "2.5",
        "source": "me",
    }
    put(directory, "event", json.dumps(message | {"key": "mine"}).encode(), 2)
    name = put(directory, "event", json.dumps(message).encode(), 1)
    spool = Spool(directory)
    mine, other = (spool.read(entry)[0] for entry in spool.entries(2))
    assert (mine.event_type, mine.payload, mine.priority, mine.ttl) == ("a.b", {"x": 1}, Priority.HIGH, 2.5)
    assert (mine.source, mine.key) == ("me", "mine")
    assert other.key == f"spool:{name}"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"do":"ping"}', b'{"do":"publish_text","event_type":"a","payload":"["}', b"\xff"]
)
def test_a_broken_event_is_refused(directory: Path, data: bytes) -> None:
    put(directory, "event", data)
    spool = Spool(directory)
    with pytest.raises(InvalidEvent):
        spool.read(spool.entries(1)[0])


def test_lines_are_events_and_a_bad_one_is_kept(directory: Path) -> None:
    data = b'{"event_type":"a.b","payload":{"n":1}}\n\nnonsense\n{"event_type":"c.d","key":"mine","id":7}'
    name = put(directory, "lines", data)
    spool = Spool(directory)
    first, bad, last = spool.read(spool.entries(1)[0])
    assert (first.event_type, first.payload, first.key) == ("a.b", {"n": 1}, f"spool:{name}:1")
    assert (bad.event_type, bad.key) == ("spool.unreadable", f"spool:{name}:3")
    assert (bad.payload["line"], bad.payload["head"]) == (3, "nonsense")
    assert (last.event_type, last.key) == ("c.d", "mine")


def test_done_forgets_and_reject_keeps(directory: Path) -> None:
    put(directory, "hook", b"{}", 2)
    name = put(directory, "event", b"broken", 1)
    spool = Spool(directory)
    done, bad = spool.entries(2)
    spool.done(done)
    spool.done(done)
    spool.reject(bad, "not a publish message")
    assert spool.entries(2) == []
    assert (directory / "bad" / name).read_bytes() == b"broken"
    assert (directory / "bad" / f"{name}.why").read_text() == "not a publish message\n"
    assert mode(directory / "bad") == 0o700


def test_drafts_of_killed_writers_are_removed_after_a_day(directory: Path) -> None:
    put(directory, "hook", b"{}")
    stale, fresh, foreign = (
        directory / "tmp" / n for n in (f"{1:020d}-1-ab.hook", f"{2:020d}-1-ab.hook", "notes")
    )
    for path, changed in ((stale, 1_000), (fresh, 80_000), (foreign, 0)):
        path.write_text("")
        os.utime(path, (changed, changed))
    Spool(directory, now=lambda: 1_000 + 86_401).entries(1)
    assert sorted(path.name for path in (directory / "tmp").iterdir()) == sorted([fresh.name, foreign.name])


def test_a_missing_entry_says_so(directory: Path) -> None:
    put(directory, "hook", b"{}")
    with pytest.raises(FileNotFoundError):
        Spool(directory).read(SpoolEntry(f"{1:020d}-1-ab.hook", "hook"))


@settings(deadline=None)
@given(st.binary(max_size=2_000))
def test_any_hook_input_comes_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    directory = tmp_path_factory.mktemp("spool")
    put(directory, "hook", data)
    spool = Spool(directory)
    (entry,) = spool.entries(2)
    assert len(spool.read(entry)) == 1
    spool.done(entry)
    assert spool.entries(2) == []
