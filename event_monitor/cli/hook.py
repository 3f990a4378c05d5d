"""``event-cli hook``: hands an assistant's hook input to the bus, or to the spool.

An assistant waits for its hooks, shows their stderr to its user and acts on their exit status, so
this one ends with 0, in silence and soon, whatever happens.
"""

from __future__ import annotations

import os
import sys

from event_monitor.cli import stdio, wire
from event_monitor.paths import HomePaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

DEADLINE = 1.0


def run(home: str | None) -> NoReturn:
    """Deliver what stdin holds and end the process with status 0. Never returns, never raises.
    ``EVENT_MONITOR_DEBUG`` in the environment shows on stderr what went wrong."""
    try:
        deliver(HomePaths(home), 0)
    finally:
        if os.environ.get("EVENT_MONITOR_DEBUG"):
            _show_failure()
        os._exit(0)


def deliver(paths: HomePaths, fd: int) -> None:
    """Read hook input from ``fd`` and hand it to the bus; put it into the spool where the bus does
    not take it within a second, or where it does not fit into a frame (longer than 1 MiB, not UTF-8).

    Both carry the same key, so that input is not doubled when the bus took it but could not answer.
    Raises ``OSError`` if the spool cannot be written either.
    """
    from event_monitor import spooling

    name = spooling.entry_name("hook")
    head = stdio.read_head(fd, wire.MAX_FRAME_BYTES)
    whole = len(head) < wire.MAX_FRAME_BYTES
    if not (whole and _taken(paths.socket, head, spooling.entry_key(name))):
        spooling.write_entry(paths.spool, name, _all(head, fd, whole))


def _taken(socket: str, data: bytes, key: str) -> bool:
    try:
        request = wire.frame("publish_hook", {"text": data.decode(), "key": key})
        if len(request) > wire.MAX_FRAME_BYTES:
            return False
        return wire.exchange(socket, request, DEADLINE).startswith(wire.SUCCESS)
    except (OSError, UnicodeError):
        return False


def _all(head: bytes, fd: int, whole: bool) -> Iterator[bytes]:
    yield head
    if not whole:
        yield from stdio.chunks(fd)


def _show_failure() -> None:
    failure = sys.exc_info()[1]
    if failure is not None:
        stdio.write(2, f"event-cli hook: {failure!r}\n".encode("utf-8", "backslashreplace"))
