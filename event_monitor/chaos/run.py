"""One scenario from its beginning to its account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from event_monitor.chaos.account import account_of, latency_of, read_books, samples_of
from event_monitor.chaos.bus_process import BusDidNotStart
from event_monitor.chaos.keeper import Keeper
from event_monitor.chaos.plan import Felt, Scenario
from event_monitor.chaos.points import POINTS, Strike
from event_monitor.chaos.publisher import publishing
from event_monitor.chaos.results import Account, FaultMark, Latency, ScenarioResult
from event_monitor.chaos.world import POLL, TOOLS, World, world
from event_monitor.errors import EventMonitorError

Tell = Callable[[str, float], None]
"""Told what is being done, and how many seconds of the scenario are left."""

START_LIMIT = 30.0
_UNKNOWN = Latency(steady_p50=None, steady_p95=None, steady_p99=None, all_p95=None, all_max=None)


@dataclass
class _Found:
    """What a run has come to so far."""

    faults: list[FaultMark] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    troubled: list[tuple[float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def run_scenario(
    scenario: Scenario, keeper: Keeper, *, seed: int, duration: float, patience: float, tell: Tell
) -> ScenarioResult:
    """Play a scenario for about ``duration`` seconds on a home of its own. All limits are multiplied by
    ``patience``. What goes wrong is in the result's ``failures``."""
    play = _Play(scenario, seed=seed, duration=duration, patience=patience, tell=tell)
    return await play.run(keeper)


class _Play:
    """One playing of a scenario, step by step; ``run`` once."""

    def __init__(
        self, scenario: Scenario, *, seed: int, duration: float, patience: float, tell: Tell
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._duration = duration
        self._limit = scenario.limit * patience
        self._start_limit = START_LIMIT * patience
        self._tell = tell
        self._strikes = scenario.strikes(seed, duration)
        self._found = _Found()
        self._begun = 0.0
        self._origin = 0.0
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    async def run(self, keeper: Keeper) -> ScenarioResult:
        scenario = self._scenario
        self._say("starts")
        try:
            async with world(
                keeper.directory / scenario.name,
                keeper,
                seed=self._seed,
                name=scenario.name,
                services=scenario.services,
                settings=scenario.settings,
                rate=scenario.rate,
            ) as made:
                return await self._play(made)
        except (BusDidNotStart, EventMonitorError) as error:
            self._fail(f"{type(error).__name__}: {error}")
        return self._result()

    async def _play(self, made: World) -> ScenarioResult:
        if trouble := await made.until_well(self._start_limit):
            self._fail(f"not HEALTHY before anything was spoilt: {trouble}")
        self._begun = made.watch.begun = time.time()
        # What others noted is compared by the wall clock; what is waited for here is not.
        self._origin = time.monotonic()
        watching = asyncio.create_task(made.watch.run(), name="watch")
        try:
            async with publishing(made.publisher):
                for strike in self._strikes:
                    await self._strike(made, strike)
                    if self._found.failures:
                        break
                else:
                    await self._steady(self._duration)
            await self._drain(made)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await made.watch.look()
        seconds = time.time() - self._begun
        await self._end(made)
        return await asyncio.to_thread(self._reckon, made, seconds)

    async def _steady(self, until: float) -> None:
        """Let the load go on until so many seconds have passed."""
        while (left := self._origin + until - time.monotonic()) > 0:
            self._say("steady load")
            await asyncio.sleep(min(left, 0.5))

    async def _strike(self, made: World, strike: Strike) -> None:
        """Inject a fault, heal it, and wait until all is well."""
        await self._steady(strike.at)
        made.struck()
        began = time.time()
        point = POINTS[strike.point]
        try:
            async with point.inject(made, strike):
                await self._suffer(made, strike, began)
                healed = time.time()
        except (AssertionError, TimeoutError) as error:
            self._fail(f"{strike.point} could not be injected: {error}")
            healed = time.time()
        self._found.faults.append(
            FaultMark(
                point=strike.point,
                detail=strike.detail,
                began=round(began - self._begun, 3),
                healed=round(healed - self._begun, 3),
            )
        )
        self._say(f"recovers from {strike.point}")
        trouble = await made.until_well(self._limit - (time.time() - healed))
        self._found.troubled.append((began, time.time()))
        if trouble:
            self._fail(
                f"not HEALTHY and settled {self._limit:g} s after {strike.point} was healed: {trouble}"
            )
        else:
            self._found.recoveries.append(round(time.time() - healed, 3))
            await self._look_for(made, self._scenario.told, f"{strike.point} was not told of")

    async def _suffer(self, made: World, strike: Strike, began: float) -> None:
        """Let a fault last as planned, and until it was felt."""
        while (left := began + strike.seconds - time.time()) > 0:
            self._say(f"{strike.point}, {left:.1f} s more")
            await asyncio.sleep(min(left, 0.5))
        await self._look_for(made, self._scenario.felt, f"{strike.point} was not felt")

    async def _look_for(self, made: World, signs: tuple[Felt, ...], complaint: str) -> None:
        """Look until there are all signs, or for so long that there will be none."""
        latest = time.time() + self._limit
        while missing := next((text for sign in signs if (text := sign(made))), ""):
            if time.time() > latest:
                self._fail(f"{complaint}: {missing}")
                return
            self._say(f"waits: {missing}")
            await asyncio.sleep(POLL)
            await made.watch.look()

    async def _drain(self, made: World) -> None:
        """No new events: what is under way is to be accepted and settled."""
        self._say("drains")
        end = time.time() + self._limit
        try:
            async with asyncio.timeout(self._limit):
                await made.publisher.settled()
        except TimeoutError:
            self._fail(
                f"{made.publisher.under_way} events could not be published within {self._limit:g} s: "
                f"{made.publisher.last_refusal}"
            )
        if trouble := await made.until_well(max(1.0, end - time.time()), drained=True):
            self._fail(f"not HEALTHY and drained {self._limit:g} s after the load ended: {trouble}")

    async def _end(self, made: World) -> None:
        """End the bus in order. No child of it may be left."""
        self._say("ends")
        if not made.bus.running:
            self._fail("the bus has ended by itself")
            return
        child = None
        if TOOLS in self._scenario.services:
            try:
                child = await made.pid_of(TOOLS)
            except EventMonitorError as error:
                self._fail(f"the bus does not answer at the end: {error}")
        status = await made.bus.stop()
        if status:
            self._fail(f"the bus ended with the status {status}")
        if child is not None and Path(f"/proc/{child}/stat").exists():
            self._fail(f"the service's process {child} has outlived the bus")

    def _reckon(self, made: World, seconds: float) -> ScenarioResult:
        """Hold all notes against each other."""
        found, watch = self._found, made.watch
        books = read_books(made.directory, Path(made.bus.paths.database), made.publisher.accepted.values())
        account, failures = account_of(books, sum(made.publisher.refused.values()))
        for failure in failures:
            self._fail(failure)
        deadlocks = watch.deadlocks()
        for alert in deadlocks:
            self._fail(f"{alert.title}: {alert.detail}")
        if not account.accepted:
            self._fail("nothing was accepted")
        refusals = ", ".join(f"{count} x {code}" for code, count in made.publisher.refused.most_common())
        if refusals:
            found.notes.append(f"refused and asked again: {refusals}")
        if len(made.bus.lives) > 1:
            found.notes.append(f"{len(made.bus.lives)} processes of the bus")
        return msgspec.structs.replace(
            self._result(),
            seconds=round(seconds, 3),
            states=watch.states(made.bus.lives),
            samples=samples_of(books, watch.depths, self._begun, seconds),
            account=account,
            latency=latency_of(books, found.troubled),
            deadlocks=len(deadlocks),
        )

    def _result(self) -> ScenarioResult:
        """What is known without an account."""
        scenario, found = self._scenario, self._found
        return ScenarioResult(
            name=scenario.name,
            group=scenario.group,
            title=scenario.title,
            seed=self._seed,
            started_at=self._started_at,
            seconds=0.0,
            faults=tuple(found.faults),
            states=(),
            samples=(),
            account=Account(accepted=0, delivered=0),
            latency=_UNKNOWN,
            recoveries=tuple(found.recoveries),
            recovery_limit=scenario.limit,
            deadlocks=0,
            failures=tuple(found.failures),
            notes=tuple(found.notes),
        )

    def _fail(self, why: str) -> None:
        self._found.failures.append(why)

    def _say(self, what: str) -> None:
        passed = time.time() - self._begun if self._begun else 0.0
        self._tell(what, max(0.0, self._duration - passed))
