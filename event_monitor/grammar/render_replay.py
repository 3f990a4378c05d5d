"""Replays as text for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from event_monitor.grammar.table import Column, facts, table
from event_monitor.grammar.text import clip, plain
from event_monitor.messages import Speed
from event_monitor.replies.replays import (
    Histogram,
    ReplayedEvents,
    ReplayPlan,
    ReplayReport,
    Replays,
    ReplayTargets,
)

_BAR = 40


def progress_line(report: ReplayReport, width: int) -> str:
    """How a replay stands, on one line."""
    done = report.events - _left(report)
    share = f" ({done / report.events:.0%})" if report.events else ""
    parts = [f"replay {report.id}: {done:,} of {report.events:,}{share}"]
    if report.failed:
        parts.append(f"{report.failed:,} failed")
    if report.at is not None:
        parts.append(f"at {_clock(report.at)}")
    if report.state == "paused":
        parts.append("paused")
    elif not _left(report) and report.under_way:
        parts.append(f"waiting for {report.under_way:,} under way")
    elif report.seconds_left is not None:
        parts.append(f"{_span(report.seconds_left)} left")
    if report.waits:
        parts.append(f"waits: {report.waits}")
    return clip(plain(", ".join(parts)), width)


def _left(report: ReplayReport) -> int:
    return max(0, report.events - report.replayed) if report.state in ("running", "paused") else 0


def _plan(reply: ReplayPlan, width: int, mask: Sequence[str]) -> str:
    parts = [
        facts(
            [
                ("events", f"{reply.events:,}" if reply.events else "none in this span"),
                ("first", _clock(reply.first or "-")),
                ("last", _clock(reply.last or "-")),
                ("takes", f"{_span(reply.seconds)} at {_speed(reply.speed)}"),
            ],
            width,
        ),
        _counts("TYPE", "EVENTS", reply.by_type, width),
        _counts("TARGET", "DELIVERIES", reply.by_target, width),
    ]
    if reply.excluded:
        columns = (
            Column("LEFT OUT", flexible=True),
            Column("COUNT", right=True),
            Column("WHY", flexible=True),
        )
        rows = [(name, f"{count:,}", reply.why.get(name, "")) for name, count in reply.excluded.items()]
        parts.append(table(columns, rows, width))
    return "\n\n".join(part for part in parts if part)


def _counts(heading: str, unit: str, counts: Mapping[str, int], width: int) -> str:
    if not counts:
        return ""
    rows = [(name, f"{count:,}") for name, count in sorted(counts.items(), key=lambda item: -item[1])]
    return table((Column(heading, flexible=True), Column(unit, right=True)), rows, width)


def _report(reply: ReplayReport, width: int, mask: Sequence[str]) -> str:
    if not reply.id:
        return f"nothing to replay: 0 replayed, 0 failed, {reply.skipped:,} skipped"
    pairs = [
        ("replay", f"{reply.id}, {reply.state}"),
        ("span", f"{_clock(reply.since)} to {_clock(reply.until)}"),
        ("type", reply.type or "all"),
        ("filter", reply.filter or "none"),
        ("targets", ", ".join(reply.targets)),
        ("speed", _speed(reply.speed)),
        ("replayed", f"{reply.replayed:,} of {reply.events:,}"),
        ("failed", f"{reply.failed:,}"),
        ("skipped", f"{reply.skipped:,}"),
        ("under way", f"{reply.under_way:,}"),
        ("reached", _clock(reply.at or "-")),
        ("left", _span(reply.seconds_left) if reply.seconds_left is not None else "-"),
    ]
    more = (("waits", reply.waits), ("note", reply.note))
    return facts([*pairs, *((name, text) for name, text in more if text)], width)


def _replays(reply: Replays, width: int, mask: Sequence[str]) -> str:
    if len(reply.replays) == 1:
        return _report(reply.replays[0], width, mask)
    if not reply.replays:
        return "no replays"
    columns = (
        Column("NUMBER", right=True),
        Column("STATE"),
        Column("FROM"),
        Column("TYPE", flexible=True),
        Column("SPEED", right=True),
        *(Column(name, right=True) for name in ("EVENTS", "REPLAYED", "FAILED", "SKIPPED")),
    )
    rows = [
        (
            *(str(one.id), one.state, _clock(one.since), one.type or "#", _speed(one.speed)),
            *(f"{count:,}" for count in (one.events, one.replayed, one.failed, one.skipped)),
        )
        for one in reply.replays
    ]
    return table(columns, rows, width)


def _replayed(reply: ReplayedEvents, width: int, mask: Sequence[str]) -> str:
    if not reply.events:
        return f"replay {reply.replay_id} has published nothing that is still known"
    columns = (
        Column("EVENT", right=True),
        Column("REPLAY OF", right=True),
        Column("TYPE", flexible=True),
        Column("STATUS"),
        Column("TARGETS", flexible=True),
        Column("ERROR", flexible=True),
    )
    rows = [
        (
            *(str(one.id), str(one.replay_of), one.event_type, one.status),
            *(", ".join(f"{target} {state}" for target, state in one.outcomes), one.error),
        )
        for one in reply.events
    ]
    return table(columns, rows, width)


def _targets(reply: ReplayTargets, width: int, mask: Sequence[str]) -> str:
    columns = (
        Column("TARGET", flexible=True),
        Column("GETS", flexible=True),
        Column("EFFECT", flexible=True),
    )
    rows = [(one.name, one.pattern or "all that it is named for", one.effect) for one in reply.targets]
    return table(columns, rows, width)


def _histogram(reply: Histogram, width: int, mask: Sequence[str]) -> str:
    highest = max(reply.counts, default=0) or 1
    columns = (Column("PART", right=True), Column("EVENTS", right=True), Column(""))
    rows = [
        (str(number), f"{count:,}", "#" * round(_BAR * count / highest))
        for number, count in enumerate(reply.counts, 1)
    ]
    head = (
        f"{_clock(reply.since)} to {_clock(reply.until)}, {_span(reply.seconds)} each, {reply.total:,} events"
    )
    return f"{clip(plain(head), width)}\n{table(columns, rows, width)}"


def _speed(speed: Speed) -> str:
    return "max" if speed == "max" else f"{speed:g}x"


def _clock(timestamp: str) -> str:
    return timestamp[:19].replace("T", " ") if len(timestamp) >= 20 else timestamp


def _span(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = whole // 3_600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{seconds:.3g} s"


REPLAY_RENDERERS: dict[type, Callable[[Any, int, Sequence[str]], str]] = {
    ReplayPlan: _plan,
    ReplayReport: _report,
    Replays: _replays,
    ReplayedEvents: _replayed,
    ReplayTargets: _targets,
    Histogram: _histogram,
}
