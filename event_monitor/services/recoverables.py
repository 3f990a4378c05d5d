"""The services as the ``recovery`` target sees them."""

from __future__ import annotations

from collections.abc import Collection

from event_monitor.services.registry import ServiceRegistry


class Recoverables:
    """The services as the ``recovery`` target sees them: while none is configured there is nothing
    to recover, and no event is wrong for naming one."""

    def __init__(self, services: ServiceRegistry) -> None:
        self._services = services

    def names(self) -> Collection[str]:
        return self._services.names() if self._services else _Anything()

    async def recover(self, name: str, reason: str) -> str:
        if not self._services:
            return "no service is configured"
        return await self._services.recover(name, reason)


class _Anything(tuple[str, ...]):
    """A collection that holds whatever it is asked for."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return True
