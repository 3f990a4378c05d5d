"""One runtime a home: a lock that lives exactly as long as its owner."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from event_monitor.control.lock import HomeLock
from event_monitor.errors import AlreadyRunning

OWNER = """
import sys
from pathlib import Path
from event_monitor.control.lock import HomeLock
lock = HomeLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


def owner(path: Path) -> subprocess.Popen[bytes]:
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"locked\n"
    return process


def test_43_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "home" / "event-bus" / "lock"
    with owner(path) as other:
        with pytest.raises(AlreadyRunning, match=f"process id {other.pid} runs on {tmp_path}/home") as caught:
            HomeLock(path)
        assert caught.value.advice
        assert path.read_text() == f"{other.pid}\n"
        other.kill()
    HomeLock(path).release()


def test_a_dead_owner_s_lock_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with owner(path) as other:
        other.kill()
    lock = HomeLock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    with pytest.raises(AlreadyRunning, match=f"process id {os.getpid()} "):
        HomeLock(path)
    lock.release()
    lock.release()
    HomeLock(path).release()


def test_what_a_longer_number_left_behind_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("99999999999999\n")
    lock = HomeLock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_noise_in_the_file_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with owner(path) as other:
        path.write_bytes(b"\xff\x1b[31m\n")
        with pytest.raises(AlreadyRunning) as caught:
            HomeLock(path)
        assert str(caught.value).isprintable()
        other.kill()


def test_the_lock_and_its_directory_are_the_owner_s_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "event-bus" / "lock"
        lock = HomeLock(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    lock.release()


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = HomeLock(path)
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print('runs', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == b"runs\n"
        lock.release()
        HomeLock(path).release()
        child.kill()
