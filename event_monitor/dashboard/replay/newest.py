"""One question at a time of which only the newest counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from event_monitor.dashboard.link import BusLink
from event_monitor.errors import EventMonitorError
from event_monitor.messages import Message


class Newest:
    """Asks on a connection of its own, ``delay`` seconds after the last call: so pictures go on while a
    long answer is worked out, a held key asks once, and an answer that nobody waits for any more is not
    worked out to its end, nor ever shown."""

    def __init__(self, link: BusLink, *, delay: float, patience: float) -> None:
        self._link = link
        self._delay = delay
        self._patience = patience
        self._number = 0
        self._asked_at: float | None = None
        self._request: asyncio.Future[Any] | None = None

    @property
    def waited(self) -> float | None:
        """Seconds that an answer is waited for; ``None`` if none is."""
        return None if self._asked_at is None else asyncio.get_running_loop().time() - self._asked_at

    def drop(self) -> bool:
        """Wait no longer. False if nothing was waited for."""
        waited = self._asked_at is not None
        self._number += 1
        self._asked_at = None
        if self._request is not None:
            self._request.cancel()
            self._request = None
        return waited

    def ask(
        self,
        message: Message,
        then: Callable[[Any], None],
        refused: Callable[[EventMonitorError], None],
    ) -> None:
        """Ask instead of what was asked before."""
        self.drop()
        self._asked_at = asyncio.get_running_loop().time()
        self._link.work(self._ask(message, then, refused, self._number))

    async def _ask(
        self,
        message: Message,
        then: Callable[[Any], None],
        refused: Callable[[EventMonitorError], None],
        number: int,
    ) -> None:
        await asyncio.sleep(self._delay)
        if number != self._number:
            return
        client = self._link.apart(self._patience)
        request = self._request = asyncio.ensure_future(client.request(message))
        try:
            reply = await request
        except asyncio.CancelledError:
            if number == self._number:
                request.cancel()
                raise
        except EventMonitorError as error:
            if number == self._number:
                self._request = self._asked_at = None
                refused(error)
        else:
            if number == self._number:
                self._request = self._asked_at = None
                then(reply)
        finally:
            await client.close()
