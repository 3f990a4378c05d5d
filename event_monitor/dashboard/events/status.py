"""What the Events tab says of itself: where the cursor is, what is searched, what is not shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from event_monitor.dashboard.events.loader import Loader
from event_monitor.dashboard.events.marks import Marks
from event_monitor.dashboard.events.row_lines import position
from event_monitor.dashboard.events.window import HistoryWindow, Way
from event_monitor.messages import HistoryFilter
from event_monitor.replies.explorer import HistoryRow
from event_monitor.widgets.content import NO_EVENTS
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, count, line, plain, spread, time_of_day

NOTHING_WANTED = HistoryFilter()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the status line is made of."""

    follow: bool
    on_top: bool
    selected: HistoryRow | None
    exporting: str = ""


def status_line(window: HistoryWindow, loader: Loader, marks: Marks, shown: Shown, width: int) -> Line:
    """One row: what holds for the list on the left, where the cursor is on the right."""
    parts: list[str | tuple[str, str]] = [" "]
    if loader.error is not None:
        parts += [("✖ no answer", "bad"), "  "]
    elif loader.searching is not None and window.where != NOTHING_WANTED:
        reached = window.reached(loader.searching)
        parts += [(f"◐ searching{_at(reached)}", "busy"), "  "]
    if shown.follow:
        parts += [
            ("● following" if window.at_newest and shown.on_top else "· follows on top", "accent"),
            "  ",
        ]
    if loader.missed:
        more = " or more" if loader.missed_capped else ""
        parts += [(f"▲ {count(loader.missed)}{more} passed by", "warn"), "  "]
    if loader.newer:
        more = "+" if loader.newer_capped else ""
        parts += [(f"▲ {count(loader.newer)}{more} newer", "accent"), "  "]
    if marks:
        cursor = shown.selected.id if shown.selected is not None else None
        number = sum(marks.holds(row.id, cursor) for row in window.rows)
        more = "+" if window.trimmed and marks.ranges else ""
        parts += [(f"■ {count(number)}{more} marked", "accent"), "  "]
    if shown.exporting:
        parts += [(shown.exporting, "busy"), "  "]
    selected = shown.selected.id if shown.selected is not None else None
    if window.where == NOTHING_WANTED:
        where = position(selected, window.oldest_id, window.newest_id)
    else:
        more = "" if window.complete else "+"
        where = f"{count(len(window.rows))}{more} found"
    named = f"#{selected}  " if selected is not None and width >= 60 else ""
    return clip(spread(line(*parts), line((f"{named}{where} ", "dim")), width), width)


def _at(reached: str | None) -> str:
    return f", back to {day_and_time(reached)}" if reached else ""


def day_and_time(moment: str) -> str:
    """``03-14 15:41:40`` in this machine's time."""
    try:
        return f"{datetime.fromisoformat(moment).astimezone():%m-%d} {time_of_day(moment)}"
    except (ValueError, OverflowError):
        return time_of_day(moment)


def note(window: HistoryWindow, loader: Loader) -> Line | None:
    """What stands under the oldest row: the end, how a search stands, or what went wrong."""
    if loader.error is not None:
        return line((f"  ✖ {plain(loader.error)}", "bad"), ("  n tries again", "dim"))
    filtered = window.where != NOTHING_WANTED
    if window.done(Way.DOWN):
        told = "no older event passes" if filtered else "the beginning of history"
        return line((f"  · {told}", "dim")) if window.rows else None
    reached = window.reached(Way.DOWN)
    if loader.paused(Way.DOWN):
        return line((f"  ■ searched{_at(reached)}", "warn"), ("  n goes on", "accent"))
    if reached is not None:
        return line((f"  ◐ searching{_at(reached)}", "busy"), ("  esc pauses", "dim"))
    return line(("  ◐ older events are on their way", "dim"))


def empty(window: HistoryWindow, loader: Loader) -> Sequence[Line]:
    """What stands in place of rows while there are none."""
    if not window.done(Way.DOWN) or not window.done(Way.UP):
        return []
    if window.where != NOTHING_WANTED:
        return [
            line((" No event passes the filter.", "strong")),
            line((" / changes it, esc gives it up.", "dim")),
        ]
    first, *rest = NO_EVENTS
    return [
        line(" ", first),
        line((" Here all events are browsed, filtered, followed and written to files.", "dim")),
        *(line(" ", part) for part in rest),
    ]


class StatusLine(Panel):
    """One row under the list."""

    def __init__(self) -> None:
        super().__init__(id="events-status")
        self._make: Callable[[int], Line] = lambda width: Line()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [self._make(width)]

    def show(self, window: HistoryWindow, loader: Loader, marks: Marks, shown: Shown) -> None:
        """Take what holds now."""
        self._make = lambda width: status_line(window, loader, marks, shown, width)
        self.redraw()
