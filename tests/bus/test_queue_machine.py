"""The bus against a plain model, in any order of publishes, failures, waits, kills and restarts."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.bus.queue_machine import QueueMachine

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


@pytest.mark.slow
def test_the_bus_does_what_the_model_says() -> None:
    check_queue()
