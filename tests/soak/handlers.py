"""Handlers that the bus under test loads, and the notes by which they are called to account.

Each beginning and each end of a handling is a line of ``handled-TARGET.log``, written with one system
call, so that no kill can tear it: ``begin|done PID DELIVERY TIME PUBLISHED``. What a handler does wrong is
read from ``mode-TARGET`` at each call.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path
from typing import Any, NamedTuple

from event_monitor.bus.within import outcome, publish
from event_monitor.model import Event

DIRECTORY = "EVENT_MONITOR_SOAK"
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

_files: dict[str, int] = {}


class Handling(NamedTuple):
    """One line of a handler's notes. ``published`` is the publisher's clock, ``at`` the handler's."""

    step: str
    pid: int
    delivery: str
    at: float
    published: float


def handlings(directory: Path, target: str) -> list[Handling]:
    """All that a target's handler has noted, in order."""
    path = directory / f"handled-{target}.log"
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        step, pid, delivery, at, published = line.split(" ")
        found.append(Handling(step, int(pid), delivery, float(at), float(published)))
    return found


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
    _note("chain", "begin", event)
    receipt = await publish("soak.order.link", {"name": f"link-{event.id}", "at": time.time()})
    await outcome(receipt.id)
    _note("chain", "done", event)


async def _handle(target: str, event: Event, work: float = 0.0) -> None:
    _note(target, "begin", event)
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
    _note(target, "done", event)


def _mode(target: str) -> str:
    try:
        return (_directory() / f"mode-{target}").read_text()
    except FileNotFoundError:
        return "ok"


def _note(target: str, step: str, event: Event) -> None:
    file = _files.get(target)
    if file is None:
        path = _directory() / f"handled-{target}.log"
        file = _files[target] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    published: Any = event.payload.get("at", 0.0)
    line = f"{step} {os.getpid()} {event.id}:{target} {time.time():.6f} {published:.6f}\n"
    os.write(file, line.encode())


def _directory() -> Path:
    return Path(os.environ[DIRECTORY])
