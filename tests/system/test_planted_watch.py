"""The checks of waits, locks, outcomes and limits are shown to find the bugs that they are there for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from event_monitor.bus import dispatcher, lane, outcomes
from event_monitor.resilience import locks, waits
from event_monitor.system import driver, progress, resources, watchdog
from tests import virtual
from tests.bus import test_outcomes as outcome_tests
from tests.planting import PHASES, Bug, find, named, with_names
from tests.resilience import test_locks as lock_tests
from tests.resilience import test_waits_model as model_tests
from tests.system import test_figures as figure_tests
from tests.system import test_watchdog as watchdog_tests
from tests.system import watching

pytestmark = pytest.mark.mutation


def _hanging_fails(check: Callable[[], None]) -> Callable[[], None]:
    """What waits for ever on virtual time has failed."""

    def run() -> None:
        try:
            check()
        except virtual.Deadlock:
            pytest.fail("it waits for ever")

    return run


def on_locks(check: Callable[[], None]) -> Callable[[ModuleType], None]:
    return with_names(lock_tests, _hanging_fails(check))


def on_model() -> Callable[[ModuleType], None]:
    @settings(max_examples=300, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
    @given(script=model_tests.steps)
    def check(script: list[Any]) -> None:
        virtual.run_virtual(lambda: model_tests.play(script))

    return with_names(model_tests, _hanging_fails(check))


def on_bus(name: str, check: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[ModuleType], None]:
    """A check of a real bus whose dispatcher uses a class of the changed module."""

    def run(module: ModuleType) -> None:
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
            patch.setattr(dispatcher, name, getattr(module, name))
            asyncio.run(check(Path(directory)))

    return run


def on_watched(owner: ModuleType, name: str, check: Callable[[Path], None]) -> Callable[[ModuleType], None]:
    """A check on virtual time with a class of the changed module in ``owner``."""

    def run(module: ModuleType) -> None:
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
            patch.setattr(owner, name, getattr(module, name))
            with virtual.database_counted(patch):
                _hanging_fails(lambda: check(Path(directory)))()

    return run


BUGS = [
    Bug(
        "a wait is not looked at when it begins",
        waits,
        "            self.check([task])\n",
        "",
        on_locks(
            lock_tests.test_scenario_31_a_lock_order_inversion_names_both_tasks_at_once_and_the_newest_waiter_is_told
        ),
    ),
    Bug(
        "one of a group is taken for all of it",
        waits,
        "if all(one in stuck",
        "if any(one in stuck",
        on_model(),
    ),
    Bug("the oldest waiter is told", waits, "-wait.number", "wait.number", on_model()),
    Bug(
        "helpers are not seen",
        waits,
        "tuple((one,) for one in awaited_tasks(task))",
        "()",
        on_locks(lock_tests.test_a_helper_task_that_is_awaited_closes_the_circle_too),
    ),
    Bug(
        "a cancelled owner keeps the lock",
        locks,
        "            elif self.owner is task:\n                self.release()\n",
        "",
        on_locks(lock_tests.test_no_cancellation_loses_the_lock),
    ),
    Bug(
        "the lock is free while it is handed on",
        locks,
        "                self.owner = task\n                future.set_result",
        "                future.set_result",
        on_locks(lock_tests.test_nobody_slips_in_while_the_lock_is_handed_on),
    ),
    Bug(
        "what is done in memory only is waited for",
        outcomes,
        "                self._take_from_memory(awaited)\n",
        "",
        on_bus("Outcomes", outcome_tests.test_what_the_own_lane_has_settled_already_is_not_waited_for),
    ),
    Bug(
        "what the disk has not heard of is waited for",
        outcomes,
        "            await self._store.flush()\n",
        "",
        on_bus("Outcomes", outcome_tests.test_what_was_settled_a_moment_ago_is_not_taken_for_a_deadlock),
    ),
    Bug(
        "places that are free are taken for busy",
        lane,
        "if len(busy) >= self.concurrency else ()",
        "if busy else ()",
        on_bus("Lane", outcome_tests.test_a_second_place_in_the_lane_makes_the_same_wait_harmless),
    ),
    Bug(
        "the own lane's places are not in the way",
        lane,
        "if len(busy) >= self.concurrency else ()",
        "if len(busy) > self.concurrency else ()",
        on_bus("Lane", outcome_tests.test_waiting_for_an_event_that_is_queued_behind_oneself_is_a_deadlock),
    ),
    Bug(
        "left behind handlers are called without end",
        lane,
        "if len(lane.abandoned) >= MAX_ABANDONED:",
        "if False:",
        on_watched(
            dispatcher,
            "Lane",
            watchdog_tests.test_scenario_23_a_handler_with_a_hundred_calls_left_behind_is_called_no_more,
        ),
    ),
    Bug(
        "a standstill is seen much later",
        progress,
        "LOOKS = 2\n",
        "LOOKS = 100\n",
        on_watched(
            watchdog,
            "ProgressWatch",
            watchdog_tests.test_a_queue_that_does_not_move_is_told_within_two_seconds_and_is_over_when_it_does,
        ),
    ),
    Bug(
        "a limit has one edge",
        resources,
        "edge = self.clear if self.crossed else self.limit",
        "edge = self.limit",
        with_names(figure_tests, figure_tests.test_a_threshold_changes_only_beyond_its_edges),
    ),
    Bug(
        "what failed again is cleared by the older timer",
        driver,
        '        """Something is wrong."""\n        self._keep(what)\n',
        '        """Something is wrong."""\n',
        on_watched(watching, "StateDriver", figure_tests.test_what_fails_again_before_its_time_stays_wrong),
    ),
]


@pytest.mark.parametrize("bug", BUGS, ids=named)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    find(bug, monkeypatch)
