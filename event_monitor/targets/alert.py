"""The ``alert`` target: an event becomes an alert that stays until a person has seen it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from event_monitor.bus.inflight import Pending
from event_monitor.model import Priority, Severity
from event_monitor.redaction import redact
from event_monitor.summary import subject, summarise
from event_monitor.system.alerts import AlertBook


class AlertTarget:
    """Raises one alert for each event. Repeats of the same type about the same subject (a service,
    a server) are counted on one alert."""

    def __init__(self, alerts: AlertBook, mask: Sequence[str] = ()) -> None:
        self._alerts = alerts
        self._mask = tuple(mask)

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Raise the alerts of a batch."""
        for delivery in batch:
            event = delivery.record.event
            payload = redact(event.payload, self._mask)
            about = subject(payload)
            summary = summarise(event.event_type, payload)
            critical = event.priority is Priority.CRITICAL
            self._alerts.raise_alert(
                Severity.CRITICAL if critical else Severity.WARNING,
                f"{event.event_type}: {about}" if about else event.event_type,
                "" if summary == about else summary.removeprefix(f"{about}: "),
                event.id,
                about=_service(payload),
            )


def _service(payload: dict[str, Any]) -> str:
    """The service that an event names."""
    named = payload.get("service") or payload.get("server")
    return named if isinstance(named, str) else ""
