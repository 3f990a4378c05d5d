"""``cached_fs``, ``cached_data`` and ``cached_search``: what the service itself answered before."""

from __future__ import annotations

from typing import Any

from event_monitor.resilience.fallback import Answer, AnswerCache, NotInCache, call_key
from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.providers.provider import only_asks, unwrapped


class RememberedAnswers:
    """Answers from ``cache``, always stale and with their age.

    Only questions are answered: to repeat the answer to a write would claim a write that never was."""

    def __init__(self, cache: AnswerCache, name: str) -> None:
        self.name = name
        self._cache = cache

    async def call(self, operation: str, /, **arguments: Any) -> Answer[Any]:
        """What the same call was answered within the cache's time. Raises ``CallerError`` for what is
        no question, ``ServiceError`` if nothing is remembered."""
        wanted, _ = unwrapped(operation, arguments)
        if not only_asks(wanted):
            raise CallerError(f"{self.name} answers questions only; {wanted[:60]!r} may change something")
        try:
            value, age = self._cache.recall(call_key((operation,), arguments))
        except NotInCache as error:
            raise ServiceError(f"{self.name}: {error}") from error
        return Answer(value, self.name, degraded=True, stale=True, age=age)
