"""What a circuit breaker has been through of late: its changes, and the last hour by minutes."""

from __future__ import annotations

from collections import deque

from event_monitor.clock import to_iso
from event_monitor.replies.general import BreakerMove
from event_monitor.resilience.breaker import BreakerChange, BreakerState

KEPT = 500
MINUTES = 60
UNKNOWN = "UNKNOWN"
_RANK = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class BreakerHistory:
    """The last ``KEPT`` changes of one breaker that was ``state`` at ``now``, on its own clock."""

    def __init__(self, state: BreakerState, now: float) -> None:
        self._first = state
        self._since = now
        self._changes: deque[tuple[float, BreakerChange]] = deque()

    def add(self, change: BreakerChange, wall: float) -> None:
        """A change was made at ``wall`` epoch seconds. What is forgotten is no longer known."""
        self._changes.append((wall, change))
        if len(self._changes) > KEPT:
            _, gone = self._changes.popleft()
            self._first, self._since = gone.to_state, gone.at

    def moves(self, limit: int) -> list[BreakerMove]:
        """The newest changes, the oldest of them first."""
        newest = list(self._changes)[-limit:]
        return [
            BreakerMove(
                at=to_iso(wall),
                from_state=change.from_state.value,
                to_state=change.to_state.value,
                reason=change.reason,
                by=change.by,
            )
            for wall, change in newest
        ]

    @property
    def last(self) -> BreakerMove | None:
        """The newest change."""
        return next(iter(self.moves(1)), None)

    def timeline(self, now: float) -> list[str]:
        """The worst state of each of the last 60 minutes, the newest last; ``UNKNOWN`` before the
        breaker was watched."""
        worst: list[BreakerState | None] = [None] * MINUTES
        state, since = self._first, self._since
        for change in (*(change for _, change in self._changes), None):
            until = now if change is None else change.at
            self._mark(worst, state, now - since, now - until)
            if change is not None:
                state, since = change.to_state, change.at
        return [UNKNOWN if one is None else one.value for one in worst]

    def _mark(
        self, worst: list[BreakerState | None], state: BreakerState, oldest: float, newest: float
    ) -> None:
        """Let ``state`` count in the minutes between two ages in seconds."""
        first = max(0, MINUTES - 1 - int(oldest // 60))
        last = min(MINUTES - 1, MINUTES - 1 - int(newest // 60))
        for place in range(first, last + 1):
            known = worst[place]
            if known is None or _RANK[state] > _RANK[known]:
                worst[place] = state
