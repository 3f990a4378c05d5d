"""Handlers that the bus under test loads, and the notes by which they are called to account.

What a handler does wrong is read from ``mode-TARGET`` at each call.
"""

from __future__ import annotations

import asyncio
import random
import time

from event_monitor.bus.within import outcome, publish
from event_monitor.chaos.notes import directory, note
from event_monitor.model import Event

SUBSCRIPTIONS = {
    "orders": "soak.order.#",
    "flaky": "soak.flaky",
    "slow": "soak.slow",
    "brief": "soak.brief",
    "chain": "soak.chain",
    "much": "soak.much",
}
"""The handlers of this module and what they get. Beside them a command, ``tool``, gets ``soak.tool``."""

# How often a handler fails at an event that is hard to take: most become dead letters, until all is healed.
POISON = 0.9


async def orders(event: Event) -> None:
    """Quick and reliable, unless told otherwise."""
    await _handle("orders", event)


async def flaky(event: Event) -> None:
    """The target that most of the handlers' faults are for."""
    await _handle("flaky", event)


async def slow(event: Event) -> None:
    """A little work for each event."""
    await _handle("slow", event, 0.01)


async def brief(event: Event) -> None:
    """Events that nobody wants late."""
    await _handle("brief", event)


async def much(event: Event) -> None:
    """What is left of a storm."""
    await _handle("much", event)


async def chain(event: Event) -> None:
    """Publishes an order and waits for what becomes of it."""
    note("chain", "begin", event)
    receipt = await publish("soak.order.link", {"name": f"link-{event.id}", "at": time.time()})
    await outcome(receipt.id)
    note("chain", "done", event)


async def _handle(target: str, event: Event, work: float = 0.0) -> None:
    note(target, "begin", event)
    if event.payload.get("poison") and _mode("poison") == "on" and random.random() < POISON:
        raise ValueError("this event is hard to take")
    mode, _, value = _mode(target).partition(" ")
    if mode == "fail" and random.random() < float(value):
        raise ValueError("as the soak told")
    if mode == "slow":
        work += float(value)
    if mode == "hang":
        work = 3_600.0
    if mode == "block":
        time.sleep(float(value))  # noqa: ASYNC251 - a handler's mistake that the watchdog is to find
    if work:
        await asyncio.sleep(work)
    note(target, "done", event)


def _mode(target: str) -> str:
    try:
        return (directory() / f"mode-{target}").read_text()
    except FileNotFoundError:
        return "ok"
