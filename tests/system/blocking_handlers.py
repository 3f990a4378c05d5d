"""Handlers that do what none should, for a bus in a process of its own."""

from __future__ import annotations

import re
import time

from event_monitor.bus import within
from event_monitor.model import Event


async def block(event: Event) -> None:
    """Keeps the loop for two seconds."""
    time.sleep(2)  # noqa: ASYNC251 - the very mistake that is to be found


async def spin(event: Event) -> None:
    """Keeps the loop and the interpreter for some seconds, so that no other thread runs."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        re.match(r"(a+)+$", "a" * 24 + "b")


async def ask(event: Event) -> None:
    """Waits for an event whose handler waits for this one's lane."""
    receipt = await within.publish("circle.answer")
    await within.outcome(receipt.id)


async def answer(event: Event) -> None:
    """The other half of the circle."""
    receipt = await within.publish("circle.ask")
    await within.outcome(receipt.id)
