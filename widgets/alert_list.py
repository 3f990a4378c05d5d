"""Alerts as lines: a list in which one may be selected."""

from __future__ import annotations

from collections.abc import Sequence

from event_monitor.model import Alert
from event_monitor.widgets.content import SEVERITY_GLYPHS
from event_monitor.widgets.text import Line, clip, line, plain, time_of_day


def in_order(found: Sequence[Alert]) -> list[Alert]:
    """Those that wait to be seen first; among them the newest first, as they come."""
    return sorted(found, key=lambda alert: alert.acknowledged)


def alerts(found: Sequence[Alert], width: int, height: int, selected: int | None = None) -> list[Line]:
    """One line each, ``found`` as they are ordered, from one on that has the selected one in view."""
    if not found:
        return [line((" ✔ nothing to report", "dim"))]
    top = first_row(found, height, selected)
    return [_alert(alert, width, alert.id == selected) for alert in found[top : top + height]]


def first_row(found: Sequence[Alert], height: int, selected: int | None) -> int:
    """The place of the first alert that is shown."""
    place = next((place for place, alert in enumerate(found) if alert.id == selected), 0)
    return max(0, place - height + 1)


def _alert(alert: Alert, width: int, selected: bool) -> Line:
    glyph, tone = SEVERITY_GLYPHS[alert.severity]
    if alert.acknowledged:
        glyph, tone = "✔", "dim"
    times = f" ×{alert.count}" if alert.count > 1 else ""
    detail = f"  {plain(alert.detail)}" if alert.detail else ""
    return clip(
        line(
            "▸" if selected else " ",
            (glyph, tone),
            " ",
            (time_of_day(alert.last_at or alert.at), "dim"),
            " ",
            (f"{plain(alert.title)}{times}", "dim" if alert.acknowledged else "strong"),
            (detail, "dim"),
            row="select" if selected else "",
        ),
        width,
    )
