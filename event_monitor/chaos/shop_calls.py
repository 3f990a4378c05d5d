"""How the shop's services call each other: as a naive program does, and through the resilience layer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from event_monitor.chaos.shop import ENTRANCE, LEAVES, CallFailed, Need, Reply, Request, Shop
from event_monitor.resilience import (
    AnswerCache,
    Bulkhead,
    CircuitBreaker,
    FallbackChain,
    Pipeline,
    RetryBudget,
    RetryPolicy,
    Step,
)

PATIENCE = 2.0
"""Seconds after which a visitor leaves, and the socket timeout of a naive program."""

Record = Callable[[str, int, float, bool], None]
"""Told of each call when it has ended: which service was called, for which visitor's call, when it began
(the loop's time), and whether that service answered it."""


class PlainCalls:
    """Calls with a socket timeout and nothing else."""

    def __init__(self, shop: Shop, record: Record) -> None:
        self._shop = shop
        self._record = record

    async def __call__(self, need: Need, request: Request) -> Reply:
        began = asyncio.get_running_loop().time()
        answered = False
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await self._shop.ask(need.service, request)
            answered = True
            return reply
        except TimeoutError as error:
            raise CallFailed(f"no answer within {PATIENCE:g} s") from error
        finally:
            self._record(need.service, request.number, began, answered)


@dataclass(frozen=True, slots=True)
class Guards:
    """The settings of one caller's way to another service. The time of a call at the edge of the shop
    is shorter than that of one in its middle, and all are shorter than a visitor's patience."""

    timeout: float
    places: int
    queue: int
    queue_timeout: float
    failures: int
    recovery: float = 0.5
    policy: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(strategy=lambda retry: 0.1, max_retries=1, max_delay=0.2)
    )


def guards_of(caller: str, callee: str) -> Guards:
    """No one service may take all of its caller's workers. At the edge, where there are stand-ins, a call
    hardly waits, and few failures are enough; further in, a short queue takes up what comes in a burst."""
    if callee in LEAVES:
        return Guards(timeout=0.6, places=2, queue=5, queue_timeout=0.1, failures=3)
    if caller == ENTRANCE:
        return Guards(timeout=1.6, places=6, queue=10, queue_timeout=0.25, failures=5)
    return Guards(timeout=1.3, places=4, queue=10, queue_timeout=0.25, failures=5)


class GuardedCalls:
    """The calls of one service, each through a ``Pipeline``. All calls to the same service share its
    bulkhead and its retry budget, those of the same operation a breaker: that one operation fails says
    little of the others. Only a broken connection or an error is tried again, never what was too slow."""

    def __init__(
        self, caller: str, shop: Shop, record: Record, guards: Callable[[str, str], Guards], rng: Random
    ) -> None:
        self._caller = caller
        self._shop = shop
        self._record = record
        self._guards = guards
        self._rng = rng
        self._doors: dict[str, tuple[Bulkhead, RetryBudget]] = {}
        self._breakers: dict[Need, CircuitBreaker] = {}
        self._pipelines: dict[Need, Pipeline] = {}

    async def __call__(self, need: Need, request: Request) -> Reply:
        async def fetch(operation: str, item: int) -> Reply:
            return await self._shop.ask(need.service, Request(request.number, operation, item))

        pipeline = self._pipelines.get(need) or self._make(need)
        began = asyncio.get_running_loop().time()
        own = False
        try:
            answer = await pipeline.ask(fetch, need.operation, request.item)
            own = not answer.degraded
            return Reply(degraded=answer.degraded or answer.value.degraded)
        finally:
            self._record(need.service, request.number, began, own)

    def _make(self, need: Need) -> Pipeline:
        guards = self._guards(self._caller, need.service)
        name = f"{self._caller} to {need.service}"
        clock = asyncio.get_running_loop().time
        bulkhead, budget = self._doors.setdefault(
            need.service,
            (Bulkhead(guards.places, guards.queue, guards.queue_timeout, name=name), RetryBudget(clock)),
        )
        breaker = self._breakers.setdefault(
            Need(need.service, need.operation),
            CircuitBreaker(guards.failures, 60.0, guards.recovery, name=f"{name}: {need.operation}"),
        )
        pipeline = self._pipelines[need] = Pipeline(
            name,
            timeout=guards.timeout,
            breaker=breaker,
            bulkhead=bulkhead,
            policy=guards.policy,
            budget=budget,
            fallback=_stand_ins(need.service, AnswerCache(clock)) if need.stand_in else None,
            retry_on=lambda error: isinstance(error, CallFailed),
            rng=self._rng,
        )
        return pipeline


def _stand_ins(callee: str, cache: AnswerCache) -> FallbackChain:
    """What was answered for the same thing before; for reviews, none at all would do too."""
    chain = FallbackChain(callee, cache=cache)
    steps = [chain.cached()]
    if callee == "reviews":
        steps.append(Step("no_reviews", lambda *_: Reply()))
    chain.steps = steps
    return chain


async def visit(shop: Shop, request: Request, record: Record) -> Reply:
    """A visitor's call: a plain one with either side. Raises ``CallFailed``."""
    return await PlainCalls(shop, record)(Need(ENTRANCE, request.operation), request)
