"""Times as people type and read them here: local, as everything on the screen is."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from event_monitor.clock import parse_time
from event_monitor.errors import InvalidRequest

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?")
FORMS = "14:02, 14:02:10, 2026-03-14 14:02, -15m, now"


def read_time(text: str, now: float) -> float:
    """Epoch seconds of what was typed: a time of day is the last one that has been, a date without an
    offset is local, anything else is as ``event-cli`` reads it. Raises ``InvalidRequest``."""
    text = text.strip()
    match = _CLOCK.fullmatch(text)
    try:
        if match:
            hours, minutes, seconds, part = match.groups()
            here = datetime.fromtimestamp(now).replace(
                hour=int(hours),
                minute=int(minutes),
                second=int(seconds or 0),
                microsecond=int((part or "0").ljust(6, "0")),
            )
            return (here if here.timestamp() <= now else here - timedelta(days=1)).timestamp()
        if re.match(r"\d{4}-\d\d-\d\d", text):
            return max(0.0, datetime.fromisoformat(text).timestamp())
        return parse_time(text, now)
    except (ValueError, OverflowError, InvalidRequest):
        raise InvalidRequest(f"{text[:40]!r} is not a time", f"write {FORMS}") from None


def written(moment: float) -> str:
    """A moment as it may be typed again, as exact as it is."""
    text = datetime.fromtimestamp(round(moment, 6)).isoformat(" ")
    return text.rstrip("0") if "." in text else text


def span_text(since: float, until: float) -> str:
    """From when to when, the date once if it is one day; the seconds only where there are any."""
    begin, end = datetime.fromtimestamp(round(since, 6)), datetime.fromtimestamp(round(until, 6))
    form = "%H:%M" if begin.second == end.second == begin.microsecond == end.microsecond == 0 else "%H:%M:%S"
    part = ".%f" if begin.microsecond or end.microsecond else ""
    if begin.date() == end.date():
        return f"{begin:%b %d} {_cut(begin, form, part)} – {_cut(end, form, part)}"
    return f"{begin:%b %d} {_cut(begin, form, part)} – {end:%b %d} {_cut(end, form, part)}"


def clock_text(since: float, until: float) -> str:
    """The same without a date, for where there is no room."""
    begin, end = datetime.fromtimestamp(round(since, 6)), datetime.fromtimestamp(round(until, 6))
    form = "%H:%M" if begin.second == end.second == 0 else "%H:%M:%S"
    return f"{begin.strftime(form)} – {end.strftime(form)}"


def _cut(moment: datetime, form: str, part: str) -> str:
    text = moment.strftime(form + part)
    return text[:-3] if part else text
