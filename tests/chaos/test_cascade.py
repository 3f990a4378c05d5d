"""The A/B run: what it plans, what it counts, and that it tells a layer that works from one that does not."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import random

import msgspec
import pytest

from event_monitor.chaos.cascade import (
    VISITS,
    MakeCalls,
    plan_strikes,
    plan_visitors,
    run_cascade,
    run_sides,
)
from event_monitor.chaos.results import CascadeResult, CascadeSide, FaultMark
from event_monitor.chaos.shop import LEAVES, PLANS, Ailment, needs_of
from event_monitor.chaos.shop_calls import GuardedCalls, PlainCalls, guards_of

SEED = 2
SECONDS = 9.0


def test_a_seed_plans_the_same_faults_and_visitors_and_another_seed_others() -> None:
    assert plan_strikes(7, 20.0) == plan_strikes(7, 20.0)
    assert plan_strikes(7, 20.0) != plan_strikes(8, 20.0)
    assert plan_visitors(7, 20.0) == plan_visitors(7, 20.0)
    assert plan_visitors(7, 20.0) != plan_visitors(8, 20.0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("seconds", [6.0, 20.0, 120.0])
def test_faults_come_one_at_a_time_each_kind_at_both_leaves_and_end_before_the_load(
    seed: int, seconds: float
) -> None:
    strikes = plan_strikes(seed, seconds)
    assert {strike.ailment for strike in strikes} == set(Ailment)
    assert {strike.service for strike in strikes} == set(LEAVES)
    ends = [0.0, *(strike.healed for strike in strikes)]
    for before, strike in zip(ends, strikes, strict=False):
        assert before < strike.began < strike.healed < seconds


def test_visitors_come_at_the_rate_that_is_stated() -> None:
    visitors = plan_visitors(1, 100.0)
    assert 0.9 < len(visitors) / (100.0 * VISITS) < 1.1
    assert [one.request.number for one in visitors] == list(range(len(visitors)))
    assert {one.request.operation for one in visitors} == set(PLANS["frontend"].operations)


def test_what_an_operation_needs_is_told_at_any_depth() -> None:
    assert needs_of("home") == {"frontend"}
    assert needs_of("history") == {"frontend", "orders"}
    assert needs_of("buy") == {"frontend", "orders", "stock", "pricing"}
    assert needs_of("browse") == {"frontend", "catalogue", "pricing", "reviews"}


def _guarded(**changed: float) -> MakeCalls:
    rng = random.Random(SEED)
    return lambda name, shop, record: GuardedCalls(
        name,
        shop,
        record,
        lambda caller, callee: dataclasses.replace(guards_of(caller, callee), **changed),  # type: ignore[arg-type]
        rng,
    )


async def test_the_layer_stops_cascades_and_one_with_a_bug_is_found_out() -> None:
    told: list[tuple[str, float]] = []
    sides, faults = await run_sides(
        SEED,
        SECONDS,
        {
            "off": lambda name, shop, record: PlainCalls(shop, record),
            "on": _guarded(),
            "never opens, no bulkhead": _guarded(failures=10**9, places=10**9),
            "never closes again": _guarded(recovery=10**9),
        },
        lambda what, left: told.append((what, left)),
    )
    off, on = sides["off"], sides["on"]

    assert [(mark.point, mark.detail) for mark in faults] == [
        (strike.ailment.value, str(strike)) for strike in plan_strikes(SEED, SECONDS)
    ]
    for side in sides.values():
        _adds_up(side, len(plan_visitors(SEED, SECONDS)))

    assert off.degraded == 0 and on.degraded > 0
    assert on.cascaded < off.cascaded
    assert on.bystanders[1] < off.bystanders[1]
    assert on.answered > off.answered

    unguarded = sides["never opens, no bulkhead"]
    assert unguarded.cascaded > on.cascaded
    assert unguarded.bystanders[1] > on.bystanders[1]
    assert sides["never closes again"].cascaded > on.cascaded

    assert {what for what, _ in told} >= {"all well", *(mark.detail for mark in faults)}
    assert all(later <= earlier for (_, earlier), (_, later) in itertools.pairwise(told))


def _adds_up(side: CascadeSide, visitors: int) -> None:
    """Each call is counted once, in each of the ways in which calls are counted."""
    assert set(side.by_service) == set(PLANS)
    assert side.calls == visitors == side.by_service["frontend"][0]
    assert side.answered == side.calls - side.by_service["frontend"][1]
    assert side.own + side.cascaded == sum(failed for _, failed in side.by_service.values())
    assert sum(answered for answered, _ in side.per_second) == side.answered
    assert sum(cascaded for _, cascaded in side.per_second) == side.cascaded
    assert side.degraded <= side.answered
    assert side.bystanders[1] <= side.bystanders[0] <= side.calls


async def test_a_run_ends_what_it_started_when_it_is_cut_short() -> None:
    class EnoughError(Exception):
        pass

    def stop(what: str, left: float) -> None:
        if left < 5.5:
            raise EnoughError

    with pytest.raises(ExceptionGroup) as caught:
        await run_cascade(SEED, 6.0, stop)
    assert caught.group_contains(EnoughError)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_run_in_which_nothing_cascades_shows_nothing() -> None:
    side = CascadeSide(
        calls=1, answered=1, own=0, cascaded=0, latency_p95=1.0, per_second=((1, 0),), by_service={}
    )
    mark = FaultMark(point="service.server.hang", detail="", began=0.0, healed=1.0)
    result = CascadeResult(seed=1, seconds=1.0, services=("a",), faults=(mark,), off=side, on=side)
    assert result.ratio is None
    worse = msgspec.structs.replace(side, cascaded=4)
    assert msgspec.structs.replace(result, off=worse).ratio == 0.0
