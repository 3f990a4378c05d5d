"""The state machine against the design's table, driven by Hypothesis through any order of changes,
failing disks, listeners that fail, crashes and restarts."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from event_monitor.clock import LoopClock
from event_monitor.model import SystemState, Transition
from event_monitor.system import state_machine as real
from tests.reached import must_reach, reached
from tests.unit.states import TABLE, Disk, S, check_history, on_disk, saved

BOUNDED = settings(derandomize=True, max_examples=50, stateful_step_count=25, deadline=None, database=None)

STATES = st.sampled_from(SystemState)
REASONS = st.sampled_from(("because", "", "half a character: \udc80", "\x1b[31m\0\n", "ж" * 9_000))


def state_machine_rules(module: ModuleType) -> type[RuleBasedStateMachine]:
    """The rules for the state machine of a module: the real one, or one with a planted bug."""

    class StateMachineRules(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.directory = Path(tempfile.mkdtemp())
            self.path = self.directory / "current.json"
            self.disk = Disk()
            self.patch = on_disk(module, self.disk)
            self.runner = asyncio.Runner()
            self.told: list[Transition] = []
            self.refused: list[Transition] = []
            self.deaf = False
            # What the design says: a state, a history, and what of it is on disk.
            self.state = S.INITIALIZING
            self.history: list[tuple[SystemState, SystemState]] = []
            self.on_disk: SystemState | None = None
            self.heard = 0
            self.not_allowed: list[tuple[SystemState, SystemState]] = []
            self.machine = self.fresh()

        def fresh(self) -> Any:
            machine = module.StateMachine(self.path, LoopClock(self.runner.get_loop()))
            machine.on_transition = self.hear
            machine.on_refused = self.refused.append
            return machine

        def hear(self, transition: Transition) -> None:
            assert self.machine.state is transition.to_state, "what is told is so"
            assert saved(self.path)["state"] == transition.to_state
            self.told.append(transition)
            if self.deaf:
                raise RuntimeError("a listener that fails")

        def teardown(self) -> None:
            self.runner.close()
            self.patch.undo()
            shutil.rmtree(self.directory)

        def expect(self, to: SystemState, *, kept: bool = True) -> type[Exception] | None:
            """Take a change into the model; the error that it should raise."""
            pair = (self.state, to)
            if pair not in TABLE:
                self.not_allowed.append(pair)
                reached("a pair is refused")
                return module.TransitionRefused  # type: ignore[no-any-return]
            if not kept:
                reached("a change is rolled back")
                return module.TransitionNotSaved  # type: ignore[no-any-return]
            self.history = [*self.history, pair][-100:]
            self.state = self.on_disk = to
            reached(to.value)
            self.heard += 1
            return None

        async def change(self, to: SystemState, reason: str) -> type[Exception] | None:
            self.disk.begin()
            try:
                await self.machine.change(to, reason)
            except Exception as error:  # noqa: BLE001 - whichever it is, the caller compares it
                return type(error)
            return None

        @rule(to=STATES, reason=REASONS, fail_at=st.sampled_from((0, 0, 0, 1, 2, 3, 4, 5)))
        def go(self, to: SystemState, reason: str, fail_at: int) -> None:
            # Once the new file is in place, a failing sync of the directory does not undo it.
            expected = self.expect(to, kept=not 0 < fail_at <= Disk.RENAME)
            self.disk.fail_at = fail_at
            assert self.runner.run(self.change(to, reason)) is expected
            self.disk.fail_at = 0

        @rule(wanted=st.lists(STATES, max_size=5))
        def go_at_once(self, wanted: list[SystemState]) -> None:
            expected = [self.expect(to) for to in wanted]

            async def all_at_once() -> list[Any]:
                return await asyncio.gather(*(self.change(to, "at once") for to in wanted))

            assert self.runner.run(all_at_once()) == expected

        @rule(to=STATES, turns=st.integers(0, 8))
        def go_and_be_cancelled(self, to: SystemState, turns: int) -> None:
            async def cancelled() -> None:
                task = asyncio.create_task(self.change(to, "cancelled"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

            before = len(self.told), len(self.refused)
            self.runner.run(cancelled())
            if (len(self.told), len(self.refused)) != before:
                self.expect(to)

        @rule(count=st.sampled_from((3, 101)))
        def go_often(self, count: int) -> None:
            async def often() -> None:
                for _ in range(count):
                    to = S.INITIALIZING if self.machine.state is S.MAINTENANCE else S.MAINTENANCE
                    assert await self.change(to, "often") is self.expect(to)

            self.runner.run(often())

        @rule(deaf=st.booleans())
        def fail_listeners(self, deaf: bool) -> None:
            self.deaf = deaf

        @rule()
        def restart(self) -> None:
            self.machine = self.fresh()
            assert self.runner.run(self.machine.load()) is None
            if self.on_disk is S.MAINTENANCE:
                reached("maintenance outlives a restart")
                self.state = S.MAINTENANCE
            else:
                self.state = S.INITIALIZING

        @rule(to=STATES, at=st.integers(1, Disk.CALLS))
        def crash(self, to: SystemState, at: int) -> None:
            """The process dies at one of the calls of a write; another one takes up what is there."""
            copy = Path(tempfile.mkdtemp())
            before = (self.state, list(self.history), self.on_disk)
            told = len(self.told)
            self.disk.watch_at = at
            self.disk.watch = lambda: shutil.copytree(self.directory, copy, dirs_exist_ok=True) and None
            refused = self.expect(to)
            self.runner.run(self.change(to, "it dies"))
            self.disk.watch_at = 0
            if refused is None:
                shutil.copytree(copy, self.directory, dirs_exist_ok=True)
                if not any(copy.glob("current.json")):
                    self.path.unlink()
                reached("it died before the change was saved" if at <= Disk.RENAME else "it died after")
                if at <= Disk.RENAME:
                    self.state, self.history, self.on_disk = before
                del self.told[told:]
                self.heard -= 1
            shutil.rmtree(copy)
            self.restart()

        @invariant()
        def memory_is_as_the_table_says(self) -> None:
            assert self.machine.state is self.state
            assert [(one.from_state, one.to_state) for one in self.machine.history] == self.history
            check_history(list(self.machine.history))

        @invariant()
        def disk_is_what_memory_was_last_saved_as(self) -> None:
            if self.on_disk is None:
                assert not self.path.exists()
                return
            assert self.path.is_file(), "what was saved is gone"
            content = saved(self.path)
            assert content["state"] == self.on_disk
            kept = [(one["from_state"], one["to_state"]) for one in content["history"]]
            assert kept == self.history
            assert content["reason"] == content["history"][-1]["reason"]

        @invariant()
        def each_is_told_of_its_own(self) -> None:
            assert len(self.told) == self.heard
            assert [(one.from_state, one.to_state) for one in self.refused] == self.not_allowed

    return StateMachineRules


def check_state_machine(module: ModuleType, how: settings = BOUNDED) -> None:
    """Raise if the state machine of this module ever differs from the design."""
    run_state_machine_as_test(state_machine_rules(module), settings=how)


def test_scenarios_39_and_40_hold_in_any_order_of_changes_faults_and_restarts() -> None:
    with must_reach(
        *(state.value for state in S),
        *("a pair is refused", "a change is rolled back", "maintenance outlives a restart"),
        *("it died before the change was saved", "it died after"),
    ):
        check_state_machine(real)
