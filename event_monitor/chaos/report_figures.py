"""The figures that a report is drawn from, and how numbers are written in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from event_monitor.chaos.results import Account, ChaosReport, ScenarioResult

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle, the 95th percentile (nearest rank) and the largest of some seconds."""

    p50: float
    p95: float
    longest: float


def spread(values: Iterable[float]) -> Spread | None:
    """None if there are no values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Spread(_rank(ordered, 0.5), _rank(ordered, 0.95), ordered[-1])


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Totals:
    """A whole run in a few figures. ``slowest_p95`` is the worst scenario's latency while no fault was at
    work, in milliseconds."""

    passed: int
    scenarios: int
    account: Account
    recovery: Spread | None
    deadlocks: int
    faults: int
    slowest_p95: float | None


def totals(report: ChaosReport) -> Totals:
    """Sum a run up."""
    accounts = [scenario.account for scenario in report.scenarios]
    steady = [s.latency.steady_p95 for s in report.scenarios if s.latency.steady_p95 is not None]
    return Totals(
        passed=sum(not scenario.failures for scenario in report.scenarios),
        scenarios=len(report.scenarios),
        account=Account(
            **{name: sum(getattr(one, name) for one in accounts) for name in Account.__struct_fields__}
        ),
        recovery=spread(seconds for scenario in report.scenarios for seconds in scenario.recoveries),
        deadlocks=sum(scenario.deadlocks for scenario in report.scenarios),
        faults=sum(len(scenario.faults) for scenario in report.scenarios),
        slowest_p95=max(steady, default=None),
    )


def what_ran(report: ChaosReport) -> str:
    """In a few words."""
    if report.scenarios:
        passed = sum(not scenario.failures for scenario in report.scenarios)
        return f"{passed} of {len(report.scenarios)} scenarios"
    return "nothing was run" if report.cascade is None else "compared with and without the layer"


def length_of(scenario: ScenarioResult) -> float:
    """How many seconds of a scenario are to be shown."""
    ends = [scenario.seconds, *(mark.healed for mark in scenario.faults), *(s.at for s in scenario.samples)]
    return max([1.0, *ends, *recovered_at(scenario)])


def recovered_at(scenario: ScenarioResult) -> list[float]:
    """When it was well again after each heal."""
    return [
        mark.healed + seconds for mark, seconds in zip(scenario.faults, scenario.recoveries, strict=False)
    ]


def whole(number: int) -> str:
    """An integer, its thousands apart."""
    return f"{number:,}"


def share(part: float, digits: int = 2) -> str:
    """A share as percent. Only what is whole is written as 100 %, only nothing as 0 %."""
    if part in (0.0, 1.0):
        return f"{part:.0%}".replace("%", " %")
    text = f"{100 * part:.{digits}f}"
    if float(text) in (0.0, 100.0):
        edge = 10**-digits
        return f"< {edge:g} %" if part < 0.5 else f"> {100 - edge:g} %"
    return f"{text} %"


def seconds_of(value: float | None) -> str:
    """Seconds, with as many digits as can be meant."""
    if value is None:
        return NOTHING
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def millis(value: float | None) -> str:
    """Milliseconds, or seconds where they are many."""
    if value is None:
        return NOTHING
    if value >= 10_000:
        return f"{value / 1_000:.1f} s"
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"


def nice_top(value: float) -> float:
    """A round number that is not below ``value``, to end an axis with."""
    if value <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if size >= 10 else (1, 2, 3, 4, 5, 6, 8, 10)
    return next(step * size for step in steps if step * size >= value * 0.999)


def ticks(longest: float) -> list[float]:
    """Round places on an axis of seconds, at most seven."""
    step = next((s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600) if longest / s <= 6), 3600)
    return [float(step * number) for number in range(int(longest / step) + 1)]
