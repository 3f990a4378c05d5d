"""Takes in what was spooled while no bus ran."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from event_monitor.answers.table import Outcome
from event_monitor.control.spool import Spool, SpoolEntry
from event_monitor.errors import (
    BusClosed,
    BusFull,
    EventMonitorError,
    InvalidEvent,
    RateLimited,
    StoreUnavailable,
)
from event_monitor.messages import Publish
from event_monitor.model import Severity
from event_monitor.system.alerts import AlertBook

_PAGE = 200

PublishAll = Callable[[Sequence[Publish | EventMonitorError]], Awaitable[list[Outcome]]]
_LATER = StoreUnavailable | BusFull | BusClosed | RateLimited


class SpoolIntake:
    """Publishes spooled files and removes each when its events are on disk."""

    def __init__(
        self, spool: Spool, publish_all: PublishAll, alerts: AlertBook, *, max_payload_bytes: int
    ) -> None:
        self._spool = spool
        self._publish_all = publish_all
        self._alerts = alerts
        self._max_payload_bytes = max_payload_bytes

    async def take(self) -> None:
        """Take all that waits, the oldest first, as far as disk and queue allow."""
        while True:
            entries = await asyncio.to_thread(self._spool.entries, _PAGE)
            for entry in entries:
                if not await self._take(entry):
                    return
            if len(entries) < _PAGE:
                return

    async def _take(self, entry: SpoolEntry) -> bool:
        """Publish a spooled file and remove it. False if it must wait: the disk or the queue is full.

        Its idempotency keys make it safe to take the same file twice."""
        try:
            publishes = await asyncio.to_thread(self._spool.read, entry, self._max_payload_bytes)
            outcomes = await self._publish_all(publishes)
        except FileNotFoundError:
            return True
        except InvalidEvent as error:
            outcomes = [error]
        refused = [outcome for outcome in outcomes if isinstance(outcome, EventMonitorError)]
        if any(isinstance(error, _LATER) for error in refused):
            return False
        if not refused:
            await asyncio.to_thread(self._spool.done, entry)
            return True
        reasons = "; ".join(str(error) for error in refused[:3])
        await asyncio.to_thread(self._spool.reject, entry, reasons)
        self._alerts.raise_alert(
            Severity.WARNING,
            "A spooled event was refused",
            f"{reasons}; it is kept in {self._spool.bad}",
        )
        return True
