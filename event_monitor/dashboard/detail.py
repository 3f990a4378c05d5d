"""All that is known of one event, as lines."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from event_monitor.model import Event
from event_monitor.redaction import redact
from event_monitor.replies.general import EventDetail
from event_monitor.summary import summarise
from event_monitor.widgets.content import OUTCOMES, PRIORITY_TONES
from event_monitor.widgets.folding import folded, wrapped
from event_monitor.widgets.text import Line, Span, clip, fit, line, plain, time_of_day

_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b')
_MAX_LINES = 20_000
_MOST_OF_AN_ERROR = 2_000
# Keys that event-cli made itself say nothing to a person.
_MADE_KEYS = ("spool:", "batch:")


def detail_lines(detail: EventDetail, width: int, mask: Sequence[str]) -> list[Line]:
    """Fields, deliveries, causes, effects and payload of an event, wrapped to ``width`` cells."""
    event = detail.event
    lines = [
        *_head(event, width),
        line(
            " ",
            (str(event.priority), PRIORITY_TONES[event.priority]),
            ("  status ", "dim"),
            str(event.status),
        ),
        Line(),
    ]
    for name, value in _fields(event):
        lines.append(line((f" {name:<15}", "dim"), plain(value)))
    lines += [Line(), line((" Deliveries", "strong"))]
    for delivery in detail.deliveries:
        glyph, tone = OUTCOMES[delivery.state]
        again = f"  next {time_of_day(delivery.next_attempt_at)}" if delivery.next_attempt_at else ""
        attempts = f"{delivery.attempts} attempt{'s' if delivery.attempts != 1 else ''}"
        lines.append(
            line(
                " ",
                (glyph, tone),
                f" {fit(plain(delivery.target), 20)} {delivery.state:<10}",
                (f" {attempts}{again}", "dim"),
            )
        )
        for error in delivery.errors:
            told = plain(error.error, _MOST_OF_AN_ERROR)
            lines += folded(line((f"     {time_of_day(error.at)}  ", "dim")), told, "bad", width)
    if not detail.deliveries:
        lines.append(line(("   none: no rule names a target for it", "dim")))
    for title, events in (("Caused by", detail.causes), ("Caused", detail.effects)):
        if events:
            lines += [Line(), line((f" {title}", "strong"))]
            lines += [_related(other, mask) for other in events]
    lines += [Line(), line((" Payload", "strong"))]
    return [clip(one, width) for one in lines] + payload_lines(event.payload, width, mask)


def _head(event: Event, width: int) -> list[Line]:
    """Number, type and time. A time that does not fit loses its fraction, then stands on a row of its own,
    as it is if that has room: a cut one would be read as another time."""
    name = line((f" #{event.id} ", "accent-strong"), (plain(event.event_type), "strong"))
    whole = plain(event.timestamp)
    shorter = re.sub(r"\.\d+", "", whole)
    for shown in (whole, shorter):
        if name.width + 2 + len(shown) <= width:
            return [Line((*name.spans, Span(f"  {shown}")))]
    time = next((shown for shown in (whole, shorter) if len(shown) < width), shorter[11:])
    return [name, line(f" {time}")]


def _fields(event: Event) -> list[tuple[str, str]]:
    named = {
        "source": event.source,
        "key": None if (event.key or "").startswith(_MADE_KEYS) else event.key,
        "correlation": event.correlation_id,
        "expires": event.expires_at,
        "retries": event.retry_count or None,
        "replay of": f"#{event.replay_of}" if event.replay_of else None,
        "schema version": event.schema_version if event.schema_version != 1 else None,
        "traceparent": event.traceparent,
    }
    return [(name, str(value)) for name, value in named.items() if value is not None]


def _related(event: Event, mask: Sequence[str]) -> Line:
    summary = plain(summarise(event.event_type, redact(event.payload, mask)))
    return line((f"   #{event.id} ", "accent"), plain(event.event_type), (f"  {summary}", "dim"))


def payload_lines(payload: object, width: int, mask: Sequence[str]) -> list[Line]:
    """A payload as coloured JSON, secrets masked, long lines wrapped."""
    text = json.dumps(redact(payload, mask), indent=2, ensure_ascii=False)
    lines: list[Line] = []
    for row in text.split("\n"):
        lines += wrapped(Line((Span(" "), *highlighted(plain(row, 1_000_000)))), max(10, width))
        if len(lines) > _MAX_LINES:
            lines.append(line((" … the rest is left out here", "dim")))
            break
    return lines


def highlighted(row: str) -> list[Span]:
    """A row of JSON, its parts in their tones."""
    spans: list[Span] = []
    at = 0
    for token in _TOKEN.finditer(row):
        if token.start() > at:
            spans.append(Span(row[at : token.start()], "dim"))
        text, colon, number, word = token.groups()
        if text is not None:
            spans.append(Span(text, "accent" if colon else "good"))
            if colon:
                spans.append(Span(colon, "dim"))
        else:
            spans.append(Span(number or word, "warn" if number else "busy"))
        at = token.end()
    if at < len(row):
        spans.append(Span(row[at:], "dim"))
    return spans
