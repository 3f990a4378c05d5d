"""What a view or a program talks to, whether the runtime is in this process or behind the socket."""

from __future__ import annotations

from typing import Any, Protocol

from event_monitor.messages import Message


class Client(Protocol):
    """One face for both clients."""

    async def request(self, message: Message) -> Any:
        """Send a command or query and return its reply.

        Raises the ``EventMonitorError`` that the runtime answered with, or ``NoBus`` when the
        connection is gone (the next request tries to connect again).
        """

    async def close(self) -> None:
        """Let go of the connection. Safe to call twice."""
