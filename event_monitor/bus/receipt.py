"""What a publisher learns of its event."""

from __future__ import annotations

import msgspec

from event_monitor.model import Priority


class Receipt(msgspec.Struct, frozen=True):
    """``status`` is ``accepted``, or ``duplicate`` if the idempotency key was seen before, in which
    case ``id`` is the first event's. ``sampled``: a storm rule let it into the record only."""

    id: int
    event_type: str
    priority: Priority
    status: str
    targets: tuple[str, ...]
    sampled: bool = False

    def known_as(self, event_id: int) -> Receipt:
        """The final receipt, once the id under which the event is known has been answered."""
        if event_id == self.id:
            return self
        return Receipt(event_id, self.event_type, self.priority, "duplicate", self.targets, self.sampled)
