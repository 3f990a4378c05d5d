"""Cuts what a client sends into requests, a line each."""

from __future__ import annotations

from event_monitor.errors import InvalidRequest


class Frames:
    """The requests that have arrived and were not taken yet. Holds no more memory than their bytes, and
    cuts a line off only when it is taken, so a flood of short lines costs nothing until then."""

    def __init__(self, limit: int) -> None:
        self.waiting = 0
        self._limit = limit
        self._data = bytearray()
        self._begun = 0

    @property
    def begun(self) -> bool:
        """Whether the start of a request has arrived without its end."""
        return self._begun > 0

    def feed(self, data: bytes) -> int:
        """Take bytes as they arrive; answers how many requests they completed. Raises
        ``InvalidRequest`` where one is larger than the limit, and forgets all that waits."""
        first = data.find(b"\n")
        largest = self._begun + (len(data) if first < 0 else first)
        if len(data) > self._limit:
            largest = max(largest, *map(len, data.split(b"\n")[1:]), 0)
        if largest > self._limit:
            self.clear()
            raise InvalidRequest(f"a request is larger than {self._limit:,} bytes", "send smaller requests")
        self._data += data
        self._begun = largest if first < 0 else len(data) - data.rfind(b"\n") - 1
        completed = data.count(b"\n")
        self.waiting += completed
        return completed

    def take(self) -> bytes:
        """The oldest complete request; there must be one ``waiting``."""
        end = self._data.index(b"\n")
        line = bytes(self._data[:end])
        del self._data[: end + 1]
        self.waiting -= 1
        return line

    def clear(self) -> None:
        """Forget everything."""
        self._data.clear()
        self.waiting = self._begun = 0
