"""A small shop of six real services on loopback, in which one that fails can take others with it.

    frontend -> orders -> stock -> pricing
    frontend -> catalogue -> pricing, reviews

Each is a TCP server that speaks one JSON object a line, has a fixed number of workers and a short
queue before them, and refuses what does not fit. A worker is held until the whole answer is there,
as a thread would be; it does not notice that its caller has given up. What differs between the sides
of the A/B run is only how a service calls another: ``Caller``.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from event_monitor.chaos.proxy import tear_down

_BROKEN = (OSError, EOFError, TimeoutError, ValueError, msgspec.DecodeError)


@dataclass(frozen=True, slots=True)
class Need:
    """A call that an operation makes to another service. ``stand_in``: an answer from a while ago, marked
    as such, would do; a program without the layer has none at hand."""

    service: str
    operation: str
    stand_in: bool = False


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """How many calls a service works on at a time, how many more may wait, and the calls that each of
    its operations makes, one after another. Its own work takes about ``work`` seconds."""

    workers: int
    queue: int
    work: float
    operations: dict[str, tuple[Need, ...]]


_PRICE = Need("pricing", "price", stand_in=True)

PLANS: dict[str, ServicePlan] = {
    "frontend": ServicePlan(
        14,
        14,
        0.002,
        {
            "home": (),
            "history": (Need("orders", "history"),),
            "buy": (Need("orders", "buy"),),
            "browse": (Need("catalogue", "browse"),),
            "quote": (Need("catalogue", "quote"),),
        },
    ),
    "orders": ServicePlan(5, 10, 0.004, {"history": (), "buy": (Need("stock", "reserve"),)}),
    "stock": ServicePlan(5, 10, 0.004, {"reserve": (_PRICE,)}),
    "catalogue": ServicePlan(
        5,
        10,
        0.004,
        {
            "browse": (_PRICE, Need("reviews", "top", stand_in=True)),
            # An offer that binds needs the price of this moment.
            "quote": (Need("pricing", "price"),),
        },
    ),
    "pricing": ServicePlan(64, 64, 0.006, {"price": ()}),
    "reviews": ServicePlan(64, 64, 0.006, {"top": ()}),
}
ENTRANCE = "frontend"
LEAVES = ("pricing", "reviews")


def needs_of(operation: str, service: str = ENTRANCE) -> frozenset[str]:
    """The services that an operation reaches, at any depth."""
    found: set[str] = {service}
    for need in PLANS[service].operations[operation]:
        found |= needs_of(need.operation, need.service)
    return frozenset(found)


class Request(msgspec.Struct, frozen=True):
    """One call. ``number`` is that of the visitor's call that it belongs to."""

    number: int
    operation: str
    item: int


class Reply(msgspec.Struct, frozen=True):
    """``error`` is empty if it was answered. ``degraded``: with a stand-in somewhere in it."""

    error: str = ""
    degraded: bool = False


class CallFailed(Exception):
    """A service did not answer a call, or answered with an error."""


class Caller(Protocol):
    """How one service calls the others. Raises an ``Exception`` if there is no answer."""

    async def __call__(self, need: Need, request: Request) -> Reply: ...


class Ailment(enum.StrEnum):
    """What is wrong with a service, by the name of the fault point."""

    DIES = "service.server.down"
    HANGS = "service.server.hang"
    SLOW = "service.server.slow"


async def ask(port: int, request: Request) -> Reply:
    """One call over a connection of its own. Raises ``CallFailed``."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(msgspec.json.encode(request) + b"\n")
            await writer.drain()
            reply = msgspec.json.decode(await reader.readuntil(b"\n"), type=Reply)
        finally:
            writer.close()
    except _BROKEN as error:
        raise CallFailed(f"{type(error).__name__}: {error}") from error
    if reply.error:
        raise CallFailed(reply.error)
    return reply


class Service:
    """One server. ``call`` is how it reaches the others; ``work`` says how many seconds its own part of
    a request takes."""

    def __init__(self, name: str, call: Caller, work: Callable[[str, Request], float]) -> None:
        self.name = name
        self.plan = PLANS[name]
        self.port = 0
        self._call = call
        self._work = work
        self._places = asyncio.Semaphore(self.plan.workers)
        self._waiting = 0
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._dead = False
        self._delay = 0.0
        self._moves = asyncio.Event()
        self._moves.set()

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Finish what has begun, then listen no more."""
        self.heal()
        if self._server is not None:
            self._server.close()
        while self._open:
            await asyncio.wait(list(self._open))

    def spoil(self, ailment: Ailment, seconds: float) -> None:
        """Let it die, hang, or take ``seconds`` longer for each request."""
        if ailment is Ailment.DIES:
            # The port stays: a supervisor holds it, and each connection to it is reset.
            self._dead = True
            for writer in self._open.values():
                tear_down(writer)
        elif ailment is Ailment.HANGS:
            self._moves.clear()
        else:
            self._delay = seconds

    def heal(self) -> None:
        """End what is wrong. What hung goes on."""
        self._dead, self._delay = False, 0.0
        self._moves.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            if self._dead:
                tear_down(writer)
                return
            with contextlib.suppress(*_BROKEN):
                request = msgspec.json.decode(await reader.readuntil(b"\n"), type=Request)
                reply = await self._queue(request)
                writer.write(msgspec.json.encode(reply) + b"\n")
                await writer.drain()
        finally:
            del self._open[task]
            writer.close()

    async def _queue(self, request: Request) -> Reply:
        if self._places.locked() and self._waiting >= self.plan.queue:
            return Reply(f"{self.name} is busy")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._answer(request)
        finally:
            self._places.release()

    async def _answer(self, request: Request) -> Reply:
        await self._moves.wait()
        await asyncio.sleep(self._work(self.name, request) + self._delay)
        if self._dead:
            return Reply(f"{self.name} is gone")
        degraded = False
        for need in self.plan.operations[request.operation]:
            onward = Request(request.number, need.operation, request.item)
            try:
                degraded |= (await self._call(need, onward)).degraded
            except Exception as error:  # noqa: BLE001 - whatever the caller raises is this answer's failure
                return Reply(f"{self.name}: no answer from {need.service}: {error}")
        return Reply(degraded=degraded)


class Shop:
    """All services, and who calls whom. ``make_caller`` answers how the named service makes its calls."""

    def __init__(self, make_caller: Callable[[str, Shop], Caller], seed: int) -> None:
        self._seed = seed
        self.services = {name: Service(name, make_caller(name, self), self._work) for name in PLANS}

    async def start(self) -> None:
        """Start all."""
        for service in self.services.values():
            await service.start()

    async def stop(self) -> None:
        """Heal all, let them finish and end them, those who call before those who are called."""
        for service in self.services.values():
            service.heal()
        for service in self.services.values():
            await service.stop()

    async def ask(self, service: str, request: Request) -> Reply:
        """Call a service as it is, without any guard. Raises ``CallFailed``."""
        return await ask(self.services[service].port, request)

    def _work(self, name: str, request: Request) -> float:
        """The same for the same request on either side, in whatever order they come."""
        rng = random.Random(f"{self._seed}/{request.number}/{name}/{request.operation}")
        return PLANS[name].work * rng.lognormvariate(0.0, 0.4)
