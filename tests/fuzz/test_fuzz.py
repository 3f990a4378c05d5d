"""A short run of every target, and that the harness itself finds, tells and shrinks what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.parser import parse
from tests.fuzz.harness import Check, Target, minimised, run
from tests.fuzz.targets import TARGETS

CASES = 3_000


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_finds_nothing(name: str) -> None:
    target = TARGETS[name]
    outcome = run(target, CASES // target.weight, "pytest")
    assert outcome.failures == []
    assert outcome.cases == CASES // target.weight


@pytest.mark.parametrize("name", TARGETS)
def test_a_case_depends_on_its_seed_only(name: str) -> None:
    first, again = (TARGETS[name].generate(random.Random("7")) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("words", [["dlq", "retry"], ["publish", "a"], ["events", "--type"]])
def test_the_parser_s_time_grows_no_faster_than_its_words(words: list[str]) -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        with contextlib.suppress(InvalidRequest):
            parse([*words, *["1"] * count])
        return time.process_time() - began

    seconds(10)
    # Eight times as many words; a quadratic parser would need 64 times as long.
    assert seconds(40_000) < 30 * max(min(seconds(5_000) for _ in range(3)), 0.005)


# --- the harness ----------------------------------------------------------------------------


def _with(check: Check, end: Callable[[], None] = lambda: None) -> Target:
    @contextlib.contextmanager
    def opened() -> Iterator[Check]:
        yield check
        end()

    return Target("planted", lambda rng: rng.randbytes(40), opened)


def _raises(case: bytes) -> None:
    if b"\x07" in case:
        raise KeyError("seven")


def _logs(case: bytes) -> None:
    if b"\x07" in case:
        logging.getLogger("somebody").error("seven")


def _callback_fails(case: bytes) -> None:
    async def fail() -> None:
        if b"\x07" in case:
            asyncio.get_running_loop().call_soon(_raises, case)
            await asyncio.sleep(0)

    asyncio.run(fail())


@pytest.mark.parametrize("check", [_raises, _logs, _callback_fails])
def test_a_planted_failure_is_found_and_made_small(check: Check) -> None:
    outcome = run(_with(check), 200, "s")
    assert outcome.failures
    assert "--seed s --first " in outcome.failures[0]
    assert "seven" in outcome.failures[0]
    assert r"minimised: b'\x07'" in outcome.failures[0]


def test_a_file_left_open_and_a_bad_end_are_told() -> None:
    held: list[Any] = []

    def end() -> None:
        held.extend(os.pipe())
        raise RuntimeError("the bus is dead")

    try:
        outcome = run(_with(lambda case: None, end), 3, "s")
    finally:
        for number in held:
            os.close(number)
    assert ["the bus is dead" in outcome.failures[0], "files stayed open" in outcome.failures[-1]] == [
        True
    ] * 2


def test_a_list_is_made_small_too() -> None:
    assert minimised(list(range(50)), lambda part: {7, 31} <= set(part)) == [7, 31]
