"""The Overview as plain text, for scripts, screen readers and terminals that can do no more."""

from __future__ import annotations

from event_monitor.model import Snapshot
from event_monitor.widgets import content
from event_monitor.widgets.text import Line, time_of_day

WIDTH = 100
_EVENTS = 20


def render_once(snapshot: Snapshot, width: int = WIDTH) -> str:
    """The facts of the Overview, one panel after the other."""
    parts: list[tuple[str, list[Line]]] = [
        ("", [content.header(snapshot, width, time_of_day(snapshot.at))]),
        ("Events per second", content.rate(snapshot.rate, width, 3)),
        ("Queue depth", content.queue(snapshot.queue, width, 3)),
        ("Services", content.services(snapshot.services, width, 50, unwatched=snapshot.unwatched)),
        ("System", content.system(snapshot, width, 11)),
        ("Alerts", content.alerts(snapshot.alerts, width, 10)),
        ("Live", [content.feed_item(item, width) for item in reversed((snapshot.feed or ())[-_EVENTS:])]),
    ]
    text: list[str] = []
    for title, lines in parts:
        if title:
            text += ["", title]
        text += [line.text.rstrip() for line in lines] or [" nothing yet"]
    return "\n".join(text)
