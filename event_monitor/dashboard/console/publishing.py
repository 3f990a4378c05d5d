"""``publish`` at the console's prompt: to the bus or, as ``event-cli publish`` does it, to the spool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from event_monitor.dashboard.link import BusLink
from event_monitor.errors import BusClosed, Busy, EventMonitorError, HomeUnusable, NoBus
from event_monitor.grammar.spooled import spool
from event_monitor.messages import Message, PublishText
from event_monitor.replies.general import Published
from event_monitor.spooling import entry_key, entry_name


async def publish(link: BusLink, ask: Callable[[Message], Awaitable[Any]], message: PublishText) -> Published:
    """Publish an event. One that no bus takes now is kept in the spool under the key that the bus was
    given: if it did take the event before it went, the second copy is known as one.

    Raises ``EventMonitorError`` for what is refused, or can be neither taken nor kept."""
    name = entry_name("event")
    if message.key is None:
        message = msgspec.structs.replace(message, key=entry_key(name))
    try:
        published: Published = await ask(message)
    except (NoBus, BusClosed, Busy) as error:
        if link.read_only:
            raise
        return await asyncio.to_thread(_keep, link.spool, name, message, error)
    return published


def _keep(directory: str | None, name: str, message: PublishText, refusal: EventMonitorError) -> Published:
    if directory is None:
        raise NoBus(
            f"{refusal.message}; the event was not kept: that bus may be another machine's, and reads no "
            "spool of this home",
            "publish it again once the bus answers",
        ) from refusal
    try:
        return spool(directory, name, message, msgspec.json.encode(message) + b"\n")
    except OSError as error:
        raise HomeUnusable(
            f"no bus answers and the spool cannot be written: {error}", "free space, or start event-monitor"
        ) from error
