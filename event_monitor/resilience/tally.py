"""Counts errors by what they say, so that a thousand of the same read as one line."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

KEPT = 32
LONGEST = 300


def told(error: BaseException) -> str:
    """An error as people read it: its kind, and what it says if it says anything."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """One distinct error. ``last_at`` is in seconds of its reporter's clock."""

    text: str
    count: int
    last_at: float


class ErrorTally:
    """Distinct errors with their counts. At most ``size`` are kept: those that were seen last."""

    __slots__ = ("_counts", "_size")

    def __init__(self, size: int = KEPT) -> None:
        self._size = size
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def add(self, text: str, now: float) -> None:
        """An error was seen at ``now``; a long text is cut."""
        text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        count, _ = self._counts.pop(text, (0, 0.0))
        self._counts[text] = (count + 1, now)
        if len(self._counts) > self._size:
            self._counts.popitem(last=False)

    def newest(self, limit: int) -> list[ErrorCount]:
        """The last seen ones, the newest first."""
        found = list(reversed(self._counts.items()))[:limit]
        return [ErrorCount(text, count, at) for text, (count, at) in found]
