"""How many of the last calls failed or were slow."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class RecentCalls:
    """The outcomes of the last ``size`` calls. Only those that failed (1), were slow (2) or both (3)
    are kept, each with its call's number, because most are neither: for these ``calls`` is counted up.
    ``failed`` and ``slow`` are right after each ``add``."""

    size: int
    calls: int = 0
    failed: int = 0
    slow: int = 0
    marked: deque[tuple[int, int]] = field(default_factory=deque)

    @property
    def filled(self) -> int:
        """How many calls are known."""
        return min(self.calls, self.size)

    def add(self, outcome: int) -> None:
        """A call failed, was slow, or both."""
        self.calls += 1
        self.marked.append((self.calls, outcome))
        self.failed += outcome & 1
        self.slow += outcome >> 1
        while self.marked[0][0] <= self.calls - self.size:
            _, old = self.marked.popleft()
            self.failed -= old & 1
            self.slow -= old >> 1

    def clear(self) -> None:
        """Forget all."""
        self.marked.clear()
        self.calls = self.failed = self.slow = 0
