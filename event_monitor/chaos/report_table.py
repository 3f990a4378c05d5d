"""A report as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from event_monitor.chaos.report_figures import (
    NOTHING,
    Totals,
    millis,
    seconds_of,
    share,
    spread,
    totals,
    what_ran,
    whole,
)
from event_monitor.chaos.results import CascadeResult, CascadeSide, ChaosReport, ScenarioResult
from event_monitor.grammar.text import clip, pad, plain

WIDE, NARROW = 100, 80


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and what stands below it. ``spare`` ones are left out where there is little room."""

    heading: str
    cell: Callable[[ScenarioResult], str]
    right: bool = True
    spare: bool = False


def _recovery(scenario: ScenarioResult, which: str) -> str:
    found = spread(scenario.recoveries)
    return f"{getattr(found, which):.2f}" if found else NOTHING


# Seconds without their unit, to fit: the line below the table names it.
COLUMNS = (
    Column("scenario", lambda s: s.name, right=False),
    Column("result", lambda s: "FAILED" if s.failures else "passed", right=False),
    Column("accepted", lambda s: whole(s.account.accepted)),
    Column("kept", lambda s: share(s.account.accounted_share)),
    Column("lost", lambda s: whole(s.account.lost)),
    Column("again", lambda s: whole(s.account.again), spare=True),
    Column("p50", lambda s: _recovery(s, "p50")),
    Column("p95", lambda s: _recovery(s, "p95"), spare=True),
    Column("max", lambda s: _recovery(s, "longest")),
    Column("limit", lambda s: f"{s.recovery_limit:g}", spare=True),
    Column("latency", lambda s: millis(s.latency.steady_p95)),
)
_KEY = (
    "kept: delivered or settled on purpose, of what was accepted; again: seen more than once; p50 to limit: "
    "seconds of recovery; latency: p95 between faults"
)
_LONGEST_NAME = 24


def as_table(report: ChaosReport, width: int = WIDE) -> str:
    """The report as aligned lines of at most ``width`` cells (and at least ``NARROW``)."""
    width = max(width, NARROW)
    found = totals(report)
    parts = [_verdict(report, found, width)]
    if report.scenarios:
        parts.append(_rows(report.scenarios, width))
    parts += [_failures(scenario, width) for scenario in report.scenarios if scenario.failures]
    if report.cascade is not None:
        parts.append(_cascade(report.cascade, width))
    parts.append(_origin(report, width))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _wrapped(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(
        plain(text), width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    )


def _verdict(report: ChaosReport, found: Totals, width: int) -> str:
    account = found.account
    if not report.scenarios:
        return f"{'PASSED' if report.passed else 'FAILED'}: {what_ran(report)}, {report.seconds:.0f} s"
    lines = [
        f"{'PASSED' if report.passed else 'FAILED'}: {what_ran(report)}, "
        f"{found.faults} faults, {report.seconds:.0f} s",
        f"events     {whole(account.accepted)} accepted, {share(account.accounted_share)} accounted for: "
        f"{whole(account.delivered)} delivered, {whole(account.dead)} dead letters, "
        f"{whole(account.expired)} expired, {whole(account.sampled)} sampled, {whole(account.lost)} lost",
    ]
    if found.recovery is not None:
        back = found.recovery
        lines.append(
            f"recovery   p50 {seconds_of(back.p50)}, p95 {seconds_of(back.p95)}, "
            f"max {seconds_of(back.longest)}"
        )
    lines.append(f"latency    p95 at most {millis(found.slowest_p95)} while no fault is at work")
    lines.append(f"deadlocks  {found.deadlocks}")
    return "\n".join(_wrapped(line, width) for line in lines)


def _rows(scenarios: Sequence[ScenarioResult], width: int) -> str:
    columns = [column for column in COLUMNS if width >= WIDE or not column.spare]
    cells = [[plain(column.cell(scenario)) for column in columns] for scenario in scenarios]
    for row in cells:
        row[0] = clip(row[0], _LONGEST_NAME)
    lines = [[column.heading for column in columns], *cells]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    drawn = [
        "  ".join(
            pad(cell, room, right=column.right)
            for cell, room, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    ]
    drawn.insert(1, "  ".join("─" * room for room in widths))
    return "\n".join([*(clip(line, width) for line in drawn), _wrapped(_KEY, width)])


def _failures(scenario: ScenarioResult, width: int) -> str:
    lines = [_wrapped(f"FAILED {scenario.name}: {scenario.title}", width)]
    lines += [_wrapped(f"- {failure}", width, "  ") for failure in scenario.failures]
    return "\n".join(lines)


CASCADE_ROWS: tuple[tuple[str, Callable[[CascadeSide], str]], ...] = (
    ("failures that cascaded", lambda side: whole(side.cascaded)),
    ("failed calls to the faulty service itself", lambda side: whole(side.own)),
    ("visitors", lambda side: whole(side.calls)),
    ("answered", lambda side: whole(side.answered)),
    ("of these with a stand-in", lambda side: whole(side.degraded)),
    ("visitors who did not need the faulty service", lambda side: whole(side.bystanders[0])),
    ("of these turned away", lambda side: whole(side.bystanders[1])),
    ("p95 of the answered", lambda side: millis(side.latency_p95)),
)
"""What the two sides are compared by."""


def cascade_verdict(result: CascadeResult) -> str:
    """In one sentence, what the layer did."""
    if result.ratio is None:
        return "nothing cascaded without the layer: this run shows nothing"
    return (
        f"{whole(result.on.cascaded)} failures cascaded with the layer, "
        f"{whole(result.off.cascaded)} without: {share(result.ratio, 0)}"
    )


def _cascade(result: CascadeResult, width: int) -> str:
    rows = [("", "off", "on")]
    rows += [(label, cell(result.off), cell(result.on)) for label, cell in CASCADE_ROWS]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    lines = [
        f"  {pad(label, widths[0])}  {pad(off, widths[1], right=True)}  {pad(on, widths[2], right=True)}"
        for label, off, on in rows
    ]
    return "\n".join(
        [
            _wrapped(f"cascade {'passed' if result.halved else 'FAILED'}: {cascade_verdict(result)}", width),
            *lines,
        ]
    )


def _origin(report: ChaosReport, width: int) -> str:
    said = (
        f"event-monitor {report.version}, seed {report.seed}, begun {report.started_at} on {report.machine}"
    )
    return _wrapped(said, width) + "\n" + _wrapped(f"again: {report.command}", width)
