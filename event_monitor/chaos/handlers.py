"""Handlers that the bus under test loads: one notes events, one calls the service that an event names."""

from __future__ import annotations

import asyncio
import time

from event_monitor.chaos.notes import note
from event_monitor.chaos.switchboard import SWITCHBOARD
from event_monitor.model import Event
from event_monitor.runtime import Runtime

ORDERS, CALLS = "orders", "calls"
SUBSCRIPTIONS = {ORDERS: ("chaos.order.#", "order"), CALLS: ("chaos.call.#", "call")}
"""Target: the pattern that it is subscribed to, and its function in this module."""


class _Inside:
    """The runtime of this process, once it runs."""

    def __init__(self) -> None:
        self.runtime: Runtime | None = None
        self._started = asyncio.Event()

    def started(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._started.set()

    async def get(self) -> Runtime:
        await self._started.wait()
        assert self.runtime is not None
        return self.runtime


INSIDE = _Inside()


async def order(event: Event) -> None:
    """Note the event."""
    await _handle(ORDERS, event)


async def call(event: Event) -> None:
    """Call the service that the event names, through all that protects it, and note the event."""
    runtime = await INSIDE.get()
    guard = runtime.services[event.payload["service"]]
    if guard.settings.kind == "http":
        await guard.call("get")
    else:
        await guard.call("echo", name=event.payload["name"])
    await _handle(CALLS, event)


async def _handle(target: str, event: Event) -> None:
    note(target, "begin", event)
    if SWITCHBOARD.strikes("target.fail"):
        raise ValueError("it fails, as was told")
    if SWITCHBOARD.strikes("target.lie"):
        return
    if slow := SWITCHBOARD.strikes("target.slow"):
        await asyncio.sleep(slow.amount)
    if block := SWITCHBOARD.strikes("target.block"):
        time.sleep(block.amount)  # noqa: ASYNC251 - a handler's mistake that the watchdog is to find
    if SWITCHBOARD.strikes("target.hang"):
        await asyncio.Event().wait()
    note(target, "done", event)
