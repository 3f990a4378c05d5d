"""What memory holds of an event on its way, and of each of its deliveries."""

from __future__ import annotations

from event_monitor.bus.storms import Tally
from event_monitor.model import DeliveryError, DeliveryState, Event


class InFlight:
    """An accepted event until every delivery of it is settled or written down.

    ``outstanding`` counts the deliveries that memory still owes; ``unusual`` is set once one of
    them was not simply done, so that its end must be worked out from the ``deliveries`` table.
    ``stored`` marks one that was read back from that table: it owes one delivery only.
    ``sampled_by`` is the tally of one that a storm rule took out: it owes nothing.
    Times are the loop's.
    """

    __slots__ = (
        "accepted_at",
        "deadline",
        "event",
        "held",
        "outcomes",
        "outstanding",
        "rank",
        "sampled_by",
        "size",
        "stored",
        "targets",
        "unusual",
    )

    def __init__(
        self,
        event: Event,
        targets: tuple[str, ...],
        *,
        size: int,
        accepted_at: float,
        deadline: float | None = None,
        stored: bool = False,
        sampled_by: Tally | None = None,
    ) -> None:
        self.event = event
        self.targets = targets
        self.rank = event.priority.rank
        self.size = size
        self.accepted_at = accepted_at
        self.deadline = deadline
        self.stored = stored
        self.sampled_by = sampled_by
        self.outstanding = len(targets)
        self.outcomes: list[DeliveryState] = [DeliveryState.QUEUED] * len(targets)
        self.unusual = False
        self.held = False


class Pending:
    """One delivery in a lane. ``attempts`` counts those made before this one."""

    __slots__ = ("attempts", "errors", "place", "record")

    def __init__(
        self, record: InFlight, place: int, attempts: int = 0, errors: tuple[DeliveryError, ...] = ()
    ) -> None:
        self.record = record
        self.place = place
        self.attempts = attempts
        self.errors = errors

    @property
    def target(self) -> str:
        return self.record.targets[self.place]

    @property
    def delivery_id(self) -> str:
        """Stable over retries and restarts: what a handler de-duplicates on."""
        return f"{self.record.event.id}:{self.target}"
