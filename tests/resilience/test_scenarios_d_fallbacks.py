"""Scenarios 28 to 30, fallbacks (section 5 of the research, letter D). Time is virtual."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from event_monitor.config import RetrySettings
from event_monitor.resilience import FallbackChain, FallbacksExhausted
from event_monitor.resilience.fallback import Answer, AnswerCache, NotInCache, Step, refuse_cycles
from tests.resilience.helpers import CLOSED, HALF_OPEN, OPEN, Clock, fail_times, now, works
from tests.resilience.services import Scripted, guarded
from tests.virtual import run_virtual


class Scene:
    """A service ``x`` with a chain of three: ``second``, what is remembered, ``default``."""

    def __init__(self) -> None:
        self.primary_well = True
        self.second_well = True
        self.told: list[tuple[float, bool, str]] = []
        self.service = Scripted("x", self.act)
        self.guard = guarded(self.service, self.steps, retry=RetrySettings(max_retries=0))
        self.guard.on_degraded = lambda name, degraded, step: self.told.append((now(), degraded, step))

    async def act(self) -> str:
        if not self.primary_well:
            raise ConnectionError("x is down")
        return "fresh"

    def steps(self, cache: AnswerCache) -> list[Step]:
        async def second(operation: str) -> str:
            if not self.second_well:
                raise ConnectionError("the second is down too")
            return "second's"

        async def default(operation: str) -> str:
            return "sorry"

        return [Step("second", second), FallbackChain(cache=cache).cached("cached"), Step("default", default)]

    async def ask(self, operation: str = "read") -> Answer[Any]:
        return await self.guard.call(operation)


def test_scenario_28_the_chain_goes_from_the_second_to_the_cache_to_the_default() -> None:
    async def main() -> None:
        scene = Scene()
        assert await scene.ask() == Answer("fresh", "x")
        await asyncio.sleep(1)
        fail_times(scene.guard.breaker, 5)
        assert scene.guard.breaker.state is OPEN
        reached = scene.service.reached

        began = now()
        assert await scene.ask() == Answer("second's", "second", degraded=True)
        assert scene.told == [(began, True, "second")]
        assert scene.guard.fallback.degraded
        scene.second_well = False
        assert await scene.ask() == Answer("fresh", "cached", degraded=True, stale=True, age=1.0)
        assert await scene.ask("list") == Answer("sorry", "default", degraded=True)
        assert scene.service.reached == reached, "an open breaker lets no call through"

        scene.primary_well = False
        await asyncio.sleep(3_598.5)
        assert (await scene.ask()).age == pytest.approx(3_599.5)
        await asyncio.sleep(0.6)
        assert await scene.ask() == Answer("sorry", "default", degraded=True)

    run_virtual(main)


def test_scenario_28_degraded_ends_only_when_the_primary_has_closed_again() -> None:
    async def main() -> None:
        scene = Scene()
        breaker = scene.guard.breaker
        answer = asyncio.Event()

        async def slow() -> str:
            await answer.wait()
            return "late"

        scene.service.act = slow
        late = asyncio.create_task(scene.ask())
        await asyncio.sleep(1)
        fail_times(breaker, 5)
        assert (await scene.ask()).degraded
        answer.set()
        assert await late == Answer("late", "x")
        assert (breaker.state, scene.guard.fallback.degraded) == (OPEN, True), "it began before the outage"

        scene.service.act = scene.act
        scene.primary_well = False
        await asyncio.sleep(30)
        assert (await scene.ask()).degraded, "the probe failed"
        scene.primary_well = True
        breaker.half_open("ann")
        assert (breaker.state, scene.guard.fallback.degraded) == (HALF_OPEN, True)
        closed = now()
        assert await scene.ask() == Answer("fresh", "x")
        assert (breaker.state, scene.guard.fallback.degraded) == (CLOSED, False)
        assert [one[1:] for one in scene.told] == [(True, "second"), (False, "second")]
        assert scene.told[-1][0] == closed

    run_virtual(main)


def test_scenario_28_a_fallback_that_answers_late_does_not_bring_degraded_mode_back() -> None:
    async def main() -> None:
        broken = True
        told: list[bool] = []

        async def primary() -> str:
            if broken:
                raise ConnectionError("down")
            return "fresh"

        async def slow() -> str:
            await asyncio.sleep(10)
            return "slow"

        chain = FallbackChain("x", [Step("slow", slow)], on_degraded=lambda on, step: told.append(on))
        late = asyncio.create_task(chain.call(primary))
        await asyncio.sleep(1)
        broken = False
        assert (await chain.call(primary)).value == "fresh"
        assert (await late).value == "slow"
        assert (chain.degraded, told) == (False, [])

    run_virtual(main)


def test_scenario_29_what_is_older_than_an_hour_is_never_served() -> None:
    clock = Clock()
    cache = AnswerCache(clock)
    cache.remember("key", "value")
    clock.now += 3_599.9
    assert cache.recall("key") == ("value", pytest.approx(3_599.9))
    clock.now += 0.2
    with pytest.raises(NotInCache):
        cache.recall("key")
    assert (cache.counters.hits, cache.counters.misses) == (1, 1)


def test_scenario_29_a_hundred_concurrent_misses_cause_one_refresh() -> None:
    async def main() -> None:
        cache = AnswerCache(now)
        found = 0

        async def find() -> int:
            nonlocal found
            found += 1
            await asyncio.sleep(1)
            return found

        answers = await asyncio.gather(*(cache.fetch("key", find) for _ in range(100)))
        assert (answers, found) == ([(1, 0.0)] * 100, 1)
        assert (cache.counters.refreshes, cache.counters.joined) == (1, 99)
        await asyncio.sleep(3_599)
        assert await cache.fetch("key", find) == (1, 3_599.0)
        await asyncio.sleep(1.1)
        assert await cache.fetch("key", find) == (2, 0.0)
        assert cache.counters.refreshes == 2

    run_virtual(main)


def test_scenario_29_a_cancelled_or_failed_refresh_strands_nobody() -> None:
    async def main() -> None:
        cache = AnswerCache(now)
        found = 0

        async def find() -> int:
            nonlocal found
            found += 1
            await asyncio.sleep(1)
            if found == 2:
                raise OSError("down")
            return found

        tasks = [asyncio.create_task(cache.fetch("key", find)) for _ in range(100)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert all(isinstance(result, OSError) for result in results[1:])
        assert found == 2
        assert await cache.fetch("key", find) == (3, 0.0)

    run_virtual(main)


def test_scenario_30_services_that_fall_back_on_each_other_do_not_go_round() -> None:
    async def main() -> None:
        calls: Counter[str] = Counter()

        def down(name: str) -> Callable[[], Awaitable[str]]:
            async def primary() -> str:
                calls[name] += 1
                await asyncio.sleep(0)
                raise ConnectionError(f"{name} is down")

            return primary

        async def ask_a() -> Any:
            return (await a.call(down("a"))).value

        async def ask_b() -> Any:
            return (await b.call(down("b"))).value

        a = FallbackChain("a", [Step("b", ask_b)])
        b = FallbackChain("b", [Step("a", ask_a)])
        with pytest.raises(FallbacksExhausted, match="a is down"):
            await ask_a()
        assert calls == {"a": 2, "b": 1}
        assert (a.counters.recursive, b.counters.recursive) == (1, 0)
        calls.clear()
        results = await asyncio.gather(*(ask_a() for _ in range(50)), return_exceptions=True)
        assert all(isinstance(result, FallbacksExhausted) for result in results)
        assert calls == {"a": 100, "b": 50}, "callers at the same time are no recursion"

    run_virtual(main)


@pytest.mark.parametrize(
    ("chains", "way"),
    [
        ({"a": ("a",)}, "a → a"),
        ({"a": ("b",), "b": ("a",)}, "a → b → a"),
        ({"a": ("x", "b"), "b": ("c", "y"), "c": ("x", "a")}, "a → b → c → a"),
        ({"z": ("a",), "a": ("b",), "b": ("a",)}, "a → b → a"),
    ],
)
def test_scenario_30_a_cycle_is_refused_by_its_way_round(
    chains: dict[str, tuple[str, ...]], way: str
) -> None:
    with pytest.raises(ValueError, match=f"circle: {way}$"):
        refuse_cycles(chains)


def test_scenario_30_chains_that_meet_but_form_no_circle_are_fine() -> None:
    refuse_cycles({"a": ("b", "c"), "b": ("d",), "c": ("d", "local_fs"), "d": ()})
    with pytest.raises(ValueError, match="a is its own fallback"):
        FallbackChain("a", [Step("a", works)])
