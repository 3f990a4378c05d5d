"""The stretch of history that is shown and the span that is chosen on it: plain values, all in epoch
seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from event_monitor.clock import nearest_iso

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
# How long a column of the picture may be.
BUCKETS = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(n * MINUTE for n in (1, 2, 3, 5, 10, 15, 20, 30)),
    *(n * HOUR for n in (1, 2, 3, 4, 6, 12)),
    *(DAY, 2 * DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY),
)


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since`` to before ``until``, never empty."""

    since: float
    until: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.until - self.since

    def moved(self, seconds: float) -> Span:
        """As long, elsewhere."""
        return Span(self.since + seconds, self.until + seconds)

    def within(self, bounds: Span) -> Span:
        """As long as it is if that fits, inside ``bounds``."""
        if self.seconds >= bounds.seconds:
            return bounds
        if self.since < bounds.since:
            return self.moved(bounds.since - self.since)
        return self.moved(bounds.until - self.until) if self.until > bounds.until else self


@dataclass(frozen=True, slots=True)
class Window:
    """``columns`` equal parts of history, each ``bucket`` seconds long, that end at ``until``. Its parts
    begin at whole multiples of their length in local time, ``offset`` seconds from UTC."""

    until: float
    bucket: float
    columns: int
    offset: float = 0.0

    @property
    def since(self) -> float:
        """Where it begins."""
        return self.until - self.bucket * self.columns

    @property
    def _slack(self) -> float:
        """The part of a column by which a float may miss an edge: a few microseconds."""
        return 5e-6 / self.bucket

    @property
    def span(self) -> Span:
        """All of it."""
        return Span(self.since, self.until)

    def floor(self, moment: float) -> float:
        """The edge between two parts at or before a moment."""
        places = (moment + self.offset) / self.bucket
        return math.floor(places + self._slack) * self.bucket - self.offset

    def ceiling(self, moment: float) -> float:
        """The edge between two parts at or after a moment."""
        places = (moment + self.offset) / self.bucket
        return math.ceil(places - self._slack) * self.bucket - self.offset

    def column(self, moment: float) -> int:
        """The column that a moment lies in; outside the window it is below 0 or not below ``columns``."""
        return math.floor((moment - self.since) / self.bucket + self._slack)

    def column_after(self, moment: float) -> int:
        """The first column that begins at or after a moment."""
        return math.ceil((moment - self.since) / self.bucket - self._slack)

    def ending(self, moment: float) -> Window:
        """The same scale, ending with the part that ``moment`` lies in."""
        return replace(self, until=self.ceiling(moment))

    def panned(self, columns: int) -> Window:
        """So many columns later, or earlier if negative."""
        return replace(self, until=self.until + columns * self.bucket)

    def wide(self, columns: int) -> Window:
        """As many columns as the screen has now, with the same end."""
        return replace(self, columns=max(1, columns))

    def zoomed(self, steps: int, around: float) -> Window:
        """So many scales finer, or coarser if negative, with ``around`` where it is as far as can be."""
        place = min(max(BUCKETS.index(self.bucket) - steps, 0), len(BUCKETS) - 1)
        share = min(max((around - self.since) / self.span.seconds, 0.0), 1.0)
        finer = replace(self, bucket=BUCKETS[place])
        since = around - share * finer.bucket * finer.columns
        return replace(finer, until=finer.ceiling(since) + finer.bucket * finer.columns)

    def showing(self, span: Span) -> Window:
        """The same scale, moved as little as is needed to show a span, or its beginning if it is longer."""
        moved = self.ending(span.until) if span.until > self.until else self
        if moved.column(span.since) >= 0:
            return moved
        # The parts do not begin where the span does: one that is shorter may yet not fit.
        return replace(self, until=self.floor(span.since) + self.span.seconds)


def covering(span: Span, columns: int, offset: float) -> Window:
    """The finest window of so many columns that shows all of a span."""
    window = Window(span.until, BUCKETS[-1], max(1, columns), offset)
    for bucket in BUCKETS:
        window = Window(span.until, bucket, max(1, columns), offset).ending(span.until)
        if window.since <= span.since:
            break
    return window


def iso(moment: float) -> str:
    """Epoch seconds as recorded times are written."""
    return nearest_iso(max(0.0, moment))
