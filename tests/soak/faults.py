"""What goes wrong in a soak. Each fault puts right what it has spoilt before it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from event_monitor import messages as m
from event_monitor.chaos.proxy import Faults
from event_monitor.errors import Conflict, EventMonitorError
from tests.soak.world import REACHED, SUPERVISED, World

MOST_AT_ONCE = 3
# Between two faults, in seconds; in a short soak they come the faster.
LEAST_PAUSE, MOST_PAUSE = 0.2, 3.0
# How long a fault lasts, in seconds.
SHORT, LONG = (0.3, 1.5), (1.0, 6.0)
FLOOD_RATE = 4_000.0
BLOW = 6.0


@dataclass(frozen=True)
class Happening:
    """One fault, from when to when (epoch seconds). ``outcome`` is empty if all went as meant."""

    name: str
    begun: float
    ended: float
    detail: str
    outcome: str = ""


Fault = Callable[[World, random.Random], Awaitable[str]]


async def kill_bus(world: World, rng: random.Random) -> str:
    async with world.bus.turn:
        await world.bus.kill()
        down = rng.choice((0.0, rng.uniform(*SHORT)))
        await asyncio.sleep(down)
        await world.bus.start()
    return f"down for {down:.1f} s"


async def restart_bus(world: World, rng: random.Random) -> str:
    async with world.bus.turn:
        status = await world.bus.stop()
        await world.bus.start()
    assert status == 0, f"the bus ended with {status}"
    return ""


async def freeze_bus(world: World, rng: random.Random) -> str:
    seconds = rng.uniform(*SHORT)
    async with world.bus.turn:
        await world.bus.freeze(seconds)
    return f"for {seconds:.1f} s"


async def kill_publisher(world: World, rng: random.Random) -> str:
    name = rng.choice(world.publishers)
    await world.crowd.kill(name)
    world.crowd.start(name)
    return name


async def flood(world: World, rng: random.Random) -> str:
    """One publisher more, much too fast."""
    name, seconds = f"flood{rng.randrange(10**6)}", rng.uniform(*SHORT)
    world.crowd.start(name, FLOOD_RATE)
    try:
        await asyncio.sleep(seconds)
    finally:
        await world.crowd.stop(name)
    return f"for {seconds:.1f} s"


async def kill_service(world: World, rng: random.Random) -> str:
    name = rng.choice(SUPERVISED)
    pid = await world.pid_of(name)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return name


async def freeze_service(world: World, rng: random.Random) -> str:
    name, seconds = rng.choice(SUPERVISED), rng.uniform(*LONG)
    pid = await world.pid_of(name)
    if pid is None:
        return f"{name} does not run"
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
    return f"{name} for {seconds:.1f} s"


async def spoil_network(world: World, rng: random.Random) -> str:
    name, seconds = rng.choice(REACHED), rng.uniform(*LONG)
    proxy = world.proxies[name]
    how = rng.choice(("refuse", "hang", "late", "reset"))
    if how == "refuse":
        proxy.refuse = True
        proxy.reset_all()
    elif how == "hang":
        proxy.spoil(Faults(hang=True))
    elif how == "late":
        proxy.spoil(Faults(latency=0.4, jitter=0.4))
    else:
        proxy.downstream.faults = Faults(limit_bytes=3, reset=True)
    try:
        await asyncio.sleep(seconds)
    finally:
        proxy.heal()
        proxy.reset_all()
    return f"{name}: {how} for {seconds:.1f} s"


async def spoil_handler(world: World, rng: random.Random) -> str:
    target, seconds = rng.choice(("orders", "flaky", "flaky", "slow", "brief")), rng.uniform(*LONG)
    mode = rng.choice(("fail 0.3", "fail 0.7", "fail 1.0", "slow 0.3", "hang", "block 0.8"))
    if mode.startswith("block"):
        seconds = min(seconds, 2.0)
    world.set_mode(target, mode)
    try:
        await asyncio.sleep(seconds)
    finally:
        world.set_mode(target, "ok")
    return f"{target}: {mode} for {seconds:.1f} s"


async def retry_dead_letters(world: World, rng: random.Random) -> str:
    done = await world.bus.ask(m.RetryDeadLetters(all=True))
    return f"{done.count} of them"


async def drop_dead_letters(world: World, rng: random.Random) -> str:
    target = rng.choice(("flaky", "brief"))
    done = await world.bus.ask(m.DropDeadLetters(target=target))
    return f"{done.count} of {target}"


async def replay(world: World, rng: random.Random) -> str:
    """Some seconds of history once more; it may be paused, stepped, or stopped half way."""
    since, speed = f"-{rng.randint(2, 20)}s", rng.choice(("max", 2.0, 5.0))
    pattern = rng.choice(("soak.order.#", "soak.flaky", "soak.*"))
    begun = await world.bus.ask(m.StartReplay(since=since, type=pattern, speed=speed))
    if not begun.id:
        return "nothing to replay"
    await asyncio.sleep(rng.uniform(*SHORT))
    told = f"{begun.events} of {pattern} at {speed}"
    for action in rng.choice(((), ("pause", "step", "resume"), ("pause", "resume"), ("stop",))):
        try:
            await world.bus.ask(m.ControlReplay(replay_id=begun.id, action=action, count=3))
        except Conflict:
            return f"{told}: done before it could {action}"
        told = f"{told}, {action}"
        await asyncio.sleep(rng.uniform(*SHORT))
    return told


async def maintenance(world: World, rng: random.Random) -> str:
    seconds = rng.uniform(*SHORT)
    try:
        await world.bus.ask(m.SetMaintenance(on=True, reason="soak", by="soak"))
        await asyncio.sleep(seconds)
    finally:
        await _insist(world, m.SetMaintenance(on=False, reason="soak is over", by="soak"))
    return f"for {seconds:.1f} s"


async def hold_breaker(world: World, rng: random.Random) -> str:
    name, seconds = rng.choice(("target:orders", "target:slow", "web", "tools")), rng.uniform(*LONG)
    try:
        await world.bus.ask(m.SetBreaker(name=name, action="open", reason="soak", by="soak"))
        await asyncio.sleep(seconds)
    finally:
        await _insist(world, m.SetBreaker(name=name, action="reset", reason="soak is over", by="soak"))
    return f"{name} for {seconds:.1f} s"


async def restart_service(world: World, rng: random.Random) -> str:
    name = rng.choice(SUPERVISED)
    await world.bus.ask(m.RestartService(service=name, reason="soak", by="soak"))
    return name


async def reload(world: World, rng: random.Random) -> str:
    await world.bus.ask(m.Reload())
    return ""


async def last_blow(world: World) -> None:
    """Everything at once, then all is healed in one moment."""
    targets = ("orders", "flaky", "slow", "brief")
    frozen = [pid for name in SUPERVISED if (pid := await world.pid_of(name)) is not None]
    for pid in frozen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    for proxy in world.proxies.values():
        proxy.spoil(Faults(hang=True))
    for target in targets:
        world.set_mode(target, "fail 1.0")
    await asyncio.sleep(BLOW)
    for target in (*targets, "poison"):
        world.set_mode(target, "ok")
    for proxy in world.proxies.values():
        proxy.heal()
        proxy.reset_all()
    for pid in frozen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def _insist(world: World, message: m.Message) -> None:
    """Carry a command out, however often the bus is away meanwhile."""
    while True:
        try:
            await world.bus.ask(message)
            return
        except EventMonitorError as error:
            if error.code not in ("no_bus", "bus_closed", "store_unavailable"):
                raise
            await asyncio.sleep(0.1)


FAULTS: dict[Fault, int] = {
    kill_bus: 3,
    restart_bus: 1,
    freeze_bus: 2,
    kill_publisher: 2,
    flood: 2,
    kill_service: 2,
    freeze_service: 2,
    spoil_network: 4,
    spoil_handler: 6,
    retry_dead_letters: 2,
    drop_dead_letters: 1,
    replay: 3,
    maintenance: 1,
    hold_breaker: 2,
    restart_service: 1,
    reload: 1,
}
"""All faults, and how often one comes against the others."""


class Mischief:
    """Lets faults happen, a few at a time, by the seed."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.log: list[Happening] = []
        self._world = world
        self._rng = rng
        self._running: dict[asyncio.Task[None], str] = {}
        # Every fault comes once before chance decides, however short the soak.
        self._first = list(FAULTS)
        rng.shuffle(self._first)

    async def go_on(self, seconds: float) -> None:
        """Make mischief for so long, and until each fault has come once; then let what is under way end."""
        end = time.monotonic() + seconds
        longest = min(MOST_PAUSE, seconds / len(FAULTS))
        while time.monotonic() < end or self._first:
            await asyncio.sleep(self._rng.uniform(LEAST_PAUSE, longest))
            if len(self._running) == MOST_AT_ONCE:
                continue
            fault = self._next()
            if fault.__name__ not in self._running.values():
                task = asyncio.create_task(self._happen(fault, random.Random(self._rng.random())))
                self._running[task] = fault.__name__
                task.add_done_callback(lambda done: self._running.pop(done))
        while self._running:
            await asyncio.wait(list(self._running))

    def _next(self) -> Fault:
        if self._first:
            return self._first.pop()
        return self._rng.choices(list(FAULTS), list(FAULTS.values()))[0]

    async def _happen(self, fault: Fault, rng: random.Random) -> None:
        begun, detail, outcome = time.time(), "", ""
        try:
            detail = await fault(self._world, rng)
        except EventMonitorError as error:
            # Another fault has taken the bus away: that is no fault of the bus.
            outcome = f"{error.code}: {error}"
        except Exception as error:  # noqa: BLE001 - it is told in the account, which fails for it
            outcome = f"!{type(error).__name__}: {error}"
        self.log.append(Happening(fault.__name__, begun, time.time(), detail, outcome))
