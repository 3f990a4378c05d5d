"""Which events are marked: single ones, and ranges of all that pass the filter. Kept by id."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Marks:
    """``anchor`` is where a range that is still being drawn began, ``None`` if none is."""

    single: set[int] = field(default_factory=set)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    without: set[int] = field(default_factory=set)
    anchor: int | None = None

    def __bool__(self) -> bool:
        return bool(self.single or self.ranges or self.anchor is not None)

    def holds(self, event_id: int, cursor: int | None = None) -> bool:
        """Whether an event is marked; ``cursor`` is the other end of the range that is being drawn."""
        if event_id in self.single:
            return True
        if event_id in self.without:
            return False
        return any(low <= event_id <= high for low, high in self.spans(cursor))

    def spans(self, cursor: int | None = None) -> list[tuple[int, int]]:
        """The ranges as (lowest id, highest id), the one that is being drawn among them."""
        if self.anchor is None or cursor is None:
            return self.ranges
        return [*self.ranges, (min(self.anchor, cursor), max(self.anchor, cursor))]

    def toggle(self, event_id: int) -> None:
        """Mark an event, or take its mark away."""
        if self.holds(event_id):
            self.single.discard(event_id)
            if self.holds(event_id):
                self.without.add(event_id)
        else:
            self.without.discard(event_id)
            if not self.holds(event_id):
                self.single.add(event_id)

    def begin(self, event_id: int) -> None:
        """Draw a range from here."""
        self.anchor = event_id

    def end(self, event_id: int) -> None:
        """The range that was begun goes up to here."""
        span = self.spans(event_id)[-1]
        self.anchor = None
        self.ranges.append(span)
        self.without = {one for one in self.without if not span[0] <= one <= span[1]}

    def clear(self) -> None:
        """Mark nothing."""
        self.single.clear()
        self.ranges.clear()
        self.without.clear()
        self.anchor = None
