"""The pictures of a report: a scenario over time, how long recovery took, and the cascade."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from event_monitor.chaos.report_figures import (
    length_of,
    millis,
    nice_top,
    recovered_at,
    seconds_of,
    spread,
    ticks,
    whole,
)
from event_monitor.chaos.report_markup import STATES, Markup, path_of, svg, tag, text
from event_monitor.chaos.results import CascadeResult, CascadeSide, FaultMark, ScenarioResult

Point = tuple[float, float]

_WIDTH, _LEFT, _RIGHT = 360.0, 34.0, 10.0
_APART = 40.0
"""How far apart two labels must be to be read."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a picture: seconds from left to right, a value from ``bottom`` up to ``top``."""

    top: float
    bottom: float
    seconds: float
    highest: float
    width: float = _WIDTH

    def x(self, seconds: float) -> float:
        """Where a moment is."""
        return _LEFT + (self.width - _LEFT - _RIGHT) * min(max(seconds / self.seconds, 0.0), 1.0)

    def y(self, value: float) -> float:
        """Where a value is."""
        return self.bottom - (self.bottom - self.top) * min(max(value / self.highest, 0.0), 1.0)

    def frame(self, unit: str) -> Markup:
        """Its base and top lines, and what they stand for."""
        left, right = _LEFT, self.width - _RIGHT
        return (
            tag("line", class_="grid", x1=left, x2=right, y1=self.top, y2=self.top)
            + tag("line", class_="axis", x1=left, x2=right, y1=self.bottom, y2=self.bottom)
            + tag("text", text(f"{self.highest:g}"), class_="end", x=left - 4, y=self.top + 4)
            + tag("text", "0", class_="end", x=left - 4, y=self.bottom + 1)
            + tag("text", text(unit), x=left + 2, y=self.top - 3)
        )

    def line(self, points: Sequence[Point], name: str, *, filled: bool = False) -> Markup:
        """A line through moments and values."""
        if not points:
            return ""
        placed = [(self.x(at), self.y(value)) for at, value in points]
        line = tag("path", class_=name, d=path_of(placed))
        if not filled:
            return line
        area = [(placed[0][0], self.bottom), *placed, (placed[-1][0], self.bottom)]
        return tag("path", class_=f"{name}-fill", d=path_of(area) + "Z") + line


def _faults(panel: Panel, faults: Iterable[FaultMark], bottom: float) -> Markup:
    """Shaded bands, numbered where there is room."""
    parts: list[Markup] = []
    last = -_APART
    for number, mark in enumerate(faults, 1):
        left, right = panel.x(mark.began), panel.x(mark.healed)
        width = max(right - left, 2.0)
        parts.append(tag("rect", class_="fault", x=left, y=panel.top, width=width, height=bottom - panel.top))
        parts.append(tag("line", class_="fault-edge", x1=left, x2=left, y1=panel.top, y2=bottom))
        middle = left + width / 2
        if middle - last >= 12:
            parts.append(tag("text", str(number), class_="fault-name mid", x=middle, y=panel.bottom + 11))
            last = middle
    return "".join(parts)


def _recoveries(panel: Panel, scenario: ScenarioResult, bottom: float) -> Markup:
    """A line where all was well again, and after how long."""
    parts: list[Markup] = []
    last = -_APART
    for at, seconds in zip(recovered_at(scenario), scenario.recoveries, strict=False):
        x = panel.x(at)
        parts.append(tag("line", class_="back", x1=x, x2=x, y1=panel.top, y2=bottom))
        parts.append(
            tag("path", class_="back-head", d=f"M{x - 4:.1f} {panel.top}h8l-4 6z"),
        )
        if x - last >= _APART:
            place = min(max(x, _LEFT + 16), panel.width - 22)
            parts.append(
                tag("text", text(f"+{seconds:.1f} s"), class_="back-name mid", x=place, y=panel.top - 4)
            )
            last = x
    return "".join(parts)


def _axis(panel: Panel, y: float) -> Markup:
    places = ticks(panel.seconds)
    return "".join(
        tag("text", text(f"{at:g}" + (" s" if at == places[-1] else "")), class_="mid", x=panel.x(at), y=y)
        for at in places
    )


def _strip(panel: Panel, scenario: ScenarioResult, y: float) -> Markup:
    """The states as a band."""
    ends = [*(mark.at for mark in scenario.states[1:]), panel.seconds]
    parts: list[Markup] = []
    for mark, end in zip(scenario.states, ends, strict=False):
        left, right = panel.x(mark.at), panel.x(end)
        name = f"s-{mark.state.lower()}" if mark.state in STATES else "s-initializing"
        parts.append(
            tag(
                "rect",
                tag("title", text(f"{mark.state} from {mark.at:.1f} s")),
                class_=name,
                x=left,
                y=y,
                width=max(right - left, 0.8),
                height=9.0,
            )
        )
    return "".join(parts)


def scenario_chart(scenario: ScenarioResult, key: str) -> Markup:
    """Events a second and what is queued, the faults as bands, the states as a strip."""
    seconds = length_of(scenario)
    samples = scenario.samples
    busiest = max((max(s.published, s.handled) for s in samples), default=0)
    deepest = max((s.queue_depth or 0 for s in samples), default=0)
    flow = Panel(24.0, 84.0, seconds, nice_top(busiest))
    queue = Panel(104.0, 136.0, seconds, nice_top(deepest))
    return svg(
        _WIDTH,
        170.0,
        f"{scenario.name}: throughput, queue and state over time",
        _described(scenario, busiest, deepest),
        _faults(flow, scenario.faults, queue.bottom),
        flow.frame(""),
        tag("text", "events/s", x=_LEFT + 2, y=flow.top - 12),
        queue.frame("queued"),
        flow.line([(s.at, s.handled) for s in samples], "handled", filled=True),
        flow.line([(s.at, s.published) for s in samples], "published"),
        *(queue.line(part, "queue", filled=True) for part in _unbroken(scenario)),
        _strip(queue, scenario, 142.0),
        _recoveries(flow, scenario, 151.0),
        _axis(queue, 164.0),
        key=key,
    )


def _unbroken(scenario: ScenarioResult) -> list[list[Point]]:
    """The stretches in which the bus could be asked how much is queued."""
    parts: list[list[Point]] = [[]]
    for sample in scenario.samples:
        if sample.queue_depth is None:
            parts.append([])
        else:
            parts[-1].append((sample.at, sample.queue_depth))
    return [part for part in parts if part]


def _described(scenario: ScenarioResult, busiest: int, deepest: int) -> str:
    parts = [f"Over {length_of(scenario):.0f} s, at most {busiest} events/s and {deepest} queued."]
    parts += [
        f"Fault {number}, {mark.point}, from {mark.began:.1f} s to {mark.healed:.1f} s."
        for number, mark in enumerate(scenario.faults, 1)
    ]
    if scenario.recoveries:
        parts.append(f"Well again after {', '.join(f'{s:.1f} s' for s in scenario.recoveries)}.")
    parts.append(f"States: {', '.join(mark.state for mark in scenario.states) or 'none seen'}.")
    return " ".join(parts)


def recovery_bar(scenario: ScenarioResult, longest: float, key: str) -> Markup:
    """One row of the chart of recoveries: a bar to the median, a lighter one to the longest, each recovery
    as a dot, and the limit as a line."""
    width, found = 200.0, spread(scenario.recoveries)
    limit = max(2.0, width * min(scenario.recovery_limit / longest, 1.0))
    parts = [tag("line", class_="limit", x1=limit - 1, x2=limit - 1, y1=1.0, y2=13.0)]
    said = f"limit {seconds_of(scenario.recovery_limit)}"
    if found is not None:
        place = [width * min(value / longest, 1.0) for value in (found.p50, found.longest)]
        parts += [
            tag("rect", class_="bar-soft", x=0.0, y=3.0, width=place[1], height=8.0),
            tag("rect", class_="bar", x=0.0, y=3.0, width=place[0], height=8.0),
        ]
        parts += [
            tag("circle", class_="dot", cx=max(2.0, width * min(value / longest, 1.0)), cy=7.0, r=1.8)
            for value in scenario.recoveries
        ]
        said = f"median {seconds_of(found.p50)}, longest {seconds_of(found.longest)}, {said}"
    return svg(width, 14.0, f"Recovery of {scenario.name}", said, *parts, key=key)


LATENCY_GOAL = 100.0
"""Milliseconds below which the p95 is to be while no fault is at work."""
_FASTEST, _SLOWEST = 0.1, 10_000.0


def latency_bar(scenario: ScenarioResult, key: str) -> Markup:
    """One row of the chart of latencies, on a logarithmic scale from 0.1 ms to 10 s: a bar from the median
    to the p99 while no fault is at work, the p95 as a dot, the largest of all as a lighter bar, the goal as
    a line."""
    width, latency = 200.0, scenario.latency

    def x(value: float) -> float:
        clamped = min(max(value, _FASTEST), _SLOWEST)
        return width * math.log(clamped / _FASTEST) / math.log(_SLOWEST / _FASTEST)

    goal = x(LATENCY_GOAL)
    parts = [tag("line", class_="goal", x1=goal, x2=goal, y1=1.0, y2=13.0)]
    bars = (
        ("bar-soft", latency.steady_p50, latency.all_max),
        ("bar", latency.steady_p50, latency.steady_p99),
    )
    for name, low, high in bars:
        if low is not None and high is not None:
            wide = max(x(high) - x(low), 1.0)
            parts.append(tag("rect", class_=name, x=x(low), y=3.0, width=wide, height=8.0))
    if latency.steady_p95 is not None:
        parts.append(tag("circle", class_="dot", cx=x(latency.steady_p95), cy=7.0, r=1.8))
    said = (
        f"median {millis(latency.steady_p50)}, p95 {millis(latency.steady_p95)}, "
        f"largest {millis(latency.all_max)}"
    )
    return svg(width, 14.0, f"Latency of {scenario.name}", said, *parts, key=key)


def cascade_chart(result: CascadeResult, side: CascadeSide, name: str, key: str) -> Markup:
    """Visitors answered in each second upwards, failures that cascaded downwards, on the scale of both."""
    sides = (result.off, result.on)
    length = float(max(len(one.per_second) for one in sides)) or 1.0
    width = 520.0
    up = Panel(
        14.0, 104.0, length, nice_top(max((a for s in sides for a, _ in s.per_second), default=0)), width
    )
    most = nice_top(max((c for s in sides for _, c in s.per_second), default=0))
    down = Panel(116.0, 190.0, length, most, width)
    bars: list[Markup] = []
    for second, (answered, cascaded) in enumerate(side.per_second):
        left = up.x(second) + 1
        wide = up.x(second + 1) - up.x(second) - 2
        bars.append(
            tag("rect", class_="bar", x=left, y=up.y(answered), width=wide, height=up.bottom - up.y(answered))
        )
        if cascaded:
            tall = down.bottom - down.y(cascaded)
            bars.append(tag("rect", class_="cascaded", x=left, y=down.top, width=wide, height=tall))
    right = width - _RIGHT
    return svg(
        width,
        221.0,
        f"{name}: visitors answered and failures that cascaded, each second",
        f"{whole(side.answered)} of {whole(side.calls)} visitors answered; {whole(side.cascaded)} calls to "
        f"services without a fault failed. Faults: {'; '.join(mark.detail for mark in result.faults)}.",
        _faults(up, result.faults, down.bottom),
        up.frame("visitors answered, each second"),
        *bars,
        tag("line", class_="axis", x1=_LEFT, x2=right, y1=down.top, y2=down.top),
        tag("text", text(f"{down.highest:g}"), class_="end", x=_LEFT - 4, y=down.bottom),
        tag("text", "0", class_="end", x=_LEFT - 4, y=down.top + 7),
        tag("text", "failures that cascaded, each second", x=_LEFT + 2, y=216.0),
        _axis(down, 203.0),
        key=key,
    )
