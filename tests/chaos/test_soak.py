"""The long run, cut short: everything that ``python -m tests.soak`` does, in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.faults import FAULTS
from tests.soak.report import text_of
from tests.soak.run import soak

MINUTES, RATE = 0.4, 150.0


@pytest.mark.slow
async def test_scenario_35_a_soak_in_real_time_loses_nothing_and_ends_well(
    tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    """How fast it was, and how flat memory, descriptors and tasks, is told and decides nothing."""
    outcome = await soak(tmp_path, minutes=MINUTES, seed=35, rate=RATE, publishers=2, tell=print)
    text = text_of(outcome)
    print(text)
    record_property("soak", text)
    assert not outcome.broken
    assert outcome.account.figures["promised_by_the_ledgers"] > 0
    assert {one.name for one in outcome.happened} == {fault.__name__ for fault in FAULTS}
    assert {life.how for life in outcome.lives} == {"kill -9", "SIGTERM"}
