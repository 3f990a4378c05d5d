"""Figures and names on the pages are those of the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from event_monitor.config import Settings
from event_monitor.resilience import Bulkhead, CircuitBreaker, RetryBudget
from event_monitor.resilience.health import POLICIES
from event_monitor.resilience.retry import STRATEGIES
from event_monitor.resilience.timeouts import TIERS
from tests.docs.pages import CHECKOUT, PAGES, page, read

_SETTING = re.compile(r"([a-z_]+)\.([a-z_]+)(?:: .*)?")
DOCS = [path for path in PAGES if path.parent == CHECKOUT / "docs"]


def rows(name: str) -> dict[str, list[str]]:
    """The rows of a page's tables by what stands first in them, without the marks of code."""
    cells = [
        [cell.strip().replace("`", "") for cell in line.strip("| ").split(" | ")]
        for line in page(name).prose.splitlines()
        if line.startswith("| ")
    ]
    return {first: rest for first, *rest in cells}


def defaults(of: Any) -> dict[str, Any]:
    """What a function takes where nothing is said."""
    return {name: one.default for name, one in inspect.signature(of).parameters.items()}


def test_the_breaker_has_the_defaults_of_its_table() -> None:
    table, code = rows("resilience"), defaults(CircuitBreaker)
    for name in ("failure_threshold", "timeout", "recovery_timeout", "failure_rate"):
        assert float(table[name][0].removesuffix(" s")) == code[name]
    assert table["window, minimum_calls"][0] == f"{code['window']}, {code['minimum_calls']}"
    assert table["slow_rate, slow_after"][0] == f"{code['slow_rate']}, {code['slow_after']:g} s"


def test_tiers_strategies_and_checks_are_those_of_their_tables() -> None:
    table = rows("resilience")
    assert {name: float(table[name][0]) for name in TIERS} == TIERS
    for name, strategy in STRATEGIES.items():
        told = [float(number) for number in re.findall(r"\d+", table[name][0])]
        assert told == [strategy(retry) for retry in range(len(told))]
    for kind, policy in POLICIES.items():
        assert table[kind.value][:2] == [f"{policy.interval:g} s", f"{policy.limit:g} s"]
        assert table[kind.value][2].startswith(f"{policy.failures} ")


def test_bulkhead_and_budget_are_as_they_are_told() -> None:
    bulkhead, budget = defaults(Bulkhead), defaults(RetryBudget)
    told = page("resilience").prose
    assert (
        f"Bulkhead(max_concurrent={bulkhead['max_concurrent']}, queue_size={bulkhead['queue_size']}, "
        f"timeout={bulkhead['timeout']:g})"
    ) in told
    assert f"{budget['ratio']:.0%}".replace("%", " %") in told and f"and {budget['floor']} more" in told


def test_the_queue_has_the_limits_that_are_told() -> None:
    told, queue = page("delivery").prose, Settings().queue
    assert f"`queue.max_in_memory` ({queue.max_in_memory:,})" in told
    assert f"`queue.max_backlog` ({queue.max_backlog:,})" in told
    assert f"{queue.max_waiting:,} publishers of one source" in told
    assert f"{queue.reserve:,} places more" in told
    assert f"Deeper than {Settings().bus.max_causation_depth} (`bus.max_causation_depth`)" in told


@pytest.mark.parametrize("path", DOCS, ids=[path.stem for path in DOCS])
def test_every_setting_that_is_named_exists(path: Path) -> None:
    sections = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    unknown = []
    for code in read(path).inline_code:
        named = _SETTING.fullmatch(code)
        section = sections.get(named[1]) if named else None
        if named is None or not (isinstance(section, type) and issubclass(section, msgspec.Struct)):
            continue
        if named[2] not in section.__struct_fields__:
            unknown.append(code)
    assert not unknown
