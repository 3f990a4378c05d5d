"""The history on the screen: counted for the window that is shown, with the span chosen on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from event_monitor.clock import from_iso
from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.replay.newest import Newest
from event_monitor.dashboard.replay.span import DAY, Span, Window, covering, iso
from event_monitor.dashboard.replay.times import clock_text, span_text
from event_monitor.errors import EventMonitorError
from event_monitor.messages import GetHistogram
from event_monitor.replies.replays import Histogram
from event_monitor.widgets.histogram import History as Picture
from event_monitor.widgets.text import count

FIRST_SPAN = 900.0
# A look at all of history is divided into so many parts, so that each read is a short one.
_PARTS = 200
# A held key counts once; counting a month of one type may take seconds.
DELAY = 0.05
PATIENCE = 300.0
# A new count waits so many times as long as the last one took.
_REST = 20.0


class HistoryView:
    """Holds window and span, counts again when either needs it, the newest question winning. ``changed`` is
    called when there is something new to show; ``problem`` says why there is nothing."""

    def __init__(self, link: BusLink, changed: Callable[[], None]) -> None:
        self.bounds: Span | None = None
        self.window: Window | None = None
        self.span: Span | None = None
        self.type = ""
        self.empty = False
        self.problem = ""
        self._changed = changed
        self._columns = 0
        self._counts: tuple[int, ...] = ()
        self._counted: tuple[Window, str] | None = None
        self._newest = Newest(link, delay=DELAY, patience=PATIENCE)
        self._published = -1
        self._again_at = 0.0
        self._wanted: Span | None = None
        self._follows = True

    # --- what is shown ----------------------------------------------------------------------

    def resize(self, columns: int) -> None:
        """So many columns can be drawn now."""
        if columns < 1 or columns == self._columns:
            return
        self._columns = columns
        if self.window is None:
            self.load()
        else:
            self._look(self.window.wide(columns))

    def picture(self) -> Picture | None:
        """What to draw; ``None`` before the first count and for an empty history."""
        window, span = self.window, self.span
        if window is None or span is None or self._counted is None or self.empty:
            return None
        counted, _ = self._counted
        first = window.column(span.since)
        last = max(first + 1, window.column_after(span.until))
        if counted.bucket == window.bucket:
            counts = _shifted(self._counts, counted, window)
        else:
            counts = (0,) * window.columns
        events = self._events(counts, first, last)
        told = f" · {events} events" if events else ""
        return Picture(
            counts=counts,
            since=window.since,
            bucket=window.bucket,
            offset=window.offset,
            first=first,
            last=last,
            label=span_text(span.since, span.until) + told,
            short_label=clock_text(span.since, span.until),
        )

    def _events(self, counts: tuple[int, ...], first: int, last: int) -> str:
        """How many events the chosen columns hold; nothing is said of those that are not counted."""
        if self.window is None or self.span is None or first < 0 or last > len(counts):
            return ""
        if self._counted != (self.window, self.type):
            return ""
        whole = self.window.floor(self.span.since) == self.span.since
        whole = whole and self.window.ceiling(self.span.until) == self.span.until
        return ("" if whole else "at most ") + count(sum(counts[first:last]))

    @property
    def recorded_in_span(self) -> int | None:
        """How many events lie in the span, as far as that is known without asking."""
        picture = self.picture()
        if picture is None or picture.first < 0 or picture.last > len(picture.counts):
            return None
        if self._counted != (self.window, self.type):
            return None
        return sum(picture.counts[picture.first : picture.last])

    @property
    def peak(self) -> int:
        """The highest bar."""
        return max(self._counts, default=0)

    # --- asking -----------------------------------------------------------------------------

    def load(self) -> None:
        """Find out what is recorded; the first time a span is chosen on it."""
        if self._columns:
            self._ask(GetHistogram(buckets=_PARTS), self._loaded)

    def _loaded(self, reply: Histogram) -> None:
        self.empty = not reply.total
        self.bounds = Span(from_iso(reply.since), max(from_iso(reply.until), from_iso(reply.since) + 1.0))
        if self.empty:
            self._changed()
            return
        if self.window is None:
            now = self.bounds.until
            shown = Span(max(self.bounds.since, now - DAY), now)
            self.window = covering(shown, self._columns, _offset(now))
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            self.choose(wanted)
        elif self.span is None:
            end = self.window.until
            begin = self.window.floor(max(self.bounds.since, end - FIRST_SPAN))
            self.span = Span(min(begin, end - self.window.bucket), end)
        self._look(self.window)

    def _look(self, window: Window, *, force: bool = False) -> None:
        """Show a window; count it unless that is done."""
        self.window = window
        self._changed()
        if not force and self._counted == (window, self.type):
            self._newest.drop()
            return
        message = GetHistogram(
            since=iso(window.since), until=iso(window.until), type=self.type or None, buckets=window.columns
        )
        self._ask(message, lambda reply: self._have_counted(reply, window, message.type or ""))

    def _have_counted(self, reply: Histogram, window: Window, event_type: str) -> None:
        self._counts, self._counted = tuple(reply.counts), (window, event_type)
        self._changed()

    def _ask(self, message: GetHistogram, then: Callable[[Histogram], None]) -> None:
        loop = asyncio.get_running_loop()

        def answered(reply: Histogram) -> None:
            self.problem = ""
            self._again_at = loop.time() + _REST * (loop.time() - began)
            then(reply)

        def refused(error: EventMonitorError) -> None:
            self.problem = str(error)
            # The next picture shows that there is a bus to ask again.
            self._published = -1
            self._changed()

        began = loop.time()
        self._newest.ask(message, answered, refused)

    def refresh(self, now: float, published: int) -> None:
        """A picture was taken at ``now``: count again if something was published since the last count."""
        resting = asyncio.get_running_loop().time() < self._again_at
        if published == self._published or resting or self._newest.waited is not None:
            return
        self._published = published
        if self.window is None or self.empty or self.bounds is None:
            self.load()
            return
        self.bounds = Span(self.bounds.since, max(self.bounds.until, now))
        follows = self._follows and self.window.until < now
        self._look(self.window.ending(now) if follows else self.window, force=True)

    def close(self) -> None:
        """Wait for nothing; the next picture asks again."""
        if self._newest.drop():
            self._published = -1

    def take(self, event_type: str) -> None:
        """Count only the events of a type pattern; all if it is empty."""
        if event_type != self.type:
            self.type = event_type
            if self.window is not None:
                self._look(self.window)

    # --- the span ---------------------------------------------------------------------------

    def choose(self, span: Span) -> None:
        """Choose a span, wherever it lies, and have it on the screen."""
        if self.window is None:
            self._wanted = span
            return
        self.span = span
        window = self.window
        if span.seconds > window.span.seconds or span.seconds < window.bucket:
            window = covering(span, self._columns, window.offset)
            window = window.panned((window.columns - window.column(span.until)) // 2)
        self._see(window.showing(span))

    def move(self, columns: int) -> None:
        """Move the span by columns, as far as history goes."""
        if self.span is not None and self.window is not None:
            self._take(self.span.moved(columns * self.window.bucket))

    def stretch(self, columns: int, *, begin: bool = False) -> None:
        """Move the end of the span, or its beginning, to the next edge of a column."""
        if self.span is None or self.window is None:
            return
        edge = self.span.since if begin else self.span.until
        if columns > 0:
            edge = self.window.floor(edge) + self.window.bucket
        else:
            edge = self.window.ceiling(edge) - self.window.bucket
        span = Span(edge, self.span.until) if begin else Span(self.span.since, edge)
        if span.seconds >= self.window.bucket * 0.99:
            self._take(span)

    def to_end(self, last: bool) -> None:
        """Move the span to the newest events, or the oldest."""
        if self.span is None or self.window is None or self.bounds is None:
            return
        edges = self._edges()
        seconds = self.span.seconds
        at = edges.until - seconds if last else edges.since
        self._take(Span(at, at + seconds))

    def take_columns(self, first: int, last: int) -> None:
        """Choose the columns from ``first`` to ``last``, both included."""
        if self.window is not None:
            since = self.window.since + first * self.window.bucket
            self.span = Span(since, self.window.since + (last + 1) * self.window.bucket)
            self._changed()

    def take_window(self) -> None:
        """Choose all that is shown."""
        if self.window is not None:
            self.take_columns(0, self.window.columns - 1)

    def _take(self, span: Span) -> None:
        if self.window is None:
            return
        self.span = span.within(self._edges())
        self._see(self.window.showing(self.span))

    def _edges(self) -> Span:
        """The whole columns in which all of history lies, with what is chosen."""
        assert self.window is not None and self.bounds is not None
        return Span(self.window.floor(self.bounds.since), self.window.ceiling(self.bounds.until))

    # --- the window -------------------------------------------------------------------------

    def zoom(self, steps: int, column: int | None = None) -> None:
        """Look closer, or from further away, at the span or at a column."""
        if self.window is None or self.span is None:
            return
        around = (self.span.since + self.span.until) / 2
        if column is not None:
            around = self.window.since + (column + 0.5) * self.window.bucket
        elif not self.window.since <= around <= self.window.until:
            around = self.window.until
        self._see(self.window.zoomed(steps, around))

    def zoom_to_span(self) -> None:
        """Show the span as large as it fits, with a little around it."""
        if self.span is not None and self.window is not None:
            around = self.span.seconds * 0.05
            shown = Span(self.span.since - around, self.span.until + around)
            self._see(covering(shown, self._columns, self.window.offset))

    def pan(self, halves: int) -> None:
        """Show what lies before or after, the span staying where it is."""
        if self.window is None:
            return
        moved = self.window.panned(halves * max(1, self.window.columns // 2))
        edges = self._edges()
        if moved.until > edges.until:
            moved = moved.ending(edges.until)
        elif moved.since < edges.since:
            moved = moved.panned(moved.column(edges.since))
            moved = moved if moved.until < edges.until else moved.ending(edges.until)
        self._see(moved)

    def show_all(self) -> None:
        """Show all of history."""
        if self.bounds is not None and self.window is not None:
            self._see(covering(self.bounds, self._columns, self.window.offset))

    def _see(self, window: Window) -> None:
        self._follows = self.bounds is None or window.until >= self.bounds.until
        self._look(window)


def _shifted(counts: tuple[int, ...], counted: Window, window: Window) -> tuple[int, ...]:
    """What was counted for one window, as far as another of the same scale shows it."""
    by = round((window.since - counted.since) / window.bucket)
    return tuple(
        counts[place] if 0 <= (place := column + by) < len(counts) else 0 for column in range(window.columns)
    )


def _offset(moment: float) -> float:
    """Local time less UTC then, in seconds."""
    offset = datetime.fromtimestamp(moment).astimezone().utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
