"""The driver of the state machine against a plain model, driven by Hypothesis: conditions come and go,
people begin and end maintenance, the kill switch is used, the disk fails and the process dies, each at
any moment of a transition. Time is virtual."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from event_monitor.clock import LoopClock
from event_monitor.model import SystemState, Transition
from event_monitor.system import driver as real_driver
from event_monitor.system import state_machine as real_machine
from tests.unit.states import Disk, S, check_history, on_disk, saved
from tests.virtual import VirtualLoop

BOUNDED = settings(derandomize=True, max_examples=150, stateful_step_count=40, deadline=None, database=None)

WHAT = st.sampled_from(("github", "search", "store"))
# How far the loop gets before the next thing happens: a transition takes a few turns.
TURNS = st.sampled_from((0, 0, 1, 2, 3, 4, 20))


class Model:
    """What the design says: what is wrong, and which state that calls for."""

    def __init__(self) -> None:
        self.wrong: dict[str, tuple[bool, bool]] = {}
        self.maintenance = False

    def wanted(self) -> SystemState:
        if self.maintenance:
            return S.MAINTENANCE
        if any(critical and not mending for critical, mending in self.wrong.values()):
            return S.FAILED
        if not self.wrong:
            return S.HEALTHY
        if any(mending for _, mending in self.wrong.values()):
            return S.RECOVERING
        return S.DEGRADED


def driver_rules(driver: ModuleType, machine: ModuleType) -> type[RuleBasedStateMachine]:
    """The rules for a driver and a state machine: the real ones, or one with a planted bug."""

    class DriverRules(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.directory = Path(tempfile.mkdtemp())
            self.path = self.directory / "current.json"
            self.disk = Disk()
            self.patch = on_disk(machine, self.disk)
            self.runner = asyncio.Runner(loop_factory=VirtualLoop)
            self.told: list[Transition] = []
            self.unsaved: list[Exception] = []
            self.wishes: list[asyncio.Task[None]] = []
            self.model = Model()
            self.begin()

        def begin(self) -> None:
            self.told.clear()
            self.machine = machine.StateMachine(self.path, LoopClock(self.runner.get_loop()))
            self.machine.on_transition = self.told.append
            assert self.runner.run(self.machine.load()) is None
            self.loaded = list(self.machine.history)
            self.driver = driver.StateDriver(self.machine)
            self.driver.on_unsaved = self.unsaved.append
            self.task = self.runner.get_loop().create_task(self.driver.run())
            self.driver.begin()

        def turn(self, turns: int) -> None:
            async def some() -> None:
                for _ in range(turns):
                    await asyncio.sleep(0)

            self.runner.run(some())

        def teardown(self) -> None:
            self.runner.close()
            self.patch.undo()
            shutil.rmtree(self.directory)

        def wish(self, coroutine: Coroutine[Any, Any, None]) -> None:
            task = self.runner.get_loop().create_task(coroutine)
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self.wishes.append(task)

        @rule(what=WHAT, critical=st.booleans(), turns=TURNS)
        def fail(self, what: str, critical: bool, turns: int) -> None:
            self.driver.fail(what, f"{what} is down", critical=critical)
            self.model.wrong[what] = (critical, False)
            self.turn(turns)

        @rule(what=WHAT, turns=TURNS)
        def recovering(self, what: str, turns: int) -> None:
            self.driver.recovering(what)
            if what in self.model.wrong:
                self.model.wrong[what] = (self.model.wrong[what][0], True)
            self.turn(turns)

        @rule(what=WHAT, turns=TURNS)
        def clear(self, what: str, turns: int) -> None:
            self.driver.clear(what, f"{what} is back")
            self.model.wrong.pop(what, None)
            self.turn(turns)

        @rule(engaged=st.booleans(), turns=TURNS)
        def kill_switch(self, engaged: bool, turns: int) -> None:
            if engaged:
                self.driver.fail("kill switch", "kill switch: stop", critical=True)
                self.model.wrong["kill switch"] = (True, False)
            else:
                self.driver.clear("kill switch", "resumed")
                self.model.wrong.pop("kill switch", None)
            self.turn(turns)

        @rule(on=st.booleans(), turns=TURNS)
        def maintain(self, on: bool, turns: int) -> None:
            self.wish(self.driver.maintain(on, "upgrade" if on else "done"))
            self.turn(1 + turns)
            self.model.maintenance = on

        @rule(broken=st.booleans(), turns=TURNS)
        def disk(self, broken: bool, turns: int) -> None:
            self.disk.broken = broken
            self.turn(turns)

        @rule()
        def settle(self) -> None:
            """When nothing more happens, the state is the one that is called for, unless it cannot be
            saved, which is then said."""
            heard = len(self.unsaved)
            self.runner.run(asyncio.sleep(3))
            assert all(task.done() for task in self.wishes), "whoever waited has been answered"
            for task in self.wishes:
                assert task.exception() is None or isinstance(task.exception(), machine.TransitionNotSaved)
            self.wishes.clear()
            if self.disk.broken and self.machine.state is not self.model.wanted():
                assert len(self.unsaved) - heard >= 2, "tried again each second, and reported"
            else:
                assert self.machine.state is self.model.wanted()
            self.agrees()

        @rule()
        def heal(self) -> None:
            self.disk.broken = False
            self.settle()
            assert self.machine.state is self.model.wanted()

        @rule(died=st.booleans())
        def restart(self, died: bool) -> None:
            """In order, or in the middle of whatever is going on: then nothing more reaches the disk."""
            was_broken, self.disk.broken = self.disk.broken, self.disk.broken or died
            self.task.cancel()
            self.runner.run(_ended(self.task))
            self.turn(2)
            assert all(task.done() for task in self.wishes), "nobody waits for a driver that has ended"
            self.wishes.clear()
            self.disk.broken = was_broken
            self.model = Model()
            self.model.maintenance = self.path.exists() and saved(self.path)["state"] == S.MAINTENANCE
            self.begin()

        def agrees(self) -> None:
            """Memory is the last that was saved."""
            history = list(self.machine.history)
            if not self.path.exists():
                assert not history
                return
            assert saved(self.path)["history"] == [
                {"from_state": one.from_state, "to_state": one.to_state, "at": one.at, "reason": one.reason}
                for one in history
            ]
            if len(self.told):
                assert saved(self.path)["state"] == self.machine.state

        @invariant()
        def only_allowed_pairs_happen_and_each_is_told(self) -> None:
            history = list(self.machine.history)
            check_history(history)
            assert history == [*self.loaded, *self.told][-100:]
            assert list(self.machine.refused) == [], "the driver asks for nothing that is refused"
            assert not self.task.done()

        @invariant()
        def what_is_wanted_is_what_the_design_wants(self) -> None:
            assert self.driver.wanted()[0] is self.model.wanted()

        @invariant()
        def the_disk_is_at_most_one_transition_ahead(self) -> None:
            if self.path.exists():
                kept = [one["at"] for one in saved(self.path)["history"]]
                known = [one.at for one in self.machine.history]
                assert known == kept or [*known, kept[-1]][-100:] == kept

    return DriverRules


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, return_exceptions=True)


def check_driver(module: ModuleType, how: settings = BOUNDED) -> None:
    """Raise if a driver ever leaves the state elsewhere than the design wants it."""
    run_state_machine_as_test(driver_rules(module, real_machine), settings=how)


def check_machine_under_driver(module: ModuleType, how: settings = BOUNDED) -> None:
    """Raise if a state machine of this module ever betrays its driver."""
    run_state_machine_as_test(driver_rules(real_driver, module), settings=how)


def test_the_state_follows_what_is_wrong_whatever_happens_in_between() -> None:
    check_driver(real_driver)
