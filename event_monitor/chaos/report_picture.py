"""A report as one picture, for a README or a chat: the verdict, the figures and the cascade."""

from __future__ import annotations

from event_monitor.chaos.report_figures import (
    Totals,
    millis,
    seconds_of,
    share,
    spread,
    totals,
    what_ran,
    whole,
)
from event_monitor.chaos.report_markup import CHART_STYLE, PALETTE, Markup, svg, tag, text
from event_monitor.chaos.report_table import cascade_verdict
from event_monitor.chaos.results import ChaosReport, ScenarioResult
from event_monitor.grammar.text import clip

_WIDTH = 760.0
_MARGIN, _NAMES, _NUMBERS = 24.0, 190.0, 110.0
_ROW = 18.0
_HEADING = "seconds from each heal until all was well: median, longest"


def as_svg(report: ChaosReport) -> str:
    """The picture, in the colours that its viewer prefers."""
    found = totals(report)
    lines = _figures(found) if report.scenarios else []
    if report.cascade is not None:
        lines.append(f"{cascade_verdict(report.cascade)}")
    top = 58.0 + 20 * len(lines) + 26
    height = top + _ROW * len(report.scenarios) + 34
    longest = max([0.001, *(seconds for one in report.scenarios for seconds in one.recoveries)])
    verdict = f"{'✓ passed' if report.passed else '✕ failed'}: {what_ran(report)}"
    return (
        svg(
            _WIDTH,
            height,
            f"event-monitor chaos report, seed {report.seed}: {verdict}",
            " ".join(f"{line}." for line in lines),
            f"<style>{PALETTE}{CHART_STYLE}</style>",
            tag("rect", class_="paper", x=0, y=0, width=_WIDTH, height=height, rx=8),
            tag("text", text(verdict), class_=f"big {'good' if report.passed else 'bad'}", x=_MARGIN, y=40),
            *(
                tag("text", text(line), class_="ink large", x=_MARGIN, y=66 + 20 * place)
                for place, line in enumerate(lines)
            ),
            tag("text", text(_HEADING if report.scenarios else ""), x=_MARGIN, y=top - 10),
            *(_row(one, top + _ROW * place, longest) for place, one in enumerate(report.scenarios)),
            tag(
                "text",
                text(clip(f"{report.command}   event-monitor {report.version}", 120)),
                x=_MARGIN,
                y=height - 14,
            ),
            key="report",
        )
        + "\n"
    )


def _figures(found: Totals) -> list[str]:
    lines = [
        f"{whole(found.account.accepted)} events accepted, {whole(found.account.lost)} lost, "
        f"{share(found.account.accounted_share)} accounted for; {found.deadlocks} deadlocks",
        f"latency p95 at most {millis(found.slowest_p95)} between faults",
    ]
    if found.recovery is not None:
        back = found.recovery
        lines[1] += (
            f"; recovery p50 {seconds_of(back.p50)}, p95 {seconds_of(back.p95)}, "
            f"max {seconds_of(back.longest)}"
        )
    return lines


def _row(scenario: ScenarioResult, y: float, longest: float) -> Markup:
    room = _WIDTH - 2 * _MARGIN - _NAMES - _NUMBERS
    found = spread(scenario.recoveries)
    parts = [
        tag("text", text(clip(scenario.name, 30)), class_="ink", x=_MARGIN, y=y + 11),
    ]
    if found is not None:
        for name, value in (("bar-soft", found.longest), ("bar", found.p50)):
            parts.append(
                tag("rect", class_=name, x=_MARGIN + _NAMES, y=y + 4, width=room * value / longest, height=8)
            )
        said = f"{seconds_of(found.p50)}, {seconds_of(found.longest)}"
        parts.append(tag("text", text(said), class_="end", x=_WIDTH - _MARGIN, y=y + 11))
    if scenario.failures:
        parts.append(tag("text", "✕", class_="bad", x=_MARGIN - 14, y=y + 11))
    return "".join(parts)
