"""The Overview as plain text, for scripts, screen readers and terminals that can do no more."""

from __future__ import annotations

from event_monitor.model import Snapshot
from event_monitor.widgets import content
from event_monitor.widgets.alert_list import alerts, in_order
from event_monitor.widgets.service_table import services
from event_monitor.widgets.state_path import system, way
from event_monitor.widgets.text import Line, time_of_day
from event_monitor.widgets.type_rates import type_rates

WIDTH = 100
_EVENTS = 20


def render_once(snapshot: Snapshot, width: int = WIDTH) -> str:
    """The facts of the Overview, one panel after the other."""
    parts: list[tuple[str, list[Line]]] = [
        ("", [content.header(snapshot, width, time_of_day(snapshot.at))]),
        ("Events per second", content.rate(snapshot.rate, width, 3)),
        ("Event types now", type_rates(snapshot.types, width, 8)),
        ("Queue depth", content.queue(snapshot.queue, width, 3)),
        ("Services", services(snapshot.services, width, 50, unwatched=snapshot.unwatched)),
        ("System", _system(snapshot, width)),
        ("Alerts", alerts(in_order(snapshot.alerts), width, 10)),
        ("Live", [content.feed_item(item, width) for item in reversed((snapshot.feed or ())[-_EVENTS:])]),
    ]
    text: list[str] = []
    for title, lines in parts:
        if title:
            text += ["", title]
        text += [line.text.rstrip() for line in lines] or [" nothing yet"]
    return "\n".join(text)


def _system(snapshot: Snapshot, width: int) -> list[Line]:
    """The way taken in words: a diagram says nothing to who listens to it."""
    words, *changes = system(snapshot, width, 11, drawn=False)
    if not snapshot.transitions:
        return [words, *changes]
    return [words, way(snapshot.state, snapshot.transitions, width), *changes]
