"""The system state: its table, its file, and that the two never disagree."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import select
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from event_monitor.clock import LoopClock
from event_monitor.model import SystemState, Transition
from event_monitor.system.state_machine import (
    HISTORY,
    StateMachine,
    TransitionNotSaved,
    TransitionRefused,
)
from tests.unit.states import TABLE, S, saved

WAY = {
    S.INITIALIZING: [],
    S.HEALTHY: [S.HEALTHY],
    S.DEGRADED: [S.DEGRADED],
    S.RECOVERING: [S.DEGRADED, S.RECOVERING],
    S.FAILED: [S.FAILED],
    S.MAINTENANCE: [S.MAINTENANCE],
}


def machine(path: Path) -> StateMachine:
    return StateMachine(path, LoopClock(asyncio.get_running_loop()))


async def at(path: Path, state: SystemState) -> StateMachine:
    """A machine that has reached ``state``."""
    made = machine(path)
    for step in WAY[state]:
        await made.change(step, "on the way")
    return made


@pytest.mark.parametrize("to", S)
@pytest.mark.parametrize("start", S)
async def test_scenario_39_each_of_the_36_pairs_is_allowed_or_refused_as_the_table_says(
    tmp_path: Path, start: SystemState, to: SystemState
) -> None:
    path = tmp_path / "current.json"
    made = await at(path, start)
    heard: list[Transition] = []
    refused: list[Transition] = []
    made.on_transition, made.on_refused = heard.append, refused.append
    before = (made.state, made.since, made.reason, list(made.history))
    content = path.read_bytes() if path.exists() else None
    if (start, to) in TABLE:
        transition = await made.change(to, "because")
        assert (transition.from_state, transition.to_state, transition.reason) == (start, to, "because")
        assert (made.state, made.reason, made.since) == (to, "because", transition.at)
        assert (heard, refused) == ([transition], [])
        assert saved(path)["state"] == to
        assert saved(path)["history"][-1]["to_state"] == to
    else:
        with pytest.raises(TransitionRefused, match=f"from {start} to {to}"):
            await made.change(to, "because")
        assert (made.state, made.since, made.reason, list(made.history)) == before
        assert (path.read_bytes() if path.exists() else None) == content
        assert heard == []
        assert [(one.from_state, one.to_state) for one in refused] == [(start, to)]
        assert list(made.refused) == refused


async def test_scenario_40_the_last_100_of_250_transitions_are_kept_in_order(tmp_path: Path) -> None:
    path = tmp_path / "current.json"
    made = machine(path)
    for count in range(250):
        await made.change(S.MAINTENANCE if count % 2 == 0 else S.INITIALIZING, f"number {count}")
    expected = [f"number {count}" for count in range(150, 250)]
    assert [one["reason"] for one in saved(path)["history"]] == expected
    again = machine(path)
    assert await again.load() is None
    assert [one.reason for one in again.history] == expected
    for before, after in pairwise(again.history):
        assert before.to_state == after.from_state
    await again.change(S.HEALTHY, "number 250")
    assert len(saved(path)["history"]) == HISTORY


async def test_a_start_is_fresh_but_maintenance_stays(tmp_path: Path) -> None:
    path = tmp_path / "current.json"
    await (await at(path, S.RECOVERING)).change(S.FAILED, "it broke")
    fresh = machine(path)
    assert await fresh.load() is None
    assert (fresh.state, fresh.history[-1].to_state) == (S.INITIALIZING, S.FAILED)
    await fresh.change(S.MAINTENANCE, "a person says so")
    kept = machine(path)
    assert await kept.load() is None
    assert (kept.state, kept.reason, kept.since) == (S.MAINTENANCE, "a person says so", fresh.since)


async def test_without_a_file_it_begins_afresh(tmp_path: Path) -> None:
    made = machine(tmp_path / "none" / "current.json")
    assert await made.load() is None
    assert (made.state, list(made.history)) == (S.INITIALIZING, [])


@pytest.mark.parametrize("call", ["open", "fsync", "replace", "mkdir"])
async def test_scenario_40_a_transition_that_cannot_be_saved_is_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "state" / "current.json"
    made = machine(path)
    if call != "mkdir":
        await made.change(S.HEALTHY, "well")
    content = path.read_bytes() if path.exists() else None
    before = (made.state, made.since, made.reason, list(made.history))
    heard: list[Transition] = []
    made.on_transition = heard.append

    def fail(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(TransitionNotSaved, match="No space left") as caught:
            await made.change(S.MAINTENANCE, "disk full")
    assert "disk has room" in caught.value.advice
    assert (made.state, made.since, made.reason, list(made.history)) == before
    assert (path.read_bytes() if path.exists() else None) == content
    assert heard == []
    assert [entry.name for entry in path.parent.glob(".*")] == []
    await made.change(S.MAINTENANCE, "space again")
    assert saved(path)["state"] == "MAINTENANCE"


async def test_scenario_40_whichever_sync_fails_memory_and_disk_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "current.json"
    real = os.fsync
    for nth in range(4):
        made = await at(path, S.HEALTHY)
        calls = 0

        def sometimes(file: int, fatal: int = nth) -> None:
            nonlocal calls
            calls += 1
            if calls - 1 == fatal:
                raise OSError(errno.EIO, "Input/output error")
            real(file)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", sometimes)
            try:
                await made.change(S.DEGRADED, "trouble")
            except TransitionNotSaved:
                assert made.state is S.HEALTHY
        assert saved(path)["state"] == made.state
        assert saved(path)["history"][-1]["to_state"] == made.state


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"format": 1, "state": "HEALTHY"}',
        b'{"format": 1, "state": "WELL", "since": "", "reason": "", "history": []}',
        b'{"format": 2, "state": "HEALTHY", "since": "", "reason": "", "history": []}',
        b'{"format": 1, "state": "HEALTHY", "since": "", "reason": "", "history": [{}]}',
        b'{"format": NaN, "state": "HEALTHY", "since": "", "reason": "", "history": []}',
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * 10_000_000,
        b"\0" * 4_096,
    ],
    ids=lambda content: repr(content[:40]),
)
async def test_scenario_41_a_damaged_file_is_set_aside_and_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "current.json"
    path.write_bytes(content)
    made = machine(path)
    problem = await made.load()
    assert problem is not None and "could not be read" in problem
    (aside,) = tmp_path.glob("current.json.damaged-*")
    assert aside.name in problem
    assert aside.read_bytes() == content
    assert (made.state, list(made.history)) == (S.INITIALIZING, [])
    await made.change(S.HEALTHY, "well")
    assert saved(path)["state"] == "HEALTHY"


async def test_a_directory_in_the_file_s_place_is_set_aside_too(tmp_path: Path) -> None:
    path = tmp_path / "current.json"
    path.mkdir()
    made = machine(path)
    assert "could not be read" in str(await made.load())
    await made.change(S.HEALTHY, "well")
    assert path.is_file()


async def test_the_file_is_the_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "current.json"
    before = os.umask(0)
    try:
        await machine(path).change(S.HEALTHY, "well")
    finally:
        os.umask(before)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_changes_at_the_same_time_are_made_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "current.json"
    made = machine(path)
    wanted = [S.HEALTHY, S.DEGRADED, S.RECOVERING, S.HEALTHY, S.FAILED, S.RECOVERING, S.MAINTENANCE]
    await asyncio.gather(*(made.change(state, "at once") for state in wanted))
    assert [one.to_state for one in made.history] == wanted
    assert [one["to_state"] for one in saved(path)["history"]] == wanted


async def test_a_cancelled_change_leaves_memory_and_disk_agreed(tmp_path: Path) -> None:
    for steps in range(12):
        path = tmp_path / f"{steps}.json"
        made = await at(path, S.HEALTHY)
        change = asyncio.create_task(made.change(S.DEGRADED, "trouble"))
        for _ in range(steps):
            await asyncio.sleep(0)
        change.cancel()
        await asyncio.gather(change, return_exceptions=True)
        await made.change(S.MAINTENANCE, "after")
        assert [one["to_state"] for one in saved(path)["history"]] == [one.to_state for one in made.history]
        for before, after in pairwise(saved(path)["history"]):
            assert before["to_state"] == after["from_state"]


def test_scenario_41_kill_9_while_it_writes_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "state" / "current.json"
    rng = random.Random(41)
    processes = 50
    last = 0
    for _ in range(processes):
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.state_writer", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert writer.stdout is not None and writer.stderr is not None
        ready = writer.stdout.readline()
        # A pause of a random length is what is tested here: the kill falls anywhere in a write.
        select.select([], [], [], rng.uniform(0.002, 0.03))
        writer.kill()
        _, errors = writer.communicate()
        assert ready == b"ready\n", errors.decode()
        history = saved(path)["history"] if path.exists() else []
        count = int(history[-1]["reason"].split(":")[0]) if history else 0
        assert count >= min(last, 100)
        assert all(len(one["reason"]) > 2_000 for one in history)
        last = count
    assert last > processes
    assert len(list(path.parent.iterdir())) <= 2, "what a killed writer left is used again"
