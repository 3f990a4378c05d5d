"""A program that is started, and no longer wanted before it has been, leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from event_monitor.process_group import signal_group, start_group

HOLDS_ITS_PIPES = "exec 3>{pipe}; sleep 600 & echo runs >&3; wait"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe, which ends for its reader when the last process that holds it is gone."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


async def test_one_that_is_cancelled_while_it_starts_is_ended_with_its_children(
    pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio is still connecting the pipes when the program has its children already."""
    begun: list[Any] = []
    popen = subprocess.Popen

    def noted(*arguments: Any, **options: Any) -> Any:
        begun.append(popen(*arguments, **options))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    starting = asyncio.create_task(
        start_group("sh", "-c", HOLDS_ITS_PIPES.format(pipe=pipe), stdout=asyncio.subprocess.PIPE)
    )
    while not begun:  # noqa: ASYNC110 - each step of the loop counts
        await asyncio.sleep(0)
    with pipe.open() as reader:
        assert reader.readline() == "runs\n"
        assert not starting.done()
        starting.cancel()
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert await asyncio.to_thread(reader.read) == ""


async def test_one_that_is_cancelled_before_it_is_started_is_not_started() -> None:
    starting = asyncio.create_task(start_group("/no/such/program"))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def test_a_signal_reaches_the_children_and_nobody_is_no_error(pipe: Path) -> None:
    process = await start_group("sh", "-c", HOLDS_ITS_PIPES.format(pipe=pipe))
    with pipe.open() as reader:
        assert reader.readline() == "runs\n"
        signal_group(process, signal.SIGKILL)
        async with asyncio.timeout(10):
            assert await process.wait() == -signal.SIGKILL
            assert await asyncio.to_thread(reader.read) == ""
    signal_group(process, signal.SIGKILL)


async def test_a_program_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        await start_group("/no/such/program")
