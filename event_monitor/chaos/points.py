"""The named fault points: each says in a line what it spoils, injects it, and heals it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from event_monitor.chaos import damage
from event_monitor.chaos.bus_process import LONGEST
from event_monitor.chaos.proxy import NONE, Faults, FaultyProxy
from event_monitor.chaos.switchboard import Armed
from event_monitor.chaos.world import POLL, TOOLS, World
from event_monitor.errors import EventMonitorError
from event_monitor.messages import Publish


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that is planned: at which point, when (seconds since the load begins, or as soon as the
    fault before it is healed and recovered from), and for how long. ``amount`` says how much, in the
    point's own unit; of the calls at the point ``share`` are struck, after ``skip`` that pass, at most
    ``times`` (0: any number)."""

    point: str
    at: float
    seconds: float
    amount: float = 0.0
    share: float = 1.0
    skip: int = 0
    times: int = 0

    @property
    def detail(self) -> str:
        """What is special about it."""
        parts = [POINTS[self.point].unit.format(self.amount)] if self.amount else []
        if self.share < 1:
            parts.append(f"{self.share:.0%} of the calls")
        if self.times:
            parts.append(f"{self.times} of the calls, from call {self.skip + 1} on")
        return ", ".join(parts)


Inject = Callable[[World, Strike], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Point:
    """A place where a fault can be injected. ``inject`` does so for the length of a block."""

    name: str
    summary: str
    inject: Inject
    unit: str = "{:g} s"


POINTS: dict[str, Point] = {}
"""All fault points by name."""


def point(
    name: str, summary: str, unit: str = "{:g} s"
) -> Callable[[Callable[[World, Strike], AsyncIterator[None]]], Inject]:
    """Make a generator that injects, yields and heals a fault point."""

    def register(generator: Callable[[World, Strike], AsyncIterator[None]]) -> Inject:
        inject = contextlib.asynccontextmanager(generator)
        POINTS[name] = Point(name, summary, inject, unit)
        return inject

    return register


# --- inside the bus, at its seams ------------------------------------------------------------


async def _arm(world: World, strike: Strike) -> AsyncIterator[None]:
    await world.bus.arm(
        Armed(
            point=strike.point,
            share=strike.share,
            skip=strike.skip,
            times=strike.times,
            amount=strike.amount,
            seed=world.seed,
        )
    )
    try:
        yield
    finally:
        await world.bus.heal(strike.point)


for _name, _summary, _unit in (
    ("store.write.disk_full", "a transaction of the store is refused: the disk is full", "{:g}"),
    ("store.write.io_error", "a transaction of the store is refused: the disk cannot be written", "{:g}"),
    ("store.write.slow", "a transaction of the store takes longer", "{:.2f} s longer"),
    ("target.fail", "a handler raises an error", "{:g}"),
    ("target.hang", "a handler never returns", "{:g}"),
    ("target.slow", "a handler takes longer", "{:.2f} s longer"),
    ("target.block", "a handler blocks the bus's loop", "{:.1f} s each"),
    ("target.lie", "a handler returns without doing its work, which the account must find", "{:g}"),
    ("service.call.fail", "a call of a service fails", "{:g}"),
    ("service.call.hang", "a call of a service is never answered", "{:g}"),
    ("service.call.slow", "a call of a service takes longer", "{:.2f} s longer"),
    ("service.probe.fail", "a probe of a service fails", "{:g}"),
    ("service.probe.hang", "a probe of a service is never answered", "{:g}"),
    ("service.probe.slow", "a probe of a service takes longer", "{:.2f} s longer"),
    ("clock.jump", "the wall clock is wrong", "by {:+.0f} s"),
    ("process.memory", "the bus's process holds more memory", "{:.0f} MiB"),
    ("process.descriptors", "the bus's process can open nothing more", "{:g}"),
):
    point(_name, _summary, _unit)(_arm)


# --- the services -----------------------------------------------------------------------------


@point("service.server.down", "a service's server dies: its port is closed")
async def _down(world: World, strike: Strike) -> AsyncIterator[None]:
    await world.server.leave()
    try:
        yield
    finally:
        await world.server.come_back()


@point("service.server.flap", "a service's server comes and goes", "every {:.2f} s")
async def _flap(world: World, strike: Strike) -> AsyncIterator[None]:
    async def flap() -> None:
        while True:
            await world.server.leave()
            await asyncio.sleep(strike.amount)
            await world.server.come_back()
            await asyncio.sleep(strike.amount / 2)

    flapping = asyncio.create_task(flap())
    try:
        yield
    finally:
        flapping.cancel()
        await asyncio.gather(flapping, return_exceptions=True)
        await world.server.come_back()


@point("service.server.hang", "a service's server takes requests and never answers")
async def _hang(world: World, strike: Strike) -> AsyncIterator[None]:
    world.server.hangs = True
    try:
        yield
    finally:
        world.server.hangs = False


@point("service.server.error", "a service's server answers 503")
async def _error(world: World, strike: Strike) -> AsyncIterator[None]:
    world.server.failing = True
    try:
        yield
    finally:
        world.server.failing = False


@point("service.server.slow", "a service's server takes longer", "{:.2f} s longer")
async def _slow(world: World, strike: Strike) -> AsyncIterator[None]:
    world.server.delay = strike.amount
    try:
        yield
    finally:
        world.server.delay = 0.0


@point("service.process.kill", "a service's process is killed with SIGKILL")
async def _kill_service(world: World, strike: Strike) -> AsyncIterator[None]:
    pid = await world.pid_of(TOOLS)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    yield


@point("service.process.freeze", "a service's process is stopped with SIGSTOP")
async def _freeze_service(world: World, strike: Strike) -> AsyncIterator[None]:
    pid = await world.pid_of(TOOLS)
    if pid is None:
        yield
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


# --- the network, between the bus and a service, and between a publisher and the bus -------------------


@contextlib.contextmanager
def _spoilt(
    proxy: FaultyProxy, up: Faults = NONE, down: Faults = NONE, *, refuse: bool = False
) -> Iterator[None]:
    proxy.upstream.faults, proxy.downstream.faults, proxy.refuse = up, down, refuse
    if refuse or up.limit_bytes is not None or down.limit_bytes is not None:
        proxy.reset_all()
    try:
        yield
    finally:
        proxy.heal()
        proxy.reset_all()


@point("network.drop", "nothing passes between the bus and a service, either way")
async def _drop(world: World, strike: Strike) -> AsyncIterator[None]:
    with _spoilt(world.proxy, Faults(hang=True), Faults(hang=True)):
        yield


@point("network.drop.upstream", "nothing passes from the bus to a service; the way back is open")
async def _drop_up(world: World, strike: Strike) -> AsyncIterator[None]:
    with _spoilt(world.proxy, up=Faults(hang=True)):
        yield


@point("network.drop.downstream", "nothing passes from a service to the bus; the way there is open")
async def _drop_down(world: World, strike: Strike) -> AsyncIterator[None]:
    with _spoilt(world.proxy, down=Faults(hang=True)):
        yield


@point("network.delay", "what passes between the bus and a service comes late", "{:.2f} s each way")
async def _delay(world: World, strike: Strike) -> AsyncIterator[None]:
    late = Faults(latency=strike.amount, jitter=strike.amount / 2)
    with _spoilt(world.proxy, late, late):
        yield


@point("network.reset", "connections to a service are reset in the middle of an answer", "after {:.0f} bytes")
async def _reset(world: World, strike: Strike) -> AsyncIterator[None]:
    with _spoilt(world.proxy, down=Faults(limit_bytes=int(strike.amount), reset=True)):
        yield


@point("network.refuse", "connections to a service are refused")
async def _refuse(world: World, strike: Strike) -> AsyncIterator[None]:
    with _spoilt(world.proxy, refuse=True):
        yield


@point("network.slice", "what passes between the bus and a service is cut into pieces", "{:.0f} bytes each")
async def _slice(world: World, strike: Strike) -> AsyncIterator[None]:
    sliced = Faults(slice_bytes=int(strike.amount))
    with _spoilt(world.proxy, sliced, sliced):
        yield


@point(
    "network.publisher.reset",
    "the bus's answers to a publisher are lost: its connections break",
    "after {:.0f} bytes",
)
async def _reset_publisher(world: World, strike: Strike) -> AsyncIterator[None]:
    with _spoilt(world.gate, down=Faults(limit_bytes=int(strike.amount), reset=True)):
        yield


# --- the bus's process and its files ---------------------------------------------------------------


@point("process.kill", "the bus is killed with SIGKILL, and started again")
async def _kill(world: World, strike: Strike) -> AsyncIterator[None]:
    await world.bus.kill()
    try:
        yield
    finally:
        await world.bus.start()


@point("process.freeze", "the bus is stopped with SIGSTOP, as by a machine that is suspended")
async def _freeze(world: World, strike: Strike) -> AsyncIterator[None]:
    with world.bus.frozen():
        yield


@point("process.down", "the bus is ended in order; what is published meanwhile waits in the spool")
async def _spool(world: World, strike: Strike) -> AsyncIterator[None]:
    status = await world.bus.stop()
    if status:
        raise AssertionError(f"the bus ended with {status}")
    world.publisher.spools = True
    try:
        yield
    finally:
        world.publisher.spools = False
        await world.bus.start()


@point("load.flood", "publishers publish more than the bus can take", "{:.0f} events a second")
async def _flood(world: World, strike: Strike) -> AsyncIterator[None]:
    before, world.publisher.rate = world.publisher.rate, strike.amount
    try:
        yield
    finally:
        world.publisher.rate = before


@point("file.database.damage", "every page of the database is overwritten while the bus is idle")
async def _damage_database(world: World, strike: Strike) -> AsyncIterator[None]:
    # What a file held is gone with it: nothing may be pending in it.
    world.publisher.hold()
    async with asyncio.timeout(LONGEST):
        await world.publisher.settled()
    trouble = await world.until_well(LONGEST, drained=True)
    if trouble:
        raise AssertionError(f"it was not idle before its database was to be damaged: {trouble}")
    await asyncio.to_thread(damage.overwrite_every_page, Path(world.bus.paths.database))
    try:
        yield
    finally:
        async with asyncio.timeout(LONGEST):
            await _until_set_aside(world)
        world.publisher.go_on()


async def _until_set_aside(world: World) -> None:
    """Write until the bus meets the damage and has begun a fresh store, then subscribe there anew: who was
    subscribed stood in the damaged one."""
    database = Path(world.bus.paths.database)
    while True:
        with contextlib.suppress(EventMonitorError):
            await world.bus.ask(Publish(event_type="chaos.poke"))
            if list(database.parent.glob("events.db.damaged-*")):
                await world.subscribe()
                return
        await asyncio.sleep(POLL)


@point("file.state.damage", "the saved state is overwritten with rubbish, and the bus is killed")
async def _damage_state(world: World, strike: Strike) -> AsyncIterator[None]:
    await world.bus.kill()
    await asyncio.to_thread(Path(world.bus.paths.state).write_bytes, b"\xff\x00{not json")
    try:
        yield
    finally:
        await world.bus.start()


@point("file.rules.break", "the routing rules are overwritten with a file that cannot be read")
async def _break_rules(world: World, strike: Strike) -> AsyncIterator[None]:
    rules = Path(world.bus.paths.rules)
    await asyncio.to_thread(rules.write_text, '{"routing": {"chaos.order.#": ["log"]')
    try:
        yield
    finally:
        await asyncio.to_thread(rules.write_text, '{"routing": {"chaos.order.#": ["log"]}}\n')
