"""Live event streams for watchers: bounded, and honest about what a slow reader missed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import msgspec

from event_monitor.model import Event
from event_monitor.topics import TopicPattern


class StreamEvent(msgspec.Struct, frozen=True):
    """One event of a stream."""

    event: Event


class StreamGap(msgspec.Struct, frozen=True):
    """So many events were skipped here because the reader was slow."""

    gap: int


class EventStream:
    """The accepted events that match a pattern, in order, for one reader.

    At most ``limit`` wait for it; what comes beyond that is counted and shown as a gap.
    """

    def __init__(
        self,
        pattern: TopicPattern,
        matches: Callable[[Event], bool] | None = None,
        *,
        limit: int = 1_000,
        on_close: Callable[[EventStream], None] = lambda stream: None,
    ) -> None:
        self.pattern = pattern
        self.matches = matches
        self._limit = limit
        self._waiting: deque[Event] = deque()
        self._gap = 0
        self._arrived = asyncio.Event()
        self._closed = False
        self._on_close = on_close

    def offer(self, event: Event) -> None:
        """Hand in an accepted event. Never waits."""
        if not self.pattern.matches(event.event_type):
            return
        if self.matches is not None and not self.matches(event):
            return
        if len(self._waiting) >= self._limit or self._gap:
            self._gap += 1
        else:
            self._waiting.append(event)
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[StreamEvent | StreamGap]:
        while True:
            while self._waiting:
                yield StreamEvent(self._waiting.popleft())
            if self._gap:
                gap, self._gap = self._gap, 0
                yield StreamGap(gap)
                continue
            if self._closed:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def close(self) -> None:
        """End the stream: its reader gets what waits, then the end."""
        if not self._closed:
            self._closed = True
            self._arrived.set()
            self._on_close(self)
