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
        self._seen: dict[str, tuple[tuple[int, int, int], int]] = {}

    def forget(self) -> None:
        """The loop stood still: nothing that was seen before says anything about the lanes."""
        self._seen.clear()

    def look(self, lanes: Iterable[Lane], now: float) -> list[Standstill]:
        """The lanes that are stuck at ``now`` (loop time)."""
        before, self._seen = self._seen, {}
        found: list[Standstill] = []
        for lane in lanes:
            # Most lanes have nothing to do most of the time: looking at them must cost nothing then.
            if lane.idle and not any(lane.stored):
                continue
            moved = (lane.handled, lane.failed, lane.begun)
            last, still = before.get(lane.name, (moved, -1))
            still = still + 1 if last == moved else 0
            reason, held = _reason(lane, now, still)
            self._seen[lane.name] = (moved, 0 if held else still)
            if reason is not None:
                found.append(Standstill(lane.name, lane.waiting + _on_disk(lane), reason))
        return found


def _reason(lane: Lane, now: float, still: int) -> tuple[str | None, bool]:
    """Why a lane is stuck that was seen ``still`` times without a move, ``None`` if it is not; and
    whether it waits for good reason."""
    limit = lane.timeout * (1 + GRACE) + _MARGIN
    if any(now - started > limit for _, started, _ in lane.handling()):
        return f"a handler runs past its {lane.timeout:g} s and its grace", False
    if lane.startable:
        stuck = still >= LOOKS
        return ("a place is free, nothing holds it, and yet nothing is begun" if stuck else None), False
    if _on_disk(lane) and lane.idle and lane.passes:
        return ("what waits on disk is not read back" if still >= DISK_LOOKS else None), False
    return None, True


def _on_disk(lane: Lane) -> int:
    """Deliveries on disk that nothing holds."""
    return sum(lane.on_disk(rank) for rank in range(len(lane.queues)) if lane.gate(rank))
