"""All about one alert, as lines, and where a person can go from it."""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from dataclasses import dataclass

from event_monitor.model import Alert, Severity, SystemState
from event_monitor.widgets.content import SEVERITY_GLYPHS
from event_monitor.widgets.text import Line, line, plain, time_of_day

_TARGET = "target:"
_DEAD_LETTER = "Dead letter from "
_NAME = 9


@dataclass(frozen=True, slots=True)
class Leads:
    """Where an alert leads: to a service or ``target:NAME``, to an event, to the dead letters."""

    subject: str | None = None
    event_id: int | None = None
    dead_letters: bool = False


def leads(alert: Alert, services: Collection[str]) -> Leads:
    """Where it leads; ``services`` are the names that there is something to know of. An alert that names
    none of them may still begin its reason with one."""
    subject = alert.about if alert.about in services or alert.about.startswith(_TARGET) else None
    if subject is None:
        first = alert.detail.partition(":")[0]
        subject = first if first in services else None
    return Leads(subject, alert.event_id, dead_letters=alert.title.startswith(_DEAD_LETTER))


def keys(alert: Alert, where: Leads) -> list[tuple[str, str]]:
    """The keys that do something about it, and what."""
    found = [] if alert.acknowledged else [("a", "acknowledge")]
    if where.subject is not None:
        kind = "target" if where.subject.startswith(_TARGET) else "service"
        found.append(("s", f"{kind} {where.subject.removeprefix(_TARGET)}"))
    if where.event_id is not None:
        found.append(("e", f"event {where.event_id}"))
    if where.dead_letters:
        found.append(("d", "dead letters"))
    return found


def alert_lines(alert: Alert, where: Leads, width: int) -> list[Line]:
    """What happened, when and how often, what to do, and the keys for it."""
    glyph, tone = SEVERITY_GLYPHS[alert.severity]
    seen = ("   ✔ acknowledged", "good") if alert.acknowledged else ("   waits to be seen", "dim")
    lines = [
        line(" ", (f"{glyph} {alert.severity.upper()}", f"{tone}-strong" if tone != "dim" else tone), seen),
        *_wrapped(alert.title, width, "strong"),
        *_wrapped(alert.detail, width, ""),
        Line(),
        _fact("first", time_of_day(alert.at)),
    ]
    if alert.count > 1:
        lines += [_fact("last", time_of_day(alert.last_at)), _fact("count", f"{alert.count:,} times")]
    lines += [Line(), line((" What to do", "strong"))]
    for number, step in enumerate(_steps(alert, where), 1):
        lines += _wrapped(f"{number}. {step}", width, "", hanging=3)
    lines.append(Line())
    lines += [line(" ", (key, "key"), f"  {plain(text)}") for key, text in keys(alert, where)]
    return lines


def _steps(alert: Alert, where: Leads) -> list[str]:
    steps = []
    if where.dead_letters:
        steps += [
            "Look at the error and mend what it names (e shows the event with all attempts).",
            "Retry the delivery, or drop it, among the dead letters (d).",
        ]
    elif where.subject is not None and not where.subject.startswith(_TARGET):
        steps += [
            "Look at its probes and last errors (s).",
            "Restart it there (R), let its next call try (h), or hold its breaker open meanwhile (o).",
        ]
    elif where.subject is not None:
        steps.append("Look at what the target does, at its breaker and last errors (s).")
    elif where.event_id is not None:
        steps.append("Look at the event and at what caused it (e).")
    if any(f"→ {state}" in alert.title for state in (SystemState.DEGRADED, SystemState.FAILED)):
        steps.append(
            "The state is well again by itself once its cause is gone; s on the Overview: its history."
        )
    if not steps and alert.severity is not Severity.INFO:
        steps.append("Follow what the text above says.")
    if not alert.acknowledged:
        steps.append("Acknowledge it when you have seen to it (a).")
    return steps or ["Nothing: it is for your information."]


def _fact(name: str, value: str) -> Line:
    return line((f" {name:<{_NAME}}", "dim"), value)


def _wrapped(text: str, width: int, tone: str, hanging: int = 0) -> list[Line]:
    rows = textwrap.wrap(plain(text), max(10, width - 2), subsequent_indent=" " * hanging)
    return [line(" ", (row, tone) if tone else row) for row in rows]
