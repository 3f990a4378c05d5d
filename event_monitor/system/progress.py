"""Finds targets that stand still although nothing keeps them from going on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from event_monitor.bus.lane import GRACE, Lane

# Looks in a row without a move after which a lane that could go on is stuck.
LOOKS = 2
# The same where events must be read back from disk first, which may be slow.
DISK_LOOKS = 20
_MARGIN = 1.0


@dataclass(frozen=True, slots=True)
class Standstill:
    """A target that does not go on."""

    target: str
    waiting: int
    reason: str


class ProgressWatch:
    """Compares each lane with how it was at the last look."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, int, int]] = {}
        self._still: dict[str, int] = {}

    def forget(self) -> None:
        """The loop stood still: nothing that was seen before says anything about the lanes."""
        self._before.clear()
        self._still.clear()

    def look(self, lanes: Iterable[Lane], now: float) -> list[Standstill]:
        """The lanes that are stuck at ``now`` (loop time)."""
        return [found for lane in lanes if (found := self._look(lane, now)) is not None]

    def _look(self, lane: Lane, now: float) -> Standstill | None:
        moved = (lane.handled, lane.failed, lane.begun)
        still = self._still.get(lane.name, 0) + 1 if self._before.get(lane.name) == moved else 0
        self._before[lane.name] = moved
        on_disk = sum(lane.on_disk(rank) for rank in range(len(lane.queues)) if lane.gate(rank))
        limit = lane.timeout * (1 + GRACE) + _MARGIN
        reason = None
        if any(now - started > limit for _, started, _ in lane.handling()):
            reason = f"a handler runs past its {lane.timeout:g} s and its grace"
        elif lane.startable:
            if still >= LOOKS:
                reason = "a place is free, nothing holds it, and yet nothing is begun"
        elif on_disk and not lane.waiting and not lane.running and lane.passes:
            if still >= DISK_LOOKS:
                reason = "what waits on disk is not read back"
        else:
            still = 0
        self._still[lane.name] = still
        return None if reason is None else Standstill(lane.name, lane.waiting + on_disk, reason)
