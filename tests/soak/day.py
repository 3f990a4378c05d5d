"""A day of the whole runtime on virtual time: its services fail by a plan that is drawn from a seed.

Only the loop's time and what is behind the guards are the test's; the store is a real file. Two days of
one seed are the same, step for step.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from event_monitor import messages as m
from event_monitor.clock import LoopClock, from_iso
from event_monitor.config import ServiceSettings, Settings, StoreSettings, WatchSettings
from event_monitor.errors import EventMonitorError
from event_monitor.model import PRIORITIES, Alert, Event, Priority, SystemState, Transition
from event_monitor.paths import HomePaths
from event_monitor.resilience.breaker import BreakerChange
from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.runtime import Runtime
from event_monitor.services.base import ServiceDown
from event_monitor.surroundings import Surroundings
from tests.virtual import OneThreadDatabase

HOUR = 3_600.0
BEGIN = 1_800_000_000.0
# Which service each target's handler calls.
CALLS = {"orders": "db", "mails": "web", "lookups": "search", "tools": "tools"}
KINDS = {"db": "tcp", "web": "http", "search": "http", "tools": "mcp"}
CRITICAL = "db"
EVERY = 4.0
TTL = 60.0
MAINTENANCES, RESTARTS = 2, 2
LAST = 120.0
QUIET_AFTER = HOUR


@dataclass(frozen=True, order=True)
class Trouble:
    """A line of the fault log: from when to when (the loop's time) what was wrong with what. ``what`` is
    a service, or ``maintenance`` or ``restart``."""

    begun: float
    ended: float
    what: str
    how: str


def plan_of(rng: random.Random, begin: float, hours: int) -> list[Trouble]:
    """An outage of each service in each hour, now and then a maintenance or a restart, and at the end all
    services down at once."""
    plan = []
    for hour in range(hours):
        for name in KINDS:
            begun = begin + HOUR * (hour + rng.uniform(0.05, 0.85))
            how = rng.choice(("down", "down", "hang", "flap", "late"))
            plan.append(Trouble(begun, begun + rng.uniform(5, 400), name, how))
    for what, count in (("maintenance", MAINTENANCES), ("restart", RESTARTS)):
        for _ in range(max(1, count * hours // 24)):
            begun = begin + HOUR * rng.uniform(0.1, hours - 0.3)
            length = rng.uniform(60, 900) if what == "maintenance" else 0.0
            plan.append(Trouble(begun, begun + length, what, "by a person"))
    end = begin + HOUR * hours
    plan += [Trouble(end - LAST, end, name, "down") for name in KINDS]
    return sorted(plan)


class DayService:
    """What is behind a guard: as well or ill as the plan says."""

    def __init__(self, name: str, plan: list[Trouble]) -> None:
        self.name = name
        self.calls = 0
        self._plan = [one for one in plan if one.what == name]

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self, reason: str) -> None: ...

    def probes(self) -> Mapping[CheckKind, Probe]:
        return dict.fromkeys(CheckKind, self._answer)

    async def call(self, operation: str, **arguments: Any) -> Any:
        self.calls += 1
        await self._answer()
        return operation

    def describe(self) -> dict[str, Any]:
        return {"transport": "planned"}

    async def _answer(self) -> None:
        now = asyncio.get_running_loop().time()
        trouble = next((one for one in self._plan if one.begun <= now < one.ended), None)
        if trouble is None:
            return
        if trouble.how == "late":
            await asyncio.sleep(3.0)
        elif trouble.how == "hang":
            await asyncio.sleep(trouble.ended - now)
        elif trouble.how == "down" or int(now) % 2:
            raise ServiceDown(f"{self.name} is {trouble.how}")


@dataclass
class Seen:
    """What was seen of a day, in the order in which it happened. Times are the loop's."""

    plan: list[Trouble] = field(default_factory=list)
    states: list[tuple[float, Transition]] = field(default_factory=list)
    breakers: list[tuple[float, str, BreakerChange]] = field(default_factory=list)
    alerts: list[tuple[float, Alert]] = field(default_factory=list)
    begins: list[float] = field(default_factory=list)
    accepted: dict[int, str] = field(default_factory=dict)
    refused: int = 0
    begun: Counter[tuple[int, str]] = field(default_factory=Counter)
    done: Counter[tuple[int, str]] = field(default_factory=Counter)
    late: list[tuple[int, float]] = field(default_factory=list)
    healthy_after: float | None = None
    drained_after: float | None = None
    ended: float = 0.0

    def digest(self) -> str:
        """One word for all transitions of states and breakers and for what became of the events."""
        lines = [f"{at:.6f} {one.from_state} {one.to_state} {one.reason}" for at, one in self.states]
        lines += [
            f"{at:.6f} {name} {one.from_state.value} {one.to_state.value} {one.reason}"
            for at, name, one in self.breakers
        ]
        lines += [f"{key} {count}" for key, count in sorted(self.begun.items())]
        lines += [f"{self.healthy_after} {self.drained_after}"]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


class Day:
    """Lets a day pass. Run ``pass_by`` on a ``OneThreadLoop``."""

    def __init__(self, home: Path, seed: int, hours: int = 24) -> None:
        self.home = home
        self.seen = Seen()
        self._rng = random.Random(seed)
        self._hours = hours
        self._runtime: Runtime | None = None
        self._up = asyncio.Event()

    async def pass_by(self) -> Seen:
        """The whole day, and as long as it then takes until all is well."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        self.seen.plan = plan_of(self._rng, begin, self._hours)
        await self._start()
        traffic = asyncio.create_task(self._publish(), name="traffic")
        person = asyncio.create_task(self._act(), name="person")
        try:
            await asyncio.sleep(begin + HOUR * self._hours - loop.time())
            await person
        finally:
            traffic.cancel()
            await asyncio.gather(traffic, return_exceptions=True)
        await self._end_well()
        await self._stop()
        return self.seen

    # --- the runtime ------------------------------------------------------------------------

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        # Figures of the real machine must not decide anything.
        watch = WatchSettings(interval=60.0, rss=0, rss_growth=0, fds=0, wal=0, disk_free=0)
        services = tuple(map(_service, KINDS))
        runtime = await Runtime.start(
            HomePaths(str(self.home)),
            Settings(store=StoreSettings(durability="normal"), services=services, watch=watch),
            surroundings=Surroundings(
                clock=lambda loop: LoopClock(loop, wall=lambda: BEGIN + loop.time()),
                rng=self._rng,
                database=OneThreadDatabase,
                make_service=lambda one, guardian: DayService(one.name, self.seen.plan),
                watch_stalls=False,
            ),
        )
        for target, service in CALLS.items():
            runtime.bus.subscribe(f"{target}.#", self._handler(runtime, target, service), name=target)
        self._listen(runtime)
        self.seen.begins.append(loop.time())
        self._runtime = runtime
        self._up.set()

    async def _stop(self) -> None:
        runtime, self._runtime = self._runtime, None
        self._up.clear()
        assert runtime is not None
        await runtime.stop()
        self.seen.ended = asyncio.get_running_loop().time()

    def _listen(self, runtime: Runtime) -> None:
        loop, seen = asyncio.get_running_loop(), self.seen
        on_transition, on_change = runtime.machine.on_transition, runtime.breakers.on_change

        def transition(one: Transition) -> None:
            seen.states.append((loop.time(), one))
            on_transition(one)

        def change(name: str, one: BreakerChange) -> None:
            seen.breakers.append((loop.time(), name, one))
            on_change(name, one)

        runtime.machine.on_transition = transition
        runtime.breakers.on_change = change
        runtime.alerts.on_raised = lambda alert: seen.alerts.append((loop.time(), alert))

    def _handler(self, runtime: Runtime, target: str, service: str) -> Callable[[Event], Any]:
        async def handle(event: Event) -> None:
            key = (event.id, target)
            self.seen.begun[key] += 1
            if event.expires_at is not None and runtime.bus.clock.steady() > from_iso(event.expires_at):
                self.seen.late.append((event.id, asyncio.get_running_loop().time()))
            await runtime.services[service].call("do")
            self.seen.done[key] += 1

        return handle

    # --- who uses it ------------------------------------------------------------------------

    async def _publish(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / EVERY))
            await self._up.wait()
            number += 1
            target = self._rng.choice(list(CALLS))
            urgent = self._rng.random() < 0.02
            message = m.Publish(
                event_type=f"{target}.{self._rng.choice(('new', 'brief'))}",
                payload={"n": number},
                priority=Priority.CRITICAL if urgent else self._rng.choice(PRIORITIES),
                key=f"k{number}",
                source=f"s{number % 3}",
            )
            if message.event_type.endswith("brief"):
                message = m.Publish(**{**_fields(message), "ttl": TTL})
            runtime = self._runtime
            assert runtime is not None
            try:
                # Now and then the answer is lost, and it is asked for again.
                for _ in range(self._rng.choice((1, 1, 1, 2))):
                    receipt = await runtime.handle(message)
                    self.seen.accepted[receipt.id] = message.event_type
            except EventMonitorError:
                self.seen.refused += 1

    async def _act(self) -> None:
        """What a person does by the plan."""
        loop = asyncio.get_running_loop()
        for one in self.seen.plan:
            if one.what in KINDS:
                continue
            await asyncio.sleep(max(0.0, one.begun - loop.time()))
            if one.what == "restart":
                await self._stop()
                await self._start()
                continue
            assert self._runtime is not None
            await self._runtime.handle(m.SetMaintenance(on=True, reason="planned", by="the plan"))
            await asyncio.sleep(max(0.0, one.ended - loop.time()))
            await self._runtime.handle(m.SetMaintenance(on=False, reason="planned", by="the plan"))

    async def _end_well(self) -> None:
        """Nothing is wrong any more: how long until it is healthy, and until nothing waits."""
        loop = asyncio.get_running_loop()
        runtime, seen = self._runtime, self.seen
        assert runtime is not None
        begun = loop.time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_AFTER):
                while runtime.machine.state is not SystemState.HEALTHY:  # noqa: ASYNC110 - on virtual time
                    await asyncio.sleep(1)
                seen.healthy_after = loop.time() - begun
                while runtime.bus.pending:  # noqa: ASYNC110 - on virtual time
                    await asyncio.sleep(1)
                seen.drained_after = loop.time() - begun


def _service(name: str) -> ServiceSettings:
    address: dict[str, Any] = {"db": {"port": 1}, "tools": {"command": (sys.executable,)}}.get(
        name, {"url": "http://127.0.0.1:1/"}
    )
    return ServiceSettings(name=name, kind=KINDS[name], critical=name == CRITICAL, **address)  # type: ignore[arg-type]


def _fields(message: m.Publish) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__struct_fields__}
