"""A day of the whole runtime on virtual time, cut short.

``EVENT_MONITOR_HOURS`` says how long it is; the whole scenario is 24, and twenty seeds of it:
``python -m tests.soak --virtual --seeds 1-20 --twice``.
"""

from __future__ import annotations

import os

import pytest

from tests.soak.days import HEAD, DayReport, live

HOURS = int(os.environ.get("EVENT_MONITOR_HOURS", "8"))


def check(report: DayReport) -> None:
    print(HEAD, report.line(), sep="\n")
    assert not report.wrong
    for state in ("HEALTHY", "DEGRADED", "RECOVERING", "FAILED"):
        assert report.by_state[state] > 0, f"{state} was never reached"
    for state in ("OPEN", "HALF_OPEN", "CLOSED"):
        assert report.by_breaker[state] > report.hours, f"breakers were seldom {state}"
    assert report.breaker_changes > 10 * report.hours


@pytest.mark.slow
def test_scenario_34_a_day_with_hourly_outages_loses_nothing_and_every_transition_has_a_reason() -> None:
    report = live(seed=1, hours=HOURS)
    check(report)
    assert report.by_state["MAINTENANCE"] > 0
    assert report.events > 500 * HOURS


@pytest.mark.slow
def test_scenario_34_the_same_seed_is_the_same_day() -> None:
    first, again = live(seed=2, hours=3), live(seed=2, hours=3)
    check(first)
    assert first.digest == again.digest
