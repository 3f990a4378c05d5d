"""The bus against a plain model, in any order of publishes, failures, waits, kills and restarts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from event_monitor.model import Priority
from tests.bus.queue_machine import QueueMachine
from tests.bus.replay_machine import ReplayMachine
from tests.reached import must_reach

BOUNDED = settings(
    derandomize=True,
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def check_queue(how: settings = BOUNDED) -> None:
    """Raise if the bus ever differs from the model."""
    run_state_machine_as_test(QueueMachine, settings=how)


def check_replays(how: settings = BOUNDED) -> None:
    """Likewise, with replays in it."""
    run_state_machine_as_test(ReplayMachine, settings=how)


def kill_while_spilled() -> None:
    """One target is stuck, so that what it is owed is written down; then the other one too; then a kill."""
    machine = QueueMachine()
    try:
        machine.begin()
        machine.become("a", "block")
        for _ in range(2):
            machine.publish(20, "to.both", Priority.NORMAL, None, None, True)
        machine.wait(0.1)
        machine.become("b", "block")
        machine.publish(10, "to.both", Priority.NORMAL, None, None, True)
        machine.wait(0.1)
        machine.audit()
        machine.kill(0)
        machine.wait(0.1)
    finally:
        machine.teardown()


def park_what_is_tried_again() -> None:
    """Retries come due while a person holds the breaker open."""
    machine = QueueMachine()
    try:
        machine.begin()
        machine.become("a", "fail")
        machine.publish(3, "to.a", Priority.NORMAL, None, None, True)
        machine.wait(0.1)
        machine.shut("a", True)
        machine.wait(4.0)
        machine.audit()
    finally:
        machine.teardown()


def fill_the_backlog() -> None:
    """More is published than there is room for, then what may use the reserve, then all is delivered."""
    machine = QueueMachine()
    with must_reach("the backlog is full", "the reserve is used"):
        try:
            machine.begin()
            machine.become("a", "block")
            for priority in (*[Priority.NORMAL] * 5, Priority.CRITICAL):
                machine.publish(20, "to.a", priority, None, None, True)
            machine.wait(0.1)
            machine.kill(0)
            machine.become("a", "ok")
            machine.wait(60.0)
            machine.audit()
        finally:
            machine.teardown()


def kill_between_steps() -> None:
    """A replay that is led step by step is killed after one, and goes on."""
    machine = ReplayMachine()
    try:
        machine.begin()
        machine.publish(20, "to.both", Priority.NORMAL, None, None, True)
        machine.wait(1.0)
        machine.lead_replay(None, "max", ["step", "kill", "step", "restart", "resume", "wait"])
        machine.audit()
    finally:
        machine.teardown()


SCRIPTS = (kill_while_spilled, park_what_is_tried_again, fill_the_backlog, kill_between_steps)


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_chance_seldom_reaches(script: Callable[[], None]) -> None:
    script()


@pytest.mark.slow
def test_the_bus_does_what_the_model_says() -> None:
    with must_reach(
        *("accepted", "duplicate", "sampled", "expired", "dead", "parked"),
        *("on disk: queued", "on disk: retrying", "on disk: dropped"),
        *("a breaker is OPEN", "a breaker is held open", "a delivery tries a breaker that is half-open"),
    ):
        check_queue()


@pytest.mark.slow
def test_the_bus_replays_as_the_model_says() -> None:
    check_replays()
