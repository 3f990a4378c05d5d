"""The lines of the list of events: pure functions of rows, a width and what is marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from event_monitor.dashboard.events.columns import widths
from event_monitor.model import DeliveryState, Status
from event_monitor.replies.explorer import HistoryRow
from event_monitor.widgets.content import OUTCOMES, PRIORITY_TONES
from event_monitor.widgets.text import Line, Span, clip, count, cut, fit, line, plain

STATUSES = {
    Status.PENDING: ("·", "busy"),
    Status.DELIVERED: ("✔", "good"),
    Status.DEAD: ("✖", "bad"),
    Status.EXPIRED: ("░", "dim"),
    Status.SAMPLED: ("░", "accent"),
}
_SLIVER = 60
_ORDER = tuple(OUTCOMES)


def moment(timestamp: str, today: datetime, room: int) -> str:
    """When an event was, in this machine's time, in exactly ``room`` cells: with the day where there is
    room for it or it was not today."""
    try:
        local = datetime.fromisoformat(timestamp).astimezone()
    except (ValueError, OverflowError):
        return fit("--:--:--", room)
    is_today = local.date() == today.date()
    if room >= 18:
        return fit(f"{local:%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}", room)
    if room >= 14:
        return fit(f"{local:%m-%d %H:%M:%S}", room)
    return fit(f"{local:%H:%M:%S}" if is_today else f"{local:%d} {local:%H:%M}", room)


def row_line(
    row: HistoryRow,
    width: int,
    shown: Sequence[str],
    today: datetime,
    *,
    selected: bool = False,
    marked: bool = False,
) -> Line:
    """One event on one line of exactly ``width`` cells."""
    tone = PRIORITY_TONES[row.priority]
    mark: tuple[tuple[str, str], ...] = (("▸" if selected else " ", ""), ("■" if marked else " ", "accent"))
    fill = "select" if selected else ""
    if width < _SLIVER:
        return _padded(
            line(
                *mark,
                (moment(row.timestamp, today, 8), "dim"),
                " ",
                worst(row),
                " ",
                (plain(row.event_type), tone),
                " ",
                (plain(row.summary), "dim"),
                row=fill,
            ),
            width,
        )
    sizes = widths(shown, width)
    outcome = None if "outcomes" in sizes else worst(row)
    before = _cells(row, sizes, ("id", "time", "priority", "type"), today)
    after = _cells(row, sizes, ("source", "status", "outcomes"), today)
    head = Line((*line(*mark).spans, *before), fill)
    if outcome is not None:
        head = Line((*head.spans, Span(*outcome), Span(" ")), fill)
    tail = Line((Span(" "), *after)) if after else Line()
    room = width - head.width - tail.width
    summary = Span(fit(plain(row.summary), room)) if "summary" in shown else Span(" " * max(0, room))
    return _padded(Line((*head.spans, summary, *tail.spans), fill), width)


def _padded(whole: Line, width: int) -> Line:
    whole = clip(whole, width)
    return Line((*whole.spans, Span(" " * (width - whole.width))), whole.row)


def _cells(row: HistoryRow, sizes: Mapping[str, int], names: Sequence[str], today: datetime) -> list[Span]:
    spans: list[Span] = []
    for name in names:
        room = sizes.get(name)
        if room is None:
            continue
        if name == "outcomes":
            spans += _fit_spans(outcomes(row), room)
        elif name == "status":
            glyph, tone = STATUSES[row.status]
            spans += [Span(glyph, tone), Span(f" {fit(row.status, room)}", "dim" if tone == "good" else tone)]
        else:
            spans.append(_cell(row, name, room, today))
        spans.append(Span(" "))
    return spans


def _cell(row: HistoryRow, name: str, room: int, today: datetime) -> Span:
    tone = PRIORITY_TONES[row.priority]
    if name == "id":
        return Span(fit(f"#{row.id:,}", room), "dim")
    if name == "time":
        return Span(moment(row.timestamp, today, room), "dim")
    if name == "priority":
        return Span(fit(str(row.priority), room) if room > 1 else row.priority[0], tone)
    if name == "source":
        return Span(fit(plain(row.source or "–"), room), "dim")
    return Span(fit(plain(row.event_type), room), tone)


def _fit_spans(spans: Sequence[Span], room: int) -> list[Span]:
    shown = clip(Line(tuple(spans)), room)
    return [*shown.spans, Span(" " * (room - shown.width))]


def worst(row: HistoryRow) -> tuple[str, str]:
    """The glyph of the delivery that stands worst, or of the status where there is none."""
    states = [state for _, state in row.outcomes]
    return OUTCOMES[max(states, key=_ORDER.index)] if states else STATUSES[row.status]


def outcomes(row: HistoryRow) -> list[Span]:
    """Each target under the glyph and word of its delivery's state; done ones need no word."""
    groups: dict[DeliveryState, list[str]] = {}
    for target, state in row.outcomes:
        groups.setdefault(state, []).append(plain(target))
    spans: list[Span] = []
    for state in sorted(groups, key=_ORDER.index, reverse=True):
        glyph, tone = OUTCOMES[state]
        spans += [Span(" ")] * bool(spans)
        word = "" if state is DeliveryState.DELIVERED else f" {state}"
        spans += [Span(glyph, tone), Span(word, tone), Span(f" {' '.join(groups[state])}", "dim")]
    if not spans and row.status is not Status.DELIVERED:
        glyph, tone = STATUSES[row.status]
        return [Span(glyph, tone), Span(f" {row.status}", tone)]
    return spans


def position(row_id: int | None, oldest: int | None, newest: int | None) -> str:
    """Where an event lies in all of history, as far as numbers tell, which have gaps."""
    if row_id is None or oldest is None or newest is None:
        return ""
    total = newest - oldest + 1
    return f"about {count(newest - row_id + 1)} of {count(total)}"


def thumb(row_id: int | None, oldest: int | None, newest: int | None, height: int) -> int | None:
    """The row of a scrollbar of ``height`` rows at which an event lies; ``None`` if there is no need."""
    if row_id is None or oldest is None or newest is None or newest - oldest < height or height < 2:
        return None
    return round((newest - row_id) * (height - 1) / (newest - oldest))


def heading(width: int, shown: Sequence[str]) -> Line | None:
    """The names of the columns, where there is room for columns."""
    if width < _SLIVER:
        return None
    sizes = widths(shown, width)
    parts = [
        fit(cut("" if size == 1 else name, size), size) + " "
        for name, size in sizes.items()
        if name in ("id", "time", "priority", "type")
    ]
    after = [
        fit(name, size + 2 * (name == "status")) + " "
        for name, size in sizes.items()
        if name in ("source", "status", "outcomes")
    ]
    if "outcomes" not in sizes:
        parts.append("  ")
    head = "  " + "".join(parts)
    tail = (" " + "".join(after)) if after else ""
    room = max(0, width - len(head) - len(tail))
    name = fit("summary", room) if "summary" in shown else " " * room
    return clip(line((head + name + tail, "dim")), width)
