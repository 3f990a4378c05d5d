"""The A/B run: what one service's fault does to the others, without the resilience layer and with it.

Both sides are the same shop (``shop``), started twice. They run at the same time, so that both meet the
same machine; the same visitors come to both at the same seeded moments, whether or not earlier ones have
been answered (an open loop), and the same faults strike the same services at the same moments. What
differs is how a service calls another (``shop_calls``).

What is counted, by whoever made the call: a call counts once, with its retries. It has failed if the
service that was called did not answer it in time, or was not asked because a guard refused. That a
stand-in answered in its place does not mend this; a visitor who got one counts as answered, and is
counted apart too. The faulty service is the one that was struck last when the call began: failures of
calls to it are its ``own``, all others have ``cascaded``.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import quantiles

from event_monitor.chaos.results import CascadeResult, CascadeSide, FaultMark
from event_monitor.chaos.shop import LEAVES, PLANS, Ailment, Caller, CallFailed, Request, Shop, needs_of
from event_monitor.chaos.shop_calls import PATIENCE, GuardedCalls, PlainCalls, Record, guards_of, visit

Progress = Callable[[str, float], None]
"""Told what is being done, and how many seconds are left."""

MakeCalls = Callable[[str, Shop, Record], Caller]
"""How the named service of a shop makes its calls; each is to be recorded."""

SHORTEST = 6.0
"""Seconds that a run takes at least: workers do not run out at once."""
VISITS = 50.0
"""Visitors a second."""
_ITEMS = 12
_WANTED = {"home": 15, "history": 15, "buy": 28, "browse": 34, "quote": 8}
_SECONDS_A_FAULT = 6.0
_TICK = 0.25


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that is planned. ``delay`` is what a slow service takes longer, in seconds."""

    service: str
    ailment: Ailment
    began: float
    healed: float
    delay: float = 0.0

    def __str__(self) -> str:
        what = {Ailment.DIES: "dies", Ailment.HANGS: "hangs", Ailment.SLOW: f"is {self.delay:.2f} s slower"}
        return f"{self.service} {what[self.ailment]}"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Someone who comes at ``at`` and wants something."""

    at: float
    request: Request


def plan_strikes(seed: int, seconds: float) -> tuple[Strike, ...]:
    """One fault after another, each kind at least once, with time to recover in between."""
    rng = random.Random(f"{seed}/strikes")
    count = max(len(Ailment), int(seconds / _SECONDS_A_FAULT))
    lead = seconds / 10
    slot = (seconds - lead) / count
    leaves = rng.sample(LEAVES, len(LEAVES))
    strikes: list[Strike] = []
    kinds: list[Ailment] = []
    for number in range(count):
        kinds = kinds or rng.sample(list(Ailment), len(Ailment))
        ailment = kinds.pop()
        began = lead + slot * (number + rng.uniform(0.0, 0.1))
        delay = rng.uniform(0.38, 0.44) if ailment is Ailment.SLOW else 0.0
        healed = began + slot * rng.uniform(0.5, 0.6)
        strikes.append(Strike(leaves[number % len(leaves)], ailment, began, healed, delay))
    return tuple(strikes)


def plan_visitors(seed: int, seconds: float) -> tuple[Visitor, ...]:
    """Who comes when, as independent visitors do."""
    rng = random.Random(f"{seed}/visitors")
    visitors: list[Visitor] = []
    at = rng.expovariate(VISITS)
    while at < seconds:
        (operation,) = rng.choices(list(_WANTED), list(_WANTED.values()))
        visitors.append(Visitor(at, Request(len(visitors), operation, rng.randrange(_ITEMS))))
        at += rng.expovariate(VISITS)
    return tuple(visitors)


@dataclass(frozen=True, slots=True)
class _Call:
    service: str
    began: float
    ended: float
    answered: bool


@dataclass(frozen=True, slots=True)
class _Visit:
    operation: str
    began: float
    ended: float
    answered: bool
    degraded: bool


@dataclass(slots=True)
class _Side:
    """One shop, its visitors and what became of them. Times are the loop's."""

    make_calls: MakeCalls
    seed: int
    shop: Shop = field(init=False)
    calls: list[_Call] = field(default_factory=list)
    visits: list[_Visit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shop = Shop(lambda name, shop: self.make_calls(name, shop, self.record), self.seed)

    async def open(self) -> None:
        """Let it be a shop that has been open for a while: each item was asked for once. Not counted."""
        requests = [Request(-1 - item, want, item) for item in range(_ITEMS) for want in ("browse", "buy")]
        for request in requests:
            await self.visit(Visitor(0.0, request))
        self.calls.clear()
        self.visits.clear()

    def record(self, service: str, number: int, began: float, answered: bool) -> None:
        self.calls.append(_Call(service, began, asyncio.get_running_loop().time(), answered))

    async def visit(self, visitor: Visitor) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answered = degraded = False
        try:
            degraded = (await visit(self.shop, visitor.request, self.record)).degraded
            answered = True
        except CallFailed:
            # Counted below: the visitor has left.
            pass
        self.visits.append(_Visit(visitor.request.operation, began, loop.time(), answered, degraded))

    def sum_up(self, epoch: float, seconds: float, marks: tuple[tuple[float, str], ...]) -> CascadeSide:
        def faulty(began: float) -> str | None:
            return next((service for at, service in reversed(marks) if at <= began), None)

        failed = [call for call in self.calls if not call.answered]
        cascaded = [call for call in failed if call.service != faulty(call.began)]
        answered = [one for one in self.visits if one.answered]
        bystanders = [
            one
            for one in self.visits
            if (service := faulty(one.began)) is not None and service not in needs_of(one.operation)
        ]
        # The last visitors may wait that long.
        per_second = [[0, 0] for _ in range(math.ceil(seconds + PATIENCE))]
        for place, ended in [(0, one.ended) for one in answered] + [(1, call.ended) for call in cascaded]:
            per_second[min(int(ended - epoch), len(per_second) - 1)][place] += 1
        waits = [1_000 * (one.ended - one.began) for one in answered]
        return CascadeSide(
            calls=len(self.visits),
            answered=len(answered),
            degraded=sum(one.degraded for one in answered),
            own=len(failed) - len(cascaded),
            cascaded=len(cascaded),
            bystanders=(len(bystanders), sum(not one.answered for one in bystanders)),
            latency_p95=quantiles(waits, n=20)[-1] if len(waits) > 1 else sum(waits),
            per_second=tuple((one, two) for one, two in per_second),
            by_service={
                name: (
                    sum(call.service == name for call in self.calls),
                    sum(call.service == name for call in failed),
                )
                for name in PLANS
            },
        )


async def run_sides(
    seed: int, seconds: float, sides: Mapping[str, MakeCalls], progress: Progress
) -> tuple[dict[str, CascadeSide], tuple[FaultMark, ...]]:
    """Run some sides beside each other; what became of each, and the faults as they were."""
    running = {name: _Side(make_calls, seed) for name, make_calls in sides.items()}
    loop = asyncio.get_running_loop()
    struck: list[tuple[Strike, float, float]] = []
    try:
        for side in running.values():
            await side.shop.start()
            await side.open()
        epoch = loop.time()
        async with asyncio.TaskGroup() as group:
            group.create_task(_bring(plan_visitors(seed, seconds), epoch, running, group))
            group.create_task(_strike(plan_strikes(seed, seconds), epoch, running, struck))
            group.create_task(_tell(epoch + seconds, struck, progress))
    finally:
        for side in running.values():
            await side.shop.stop()
    marks = tuple((began, strike.service) for strike, began, _ in struck)
    faults = tuple(
        FaultMark(
            point=strike.ailment.value,
            detail=str(strike),
            began=round(began - epoch, 3),
            healed=round(healed - epoch, 3),
        )
        for strike, began, healed in struck
    )
    return {name: side.sum_up(epoch, seconds, marks) for name, side in running.items()}, faults


async def run_cascade(seed: int, seconds: float, progress: Progress) -> CascadeResult:
    """The same visitors and faults without the layer and with it, for ``seconds`` (at least ``SHORTEST``)
    and as long as the last visitor waits."""
    seconds = max(seconds, SHORTEST)
    rng = random.Random(f"{seed}/retries")
    sides, faults = await run_sides(
        seed,
        seconds,
        {
            "off": lambda name, shop, record: PlainCalls(shop, record),
            "on": lambda name, shop, record: GuardedCalls(name, shop, record, guards_of, rng),
        },
        progress,
    )
    return CascadeResult(
        seed=seed, seconds=seconds, services=tuple(PLANS), faults=faults, off=sides["off"], on=sides["on"]
    )


async def _until(when: float) -> None:
    await asyncio.sleep(max(0.0, when - asyncio.get_running_loop().time()))


async def _bring(
    visitors: tuple[Visitor, ...], epoch: float, sides: Mapping[str, _Side], group: asyncio.TaskGroup
) -> None:
    for visitor in visitors:
        await _until(epoch + visitor.at)
        for side in sides.values():
            group.create_task(side.visit(visitor))


async def _strike(
    strikes: tuple[Strike, ...],
    epoch: float,
    sides: Mapping[str, _Side],
    struck: list[tuple[Strike, float, float]],
) -> None:
    loop = asyncio.get_running_loop()
    for strike in strikes:
        await _until(epoch + strike.began)
        began = loop.time()
        struck.append((strike, began, math.inf))
        for side in sides.values():
            side.shop.services[strike.service].spoil(strike.ailment, strike.delay)
        await _until(epoch + strike.healed)
        for side in sides.values():
            side.shop.services[strike.service].heal()
        struck[-1] = (strike, began, loop.time())


async def _tell(end: float, struck: list[tuple[Strike, float, float]], progress: Progress) -> None:
    loop = asyncio.get_running_loop()
    while (left := end - loop.time()) > 0:
        now = [str(strike) for strike, _, healed in struck if healed == math.inf]
        progress(now[0] if now else "all well", left)
        await asyncio.sleep(min(_TICK, left))
