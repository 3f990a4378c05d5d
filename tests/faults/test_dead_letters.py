"""Scenario 42: ten thousand dead letters and three kills: none is lost, none is doubled, in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.account import check_files
from tests.processes import Headless, wait_for

LETTERS = 10_000
BATCH = 250
KILL_AFTER = (9, 20, 31)
TARGET = "failing"


@pytest.mark.slow
def test_42_dead_letters_outlive_three_kills(home: Path) -> None:
    bus = Headless(home)
    try:
        handler = "py:tests.faults.failing:fail"
        bus.ask(do="subscribe", pattern="doomed.#", handler=handler, name=TARGET)
        for number in range(LETTERS // BATCH):
            lines = [
                json.dumps({"event_type": "doomed.letter", "payload": {"name": number * BATCH + place}})
                for place in range(BATCH)
            ]
            assert bus.ask(do="publish_lines", lines=lines)["accepted"] == BATCH
            if number in KILL_AFTER:
                bus.kill()
                bus = Headless(home)
        wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0, timeout=60)
        letters = _all_letters(bus)
        assert [letter["payload"]["name"] for letter in letters] == list(range(LETTERS))
        assert bus.ask(do="get_stats")["dead"] == LETTERS
    finally:
        assert bus.stop() == 0
    check_files(home)


def _all_letters(bus: Headless) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = []
    after = None
    while True:
        page = bus.ask(do="query_dead_letters", target=TARGET, after=after, limit=1_000)
        letters += page["dead_letters"]
        if not page["more"]:
            return letters
        after = (letters[-1]["id"], TARGET)
