"""The history of the system's state, as lines."""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len

from event_monitor.model import SystemState, Transition
from event_monitor.replies.general import StateReport
from event_monitor.widgets.content import STATE_GLYPHS
from event_monitor.widgets.folding import folded
from event_monitor.widgets.state_path import WIDTH, diagram, way
from event_monitor.widgets.text import Line, clip, line, plain, time_of_day

_WORD = max(len(state) for state in SystemState)
_INDENT = 11


def state_lines(report: StateReport, width: int) -> list[Line]:
    """The state now among the six, then the last transitions under their days, the newest first; those
    that were refused are marked."""
    lines = _now(report, width)
    refused = set(map(id, report.refused))
    day = ""
    entries = sorted([*report.history, *report.refused], key=lambda one: one.at, reverse=True)
    for transition in entries:
        today = _day(transition.at)
        if today != day:
            lines += [Line(), line((f" {today}", "strong"))]
            day = today
        lines += _transition(transition, id(transition) in refused, width)
    if not entries:
        lines += [Line(), line((" no change yet", "dim"))]
    return [clip(one, width) for one in lines]


def _now(report: StateReport, width: int) -> list[Line]:
    glyph, tone = STATE_GLYPHS[report.state]
    since = line(
        " ", (f"{glyph} {report.state}", f"{tone}-strong"), (f"  since {time_of_day(report.since)}", "dim")
    )
    lines = [since, *folded(line(" "), plain(report.reason), "", width, 1)]
    if report.history and width >= WIDTH:
        taken = way(report.state, report.history, width)
        lines += [Line(), *diagram(report.state, report.history), Line(), taken]
    return lines


def _transition(transition: Transition, refused: bool, width: int) -> list[Line]:
    tone = STATE_GLYPHS[transition.to_state][1]
    time = (f" {time_of_day(transition.at)}  ", "dim")
    arrow = (" ✖ ", "bad") if refused else " → "
    came = f"{transition.from_state:>{_WORD}}" if width >= 60 else str(transition.from_state)
    words = line(time, (came, "dim"), arrow, (f"{transition.to_state:<{_WORD}}", "dim" if refused else tone))
    reason = f"{'refused: ' if refused else ''}{plain(transition.reason)}"
    if words.width + cell_len(reason) + 2 <= width or width >= 80:
        return folded(Line((*words.spans, *line("  ").spans)), reason, "dim", width, _INDENT)
    return [words, *folded(line(" " * _INDENT), reason, "dim", width, _INDENT)]


def _day(moment: str) -> str:
    try:
        return datetime.fromisoformat(moment).astimezone().date().isoformat()
    except (ValueError, OverflowError):
        return "unknown day"
