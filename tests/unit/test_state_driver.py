"""The state follows what is wrong, by allowed steps only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import product
from pathlib import Path

import pytest

from event_monitor.clock import LoopClock
from event_monitor.model import SystemState
from event_monitor.system.driver import StateDriver, next_step
from event_monitor.system.state_machine import ALLOWED, StateMachine, TransitionNotSaved

_S = SystemState


@asynccontextmanager
async def driving(path: Path) -> AsyncIterator[tuple[StateDriver, StateMachine]]:
    machine = StateMachine(path / "current.json", LoopClock(asyncio.get_running_loop()))
    await machine.load()
    driver = StateDriver(machine)
    task = asyncio.create_task(driver.run())
    try:
        yield driver, machine
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def reach(machine: StateMachine, state: SystemState) -> None:
    async with asyncio.timeout(5):
        while machine.state is not state:  # noqa: ASYNC110 - the writes go through a thread
            await asyncio.sleep(0.002)


def _ways() -> Iterator[tuple[SystemState, SystemState]]:
    return product(SystemState, (_S.HEALTHY, _S.DEGRADED, _S.RECOVERING, _S.FAILED, _S.MAINTENANCE))


@pytest.mark.parametrize(("start", "wanted"), _ways())
def test_every_wanted_state_is_reached_by_allowed_steps(start: SystemState, wanted: SystemState) -> None:
    now, steps = start, 0
    while (step := next_step(now, wanted)) is not None:
        assert step in ALLOWED[now], f"{now} → {step}"
        now = step
        steps += 1
        assert steps <= 4
    assert now is wanted


async def test_all_well_is_healthy_and_nothing_is_said_before_the_checks_are_over(tmp_path: Path) -> None:
    async with driving(tmp_path) as (driver, machine):
        driver.fail("x", "x is down")
        driver.clear("x", "x is back")
        await asyncio.sleep(0.02)
        assert machine.state is _S.INITIALIZING
        driver.begin()
        await reach(machine, _S.HEALTHY)
        assert len(machine.history) == 1


async def test_a_failure_degrades_and_its_end_recovers(tmp_path: Path) -> None:
    async with driving(tmp_path) as (driver, machine):
        driver.begin()
        await reach(machine, _S.HEALTHY)
        driver.fail("github", "github: breaker opened")
        await reach(machine, _S.DEGRADED)
        driver.recovering("github")
        await reach(machine, _S.RECOVERING)
        driver.fail("github", "github: the probe failed")
        await reach(machine, _S.DEGRADED)
        driver.clear("github", "github answers again")
        await reach(machine, _S.HEALTHY)
        steps = [(one.from_state, one.to_state) for one in machine.history]
    assert steps[-3:] == [
        (_S.RECOVERING, _S.DEGRADED),
        (_S.DEGRADED, _S.RECOVERING),
        (_S.RECOVERING, _S.HEALTHY),
    ]


async def test_a_critical_failure_fails_and_comes_back_to_what_is_left(tmp_path: Path) -> None:
    async with driving(tmp_path) as (driver, machine):
        driver.begin()
        driver.fail("small", "a small thing")
        driver.fail("big", "the store is gone", critical=True)
        await reach(machine, _S.FAILED)
        assert machine.reason == "the store is gone"
        driver.clear("big", "the store is back")
        await reach(machine, _S.DEGRADED)
        assert machine.reason == "a small thing"


async def test_maintenance_holds_whatever_happens_and_ends_in_a_fresh_check(tmp_path: Path) -> None:
    async with driving(tmp_path) as (driver, machine):
        driver.begin()
        await reach(machine, _S.HEALTHY)
        await driver.maintain(True, "upgrade")
        assert (machine.state, machine.reason) == (_S.MAINTENANCE, "upgrade")
        driver.fail("x", "x is down", critical=True)
        await asyncio.sleep(0.02)
        assert machine.state is _S.MAINTENANCE
        await driver.maintain(False, "done")
        assert machine.state is _S.FAILED
        assert [one.to_state for one in machine.history][-2:] == [_S.INITIALIZING, _S.FAILED]


async def test_maintenance_survives_a_restart(tmp_path: Path) -> None:
    async with driving(tmp_path) as (driver, _):
        driver.begin()
        await driver.maintain(True, "upgrade")
    async with driving(tmp_path) as (driver, machine):
        driver.begin()
        await driver.maintain(True, machine.reason)
        assert (machine.state, machine.reason) == (_S.MAINTENANCE, "upgrade")


async def test_a_transition_that_cannot_be_saved_is_reported_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("event_monitor.system.driver.RETRY_DELAY", 0.02)
    (tmp_path / "blocked").write_text("a file where the directory should be")
    async with driving(tmp_path / "blocked") as (driver, machine):
        unsaved: list[TransitionNotSaved] = []
        driver.on_unsaved = unsaved.append
        driver.begin()
        async with asyncio.timeout(5):
            while len(unsaved) < 2:  # noqa: ASYNC110 - the writes go through a thread
                await asyncio.sleep(0.005)
        assert machine.state is _S.INITIALIZING
        (tmp_path / "blocked").unlink()
        await reach(machine, _S.HEALTHY)


async def test_a_person_is_told_when_maintenance_cannot_be_saved_and_it_begins_once_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("event_monitor.system.driver.RETRY_DELAY", 0.02)
    (tmp_path / "blocked").write_text("a file where the directory should be")
    async with driving(tmp_path / "blocked") as (driver, machine):
        driver.begin()
        with pytest.raises(TransitionNotSaved, match="INITIALIZING → MAINTENANCE could not be saved"):
            await driver.maintain(True, "upgrade")
        assert machine.state is _S.INITIALIZING
        (tmp_path / "blocked").unlink()
        await reach(machine, _S.MAINTENANCE)
        assert machine.reason == "upgrade"


async def test_whoever_waits_for_a_driver_that_ends_waits_no_longer(tmp_path: Path) -> None:
    async with driving(tmp_path) as (driver, machine):
        driver.begin()
        await reach(machine, _S.HEALTHY)
        waiting = asyncio.create_task(driver.maintain(True, "upgrade"))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.wait([waiting])
    assert waiting.cancelled() or machine.state is _S.MAINTENANCE


async def test_a_full_disk_does_not_hide_the_turn_for_the_worse(tmp_path: Path) -> None:
    async with driving(tmp_path / "state") as (driver, machine):
        driver.begin()
        await reach(machine, _S.HEALTHY)
        saved = (tmp_path / "state" / "current.json").read_bytes()
        (tmp_path / "state" / ".current.json.new").mkdir()
        driver.fail("store", "the disk is full")
        with pytest.raises(TransitionNotSaved):
            await driver.settle()
        assert machine.state is _S.HEALTHY
        assert (tmp_path / "state" / "current.json").read_bytes() == saved
        state, since, reason = driver.shown()
        assert (state, reason) == (_S.DEGRADED, "the disk is full")
        assert since > machine.since
        (tmp_path / "state" / ".current.json.new").rmdir()
        await reach(machine, _S.DEGRADED)
        assert driver.shown() == (machine.state, machine.since, machine.reason)
