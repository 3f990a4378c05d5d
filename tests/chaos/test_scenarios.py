"""Each scenario of ``event-cli chaos`` once, cut short; and bugs, planted, that they find."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from event_monitor.chaos.keeper import Keeper
from event_monitor.chaos.plan import BOTH, Scenario, spread
from event_monitor.chaos.points import POINTS, Point, Strike
from event_monitor.chaos.results import ScenarioResult
from event_monitor.chaos.run import run_scenario
from event_monitor.chaos.scenarios import BY_NAME, GROUPS, SCENARIOS
from event_monitor.chaos.world import World
from event_monitor.grammar import breaking

# Seconds of load, which leave time for one fault; the machine may be as slow as it likes.
DURATION, PATIENCE = 1.0, 10.0
# Of times in a result, which have milliseconds.
ROUNDING = 0.01


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with Keeper() as keeper:
        yield keeper
    assert not keeper.directory.exists()


async def play(scenario: Scenario, keeper: Keeper, patience: float = PATIENCE) -> ScenarioResult:
    said: list[str] = []
    result = await run_scenario(
        scenario,
        keeper,
        seed=3,
        duration=DURATION,
        patience=patience,
        tell=lambda what, left: said.append(what),
    )
    assert said
    return result


@pytest.mark.parametrize("name", BY_NAME)
async def test_a_scenario_is_survived(name: str, keeper: Keeper) -> None:
    scenario = BY_NAME[name]
    result = await play(scenario, keeper)
    assert result.failures == ()
    planned = scenario.strikes(3, DURATION)
    assert [(one.point, one.detail) for one in result.faults] == [(one.point, one.detail) for one in planned]
    assert len(result.recoveries) == len(planned)
    assert all(
        one.healed - one.began > plan.seconds - ROUNDING
        for one, plan in zip(result.faults, planned, strict=True)
    )
    account = result.account
    assert account.accepted == account.delivered > 0
    assert account.accounted_share == 1.0
    assert result.deadlocks == 0
    assert result.states[0].state == result.states[-1].state == "HEALTHY"
    assert sum(sample.published for sample in result.samples) <= account.accepted
    assert result.latency.all_p95 is not None


def test_the_same_seed_plans_the_same_faults() -> None:
    for scenario in SCENARIOS:
        planned = scenario.strikes(5, 60.0)
        assert planned == scenario.strikes(5, 60.0)
        assert planned != scenario.strikes(6, 60.0)
        assert [one.at for one in planned] == sorted(one.at for one in planned)
        assert all(0 < one.at < 60.0 and one.point in POINTS for one in planned)


def test_the_grammar_knows_the_scenarios() -> None:
    assert tuple(BY_NAME) == breaking.SCENARIOS
    assert GROUPS == breaking.GROUPS


async def test_the_points_that_no_scenario_strikes_are_healed_too(keeper: Keeper) -> None:
    struck = {one.point for scenario in SCENARIOS for one in scenario.strikes(1, 60.0)}
    amounts = {"load.flood": 500.0, "service.server.slow": 0.1, "service.call.slow": 0.1}
    others = sorted(POINTS.keys() - struck - {"target.lie"})
    assert others
    planned = tuple(Strike(point=name, at=0.0, seconds=0.3, amount=amounts.get(name, 0.0)) for name in others)
    one_by_one = Scenario(
        name="the-other-points",
        group="services",
        title="One after the other",
        limit=8.0,
        plan=lambda rng, duration: planned,
        services=BOTH,
    )
    result = await play(one_by_one, keeper)
    assert result.failures == ()
    assert [one.point for one in result.faults] == others
    assert result.account.accepted == result.account.delivered > 0


async def test_a_lost_event_is_found(keeper: Keeper) -> None:
    lying = Scenario(
        name="one-is-lost",
        group="services",
        title="A handler says that it is done, and is not",
        limit=8.0,
        plan=spread("target.lie", (0.5, 0.5), times=1),
    )
    result = await play(lying, keeper)
    assert result.account.lost == 1
    assert result.account.accounted_share < 1.0
    assert len(result.failures) == 1
    assert "1 accepted and called delivered and never handled" in result.failures[0]


async def test_a_service_that_does_not_come_back_is_found(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def for_ever(world: World, strike: Strike) -> AsyncIterator[None]:
        await world.server.leave()
        yield

    stays_away = Point("test.for_ever", "a server that stays away", contextlib.asynccontextmanager(for_ever))
    monkeypatch.setitem(POINTS, stays_away.name, stays_away)
    gone = Scenario(
        name="one-stays-away",
        group="services",
        title="A server that stays away",
        limit=3.0,
        plan=spread("test.for_ever", (1.0, 1.0)),
        felt=BY_NAME["service-dies"].felt,
    )
    result = await play(gone, keeper, patience=1.0)
    assert "not HEALTHY and settled 3 s after test.for_ever was healed" in result.failures[0]
    assert "web" in result.failures[0]
    assert result.recoveries == ()


async def test_a_bus_that_does_not_start_is_told_of(keeper: Keeper) -> None:
    wrong = Scenario(
        name="wrong-settings",
        group="recovery",
        title="Settings that make no sense",
        limit=3.0,
        plan=spread("process.kill", (0.1, 0.1)),
        settings={"queue": {"max_backlog": "many"}},
    )
    result = await asyncio.wait_for(play(wrong, keeper), 120)
    assert result.account.accepted == 0
    assert "BusDidNotStart" in result.failures[0]
    assert "max_backlog" in result.failures[0]
