"""Each invariant is shown to find the bug that it is there for: the source is changed in one place,
and the check that passes for the real module must fail for the changed one."""

from __future__ import annotations

import asyncio
from types import ModuleType

import pytest
from hypothesis import Phase, settings

from event_monitor.resilience import (
    breaker,
    budget,
    bulkhead,
    fallback,
    pipeline,
    recent_calls,
    retry,
    timeouts,
)
from event_monitor.services import guard
from tests.planting import PHASES, Bug, find, named, with_names
from tests.resilience import test_breaker as breaker_tests
from tests.resilience import test_breaker_call as call_tests
from tests.resilience import test_breaker_machine as breaker_machine
from tests.resilience import test_breaker_rates as rates_tests
from tests.resilience import test_budget as budget_tests
from tests.resilience import test_bulkhead as bulkhead_tests
from tests.resilience import test_bulkhead_machine as bulkhead_machine
from tests.resilience import test_listeners as listener_tests
from tests.resilience import test_retry as retry_tests
from tests.resilience import test_scenarios_a as scenarios_a
from tests.resilience import test_scenarios_c as scenarios_c
from tests.resilience import test_scenarios_d as scenarios_d
from tests.resilience import test_scenarios_d_fallbacks as fallback_scenarios
from tests.resilience import test_timeouts as timeout_tests

pytestmark = pytest.mark.mutation


def check_breaker(module: ModuleType) -> None:
    breaker_machine.check_breaker(module, settings(breaker_machine.BOUNDED, phases=PHASES))


def check_bulkhead(module: ModuleType) -> None:
    bulkhead_machine.check_bulkhead(module, settings(bulkhead_machine.BOUNDED, phases=PHASES))


def check_call(module: ModuleType) -> None:
    phases = (Phase.explicit, *PHASES)
    call_tests.check_call_and_permit(module, settings(max_examples=300, deadline=None, phases=phases))


def check_rates(module: ModuleType) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(breaker, "RecentCalls", module.RecentCalls)
        rates_tests.test_it_opens_exactly_when_half_of_the_last_calls_failed()


LATE_SUCCESS = """        if generation != self._generation:
            self.counters.late += 1
            return
        self.counters.successes"""
LATE_USUAL_SUCCESS = "            generation == self._generation\n            and self._state is _CLOSED\n"
LATE_FAILURE = """        if generation != self._generation:
            self.counters.late += 1
            return
        now = self.clock()
        self.counters.failures"""

BUGS = [
    Bug(
        "listeners hear in different orders",
        breaker,
        "        self.listeners.tell(self, change)",
        "        for listener in self.listeners:\n            listener(self, change)",
        with_names(
            listener_tests,
            listener_tests.test_what_a_listener_causes_is_heard_by_all_after_what_it_heard_itself,
        ),
    ),
    Bug("a late success closes", breaker, LATE_SUCCESS, "        self.counters.successes", check_breaker),
    Bug(
        "a late success counts after the breaker has closed again",
        breaker,
        LATE_USUAL_SUCCESS,
        "            self._state is _CLOSED\n",
        check_call,
    ),
    Bug(
        "a success does not end the failures in a row",
        breaker,
        "            and not self._failures\n",
        "",
        check_call,
    ),
    Bug(
        "slow calls are not noticed on the shorter way",
        breaker,
        "            and now - started < self.slow_after\n",
        "",
        check_call,
    ),
    Bug(
        "outcomes are never forgotten",
        recent_calls,
        "            self.failed -= old & 1\n",
        "",
        check_rates,
    ),
    Bug(
        "a late failure opens",
        breaker,
        LATE_FAILURE,
        "        now = self.clock()\n        self.counters.failures",
        check_breaker,
    ),
    Bug(
        "a cancelled probe keeps its lease",
        breaker,
        "BreakerState.HALF_OPEN:\n            self._probe = None",
        "BreakerState.HALF_OPEN:\n            pass",
        check_breaker,
    ),
    Bug(
        "a stale cancellation frees the probe",
        breaker,
        "if generation == self._generation and self._state is BreakerState.HALF_OPEN:",
        "if self._state is BreakerState.HALF_OPEN:",
        check_breaker,
    ),
    Bug(
        "two probes at once",
        breaker,
        "            if now < ends:\n                raise self._rejection(ends - now)",
        "            if now < ends and self._generation % 2:\n"
        "                raise self._rejection(ends - now)",
        check_breaker,
    ),
    Bug(
        "a probe never loses its lease",
        breaker,
        "            if now < ends:",
        "            if True:",
        check_breaker,
    ),
    Bug(
        "the wait after a lost probe begins with the next caller",
        breaker,
        'self._open(ends, "the probe',
        'self._open(now, "the probe',
        check_breaker,
    ),
    Bug(
        "a cancellation resets the count",
        breaker,
        "        self.counters.cancelled += 1\n        self._give_back",
        "        self.counters.cancelled += 1\n        self._failures.clear()\n        self._give_back",
        check_breaker,
    ),
    Bug(
        "old failures count",
        breaker,
        " and now - self._failures[0] <= self.timeout",
        "",
        check_breaker,
    ),
    Bug(
        "a person's hold is overruled by failures",
        breaker,
        "        if self.forced is ForcedBy.CLOSED:\n            return\n",
        "",
        check_breaker,
    ),
    Bug(
        "the caller's fault counts",
        breaker,
        "        if not self.is_failure(error):",
        "        if False:",
        check_breaker,
    ),
    Bug(
        "a restart begins the wait anew",
        breaker,
        "min(max(0.0, left), self.recovery_timeout)",
        "self.recovery_timeout",
        check_breaker,
    ),
    Bug(
        "one stored exception for every rejection",
        breaker,
        "        return CircuitOpenError(self.name, retry_after)",
        "        return globals().setdefault('_stored', CircuitOpenError('', 30))",
        with_names(
            scenarios_c,
            scenarios_c.test_scenario_21_rejections_hold_no_memory_and_no_growing_traceback,
        ),
    ),
    Bug(
        "a call counts as cancelled when it failed",
        breaker,
        "            self._failure(generation, started, error)\n            raise",
        "            self._cancelled(generation)\n            raise",
        with_names(
            scenarios_a,
            scenarios_a.test_scenario_01_the_fifth_failure_opens_and_the_sixth_call_is_refused_untouched,
        ),
    ),
    Bug(
        "a cancelled call counts as failed",
        breaker,
        "        except BaseException:\n            self._cancelled(generation)",
        "        except BaseException as error:\n            self._failure(generation, started, error)",
        with_names(scenarios_a, scenarios_a.test_scenario_04_a_cancelled_probe_makes_way_for_the_next),
    ),
    Bug(
        "our own timeout counts as the caller's cancellation",
        pipeline,
        "if isinstance(failure, Exception):",
        "if isinstance(failure, Exception) and not ours:",
        with_names(
            breaker_tests,
            breaker_tests.test_a_deadline_of_the_caller_is_neutral_and_one_of_the_pipeline_is_a_failure,
        ),
    ),
    Bug(
        "a cancel after the grant loses the place",
        bulkhead,
        "waiter.exception() is None:\n                self.release()",
        "waiter.exception() is None:\n                pass",
        check_bulkhead,
    ),
    Bug(
        "a cancelled waiter is given a place",
        bulkhead,
        "waiter.set_result(None)\n                return\n",
        "waiter.set_result(None)\n            return\n",
        check_bulkhead,
    ),
    Bug(
        "last in, first out",
        bulkhead,
        "waiter = self._waiting.popleft()",
        "waiter = self._waiting.pop()",
        check_bulkhead,
    ),
    Bug("newcomers overtake", bulkhead, "self._free += 1", "self._free += 2", check_bulkhead),
    Bug(
        "cancelled waiters fill the queue",
        bulkhead,
        "sum(not waiter.done() for waiter in self._waiting)",
        "len(self._waiting)",
        check_bulkhead,
    ),
    Bug(
        "a full queue takes one more",
        bulkhead,
        "if self.waiting >= self.queue_size:",
        "if self.waiting > self.queue_size:",
        check_bulkhead,
    ),
    Bug(
        "a failed call keeps its place",
        bulkhead,
        "        finally:\n            self.release()\n",
        "        except ZeroDivisionError:\n            self.release()\n            raise\n",
        with_names(
            bulkhead_tests,
            bulkhead_tests.test_scenario_18_a_hundred_thousand_cancels_leave_every_place_and_no_waiter,
        ),
    ),
    Bug(
        "a callee's TimeoutError is taken for ours",
        timeouts,
        "isinstance(error, asyncio.CancelledError)",
        "True",
        with_names(
            timeout_tests,
            timeout_tests.test_a_body_that_swallows_its_cancellation_is_seen_to_have_expired,
        ),
    ),
    Bug(
        "a child may take all that its parent has",
        timeouts,
        "min(seconds, (left - MARGIN) / (1 + GRACE))",
        "min(seconds, left)",
        with_names(
            timeout_tests,
            lambda: timeout_tests.test_scenario_24_a_child_gets_less_than_its_parent_has(1.0, False),
        ),
    ),
    Bug(
        "the caller's cancellation becomes a timeout",
        timeouts,
        "self._task.uncancel() <= self._cancelling and",
        "self._task.uncancel() >= 0 and",
        with_names(
            timeout_tests, timeout_tests.test_a_cancellation_of_the_callers_is_never_turned_into_a_timeout
        ),
    ),
    Bug(
        "a deadline fails in the clean-up of a cancelled task",
        timeouts,
        "self._cancelling = task.cancelling()",
        "self._cancelling = 0",
        with_names(timeout_tests, timeout_tests.test_a_deadline_holds_in_the_clean_up_of_a_cancelled_task),
    ),
    Bug(
        "a cancelled caller leaves its call behind unlisted",
        timeouts,
        "                await self._end(task, GRACE * limit, name)",
        "                task.cancel()",
        with_names(
            timeout_tests,
            timeout_tests.test_scenario_23_a_callers_cancellation_leaves_no_call_behind_unlisted,
        ),
    ),
    Bug(
        "the limits of the call before apply",
        retry,
        "if self._last is None or self._last[0] != limits:",
        "if self._last is None:",
        with_names(
            retry_tests,
            lambda: asyncio.run(retry_tests.test_one_handler_keeps_the_limits_of_each_call_apart()),
        ),
    ),
    Bug(
        "the budget has no limit",
        budget,
        "            self.counters.refused += 1\n            return False\n",
        "            self.counters.refused += 1\n",
        with_names(budget_tests, budget_tests.test_a_lone_call_may_be_retried_as_often_as_the_floor_allows),
    ),
    Bug(
        "a retry is charged before it is made",
        pipeline,
        "not budget.has_room()",
        "not budget.try_retry()",
        with_names(
            scenarios_d,
            scenarios_d.test_scenario_27_a_retry_that_its_caller_gave_up_takes_nothing_from_the_others,
        ),
    ),
    Bug(
        "a budget that was asked before the wait is not asked after it",
        pipeline,
        "            if budget is not None and not budget.try_retry():\n"
        "                raise self._exhausted(errors, late=False)\n",
        "            if budget is not None:\n                budget.try_retry()\n",
        with_names(
            scenarios_d,
            scenarios_d.test_scenario_27_retries_are_held_to_the_window_in_which_they_are_made,
        ),
    ),
    Bug(
        "a late answer of the primary ends degraded mode",
        pipeline,
        "            fallback.is_back = lambda: breaker.state is BreakerState.CLOSED\n",
        "            pass\n",
        with_names(
            guard, fallback_scenarios.test_scenario_28_degraded_ends_only_when_the_primary_has_closed_again
        ),
    ),
    Bug(
        "a late fallback brings degraded mode back",
        fallback,
        "            if answered == self.counters.primary:\n",
        "            if True:\n",
        with_names(
            fallback_scenarios,
            fallback_scenarios.test_scenario_28_a_fallback_that_answers_late_does_not_bring_degraded_mode_back,
        ),
    ),
    Bug(
        "each miss refreshes",
        fallback,
        "return await self._refresh(key, find), 0.0",
        "return await find(), 0.0",
        with_names(
            fallback_scenarios,
            fallback_scenarios.test_scenario_29_a_hundred_concurrent_misses_cause_one_refresh,
        ),
    ),
    Bug(
        "one retry too many",
        budget,
        "len(self._retries) + 1 > self._floor",
        "len(self._retries) >= self._floor",
        with_names(
            budget_tests,
            budget_tests.test_scenario_27_no_window_that_ends_with_a_retry_has_more_than_the_share_and_the_floor,
        ),
    ),
]


@pytest.mark.parametrize("bug", BUGS, ids=named)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    find(bug, monkeypatch)
