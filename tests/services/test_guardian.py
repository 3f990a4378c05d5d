"""No child outlives the monitor, however that ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from event_monitor.services.guardian import CannotStart, Guardian
from tests.processes import wait_for
from tests.services.groups import members


class Recorder(asyncio.SubprocessProtocol):
    """Keeps what a child writes, and tells when it has ended."""

    def __init__(self) -> None:
        self.output: dict[int, bytes] = {1: b"", 2: b""}
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.output[fd] += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


@pytest.fixture
async def guardian() -> AsyncIterator[Guardian]:
    guardian = Guardian()
    yield guardian
    await guardian.close()


def test_sigkill_of_the_parent_leaves_no_child_behind() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.services.guarded_parent"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        guard, *groups = (int(word) for word in parent.stdout.readline().split())
    assert len(groups) == 2
    assert all(wait_for(lambda group=group: members(group)) for group in groups)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(members(group) for group in (*groups, guard)), timeout=10)


async def test_a_child_gets_its_arguments_input_and_environment(guardian: Guardian) -> None:
    transport, child = await guardian.spawn(
        Recorder,
        ["sh", "-c", 'cat; echo "$1:$SECRET" >&2', "-", "a b"],
        {**os.environ, "SECRET": "s"},
        None,
        talks=True,
    )
    pipe = transport.get_pipe_transport(0)
    assert isinstance(pipe, asyncio.WriteTransport)
    pipe.write(b"said\n")
    pipe.close()
    await child.ended
    assert child.output == {1: b"said\n", 2: b"a b:s\n"}


async def test_a_child_without_input_reads_nothing(guardian: Guardian) -> None:
    _, child = await guardian.spawn(
        Recorder, ["sh", "-c", "cat; echo end >&2"], os.environ, None, talks=False
    )
    await child.ended
    assert child.output[1] == b"end\n"


async def test_closing_ends_what_is_still_held_and_released_groups_are_left_alone(guardian: Guardian) -> None:
    held, _ = await guardian.spawn(Recorder, ["sleep", "600"], os.environ, None, talks=True)
    freed, _ = await guardian.spawn(Recorder, ["sleep", "601"], os.environ, None, talks=True)
    third, _ = await guardian.spawn(Recorder, ["sleep", "602"], os.environ, None, talks=True)
    guardian.release(freed.get_pid())
    assert guardian.groups == {held.get_pid(), third.get_pid()}
    await guardian.close()
    try:
        assert not members(held.get_pid()) and not members(third.get_pid())
        assert members(freed.get_pid())
    finally:
        freed.kill()


async def test_a_killed_guardian_is_replaced_and_knows_the_old_children(guardian: Guardian) -> None:
    first, _ = await guardian.spawn(Recorder, ["sleep", "600"], os.environ, None, talks=True)
    assert guardian.pid is not None
    os.kill(guardian.pid, signal.SIGKILL)
    await asyncio.to_thread(wait_for, lambda: guardian.pid is None)
    second, _ = await guardian.spawn(Recorder, ["sleep", "600"], os.environ, None, talks=True)
    assert guardian.pid is not None
    await guardian.close()
    assert not members(first.get_pid()) and not members(second.get_pid())


async def test_it_is_started_with_the_first_child_only(guardian: Guardian) -> None:
    assert guardian.pid is None
    with pytest.raises(CannotStart, match="not found on PATH"):
        await guardian.spawn(Recorder, ["no-such-command-here"], os.environ, None, talks=True)
    assert guardian.pid is None


@pytest.mark.parametrize(
    ("command", "cwd", "message"),
    [
        (["/no/such/program"], None, "does not exist"),
        (["/etc/passwd"], None, "may not be executed"),
        (["/tmp"], None, "may not be executed"),
        (["true"], "/no/such/directory", "working directory /no/such/directory"),
    ],
)
async def test_what_cannot_be_started_is_said(
    guardian: Guardian, command: list[str], cwd: str | None, message: str
) -> None:
    with pytest.raises(CannotStart, match=message):
        await guardian.spawn(Recorder, command, os.environ, cwd, talks=True)


async def test_a_relative_program_is_looked_up_where_it_runs(guardian: Guardian, tmp_path: Path) -> None:
    program = tmp_path / "run.sh"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    _, child = await guardian.spawn(Recorder, ["./run.sh"], os.environ, str(tmp_path), talks=False)
    await child.ended
    assert child.output[1].decode().strip() == str(tmp_path)


async def test_a_child_that_nothing_would_guard_is_not_started(
    guardian: Guardian, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    def full(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(Guardian, "_begin", full)
    with pytest.raises(CannotStart, match="no more processes"):
        await guardian.spawn(Recorder, ["touch", str(mark)], os.environ, None, talks=True)
    assert guardian.groups == frozenset()
    assert not mark.exists()
