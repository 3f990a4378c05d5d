"""``error_message``: the answer when nothing else is left."""

from __future__ import annotations

from typing import Any

from event_monitor.resilience.fallback import Answer
from event_monitor.services.providers.provider import unwrapped


class ErrorMessage:
    """Says what is unavailable and what to do. It answers everything, and never with a result."""

    name = "error_message"

    def __init__(self, service: str = "") -> None:
        self._service = service

    async def call(self, operation: str, /, **arguments: Any) -> Answer[dict[str, Any]]:
        """A description of what cannot be done at the moment, marked degraded. Raises nothing."""
        service = self._service or "the service"
        wanted, _ = unwrapped(operation, arguments)
        advice = f"look at it with event-cli health {self._service}".rstrip() + ", and ask again later"
        message = f"{wanted[:60]} is unavailable: {service} and its other fallbacks gave no answer"
        value = {"error": "unavailable", "operation": wanted, "message": message, "advice": advice}
        return Answer(value, self.name, degraded=True)
