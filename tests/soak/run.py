"""One soak from beginning to end: load, faults, healing, load without faults, the reckoning."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from event_monitor import messages as m
from event_monitor.errors import EventMonitorError
from event_monitor.model import SystemState
from tests.soak.account import Account, latencies, reckon, slopes
from tests.soak.faults import Happening, Mischief, last_blow
from tests.soak.view import View
from tests.soak.world import Life, World, world

# The shares of the time with faults; the rest is the same load without.
FAULTY = 0.7
# Within this it should be well again once nothing is wrong any more: a breaker's wait, the probes that
# must pass in a row, and the longest deadline of a handler that hung.
HEALTHY_WITHIN = 30.0
# After so long it is not late, it is stuck.
NEVER = 300.0
POLL = 0.25


@dataclass
class Outcome:
    """All that a soak has found."""

    seed: int
    minutes: float
    account: Account = field(default_factory=Account)
    lives: list[Life] = field(default_factory=list)
    happened: list[Happening] = field(default_factory=list)
    view: View | None = None
    healthy_after: float | None = None
    drained_after: float | None = None
    slowest_start: float = 0.0
    complaints: list[str] = field(default_factory=list)
    slopes: dict[str, float | None] = field(default_factory=dict)
    children_left: list[int] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        return self.account.broken


async def soak(
    directory: Path,
    *,
    minutes: float,
    seed: int,
    rate: float,
    publishers: int,
    tell: Callable[[str], None],
) -> Outcome:
    """Soak a bus in ``directory`` for so long."""
    outcome = Outcome(seed, minutes)
    spans: dict[str, tuple[float, float]] = {}
    async with world(directory, rate, publishers, seed) as made:
        for name in made.publishers:
            made.crowd.start(name)
        view = outcome.view = View(made.bus.socket)
        watching = [asyncio.create_task(view.look_on()), asyncio.create_task(view.follow())]
        mischief = Mischief(made, random.Random(seed))
        telling = asyncio.create_task(_progress(made, view, mischief, tell))
        try:
            begun = time.time()
            await mischief.go_on(60 * minutes * FAULTY)
            await last_blow(made)
            spans["with faults"] = (begun, time.time())
            view.phase = "healing"
            outcome.healthy_after = await _until(made, outcome, "HEALTHY", _is_healthy)
            view.phase = "steady"
            begun = time.time()
            await asyncio.sleep(60 * minutes * (1 - FAULTY))
            spans["steady"] = (begun, time.time())
            view.phase = "draining"
            await made.crowd.end()
            outcome.drained_after = await _until(made, outcome, "drained", _is_drained)
            await _end(made, outcome)
        finally:
            for task in (telling, *watching):
                task.cancel()
            await asyncio.gather(telling, *watching, return_exceptions=True)
        outcome.lives, outcome.happened = made.bus.lives, mischief.log
        outcome.slowest_start = made.bus.slowest_start
        await asyncio.to_thread(_reckon, made, outcome, spans)
    return outcome


async def _until(
    made: World, outcome: Outcome, what: str, holds: Callable[[World], Awaitable[bool]]
) -> float:
    """Seconds until something holds. A bus that never comes so far is broken."""
    begun = time.monotonic()
    while time.monotonic() < begun + NEVER:
        with contextlib.suppress(EventMonitorError):
            if await holds(made):
                return round(time.monotonic() - begun, 2)
        await asyncio.sleep(POLL)
    state = await made.bus.ask(m.GetState())
    stats = await made.bus.ask(m.GetStats())
    outcome.broken.append(
        f"not {what} {NEVER:.0f} s after the last fault: {state.state}, {state.reason}; "
        f"{stats.pending} pending, {stats.parked} parked, {stats.breakers}"
    )
    return NEVER


async def _is_healthy(made: World) -> bool:
    return await made.state() is SystemState.HEALTHY


async def _is_drained(made: World) -> bool:
    """Nothing waits, nothing is replayed, and it is still healthy."""
    replays = (await made.bus.ask(m.QueryReplays())).replays
    for one in replays:
        if one.state == "paused":
            await made.bus.ask(m.ControlReplay(replay_id=one.id, action="resume"))
    if any(one.state in ("running", "paused") for one in replays):
        return False
    return (await made.bus.ask(m.GetStats())).pending == 0 and await _is_healthy(made)


async def _end(made: World, outcome: Outcome) -> None:
    """End it in order. No child of it may be left."""
    pids = [pid for name in ("tools", "worker") if (pid := await made.pid_of(name)) is not None]
    status = await made.bus.stop()
    if status:
        outcome.broken.append(f"it ended with {status}")
    outcome.children_left = [pid for pid in pids if Path(f"/proc/{pid}/stat").exists()]
    outcome.account.expect("children left behind", outcome.children_left)


def _reckon(made: World, outcome: Outcome, spans: dict[str, tuple[float, float]]) -> None:
    crowd, bus = made.crowd, made.bus
    before = outcome.account
    outcome.account = reckon(made.directory, crowd.ledgers, bus.lives, bus.errors)
    outcome.account.broken[:0] = before.broken
    outcome.account.latency = latencies(made.directory, crowd.ledgers, spans)
    failed = [one for one in outcome.happened if one.outcome.startswith("!")]
    outcome.account.expect("faults that failed", [f"{one.name}: {one.outcome[1:]}" for one in failed])
    for path in sorted(made.directory.glob("publisher-*.stderr")):
        outcome.complaints += path.read_text().splitlines()
    view = outcome.view
    if view is not None:
        outcome.slopes = {
            name: slopes(view.samples, name, "steady") for name in ("rss_mib", "fds", "tasks", "wal_mib")
        }


async def _progress(made: World, view: View, mischief: Mischief, tell: Callable[[str], None]) -> None:
    """A line now and then, so that nobody thinks that it hangs."""
    while True:
        await asyncio.sleep(10)
        if view.samples:
            last = view.samples[-1]
            tell(
                f"{last.at:6.0f} s  {view.phase:9} {last.state:10} {last.published:9,} published  "
                f"{last.pending:6,} pending  {len(made.bus.lives):3} lives  {len(mischief.log):4} faults"
            )


def to_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as one JSON object."""
    view = outcome.view
    account = outcome.account
    return {
        "seed": outcome.seed,
        "minutes": outcome.minutes,
        "broken": account.broken,
        "healthy_after_s": outcome.healthy_after,
        "healthy_within_s": HEALTHY_WITHIN,
        "drained_after_s": outcome.drained_after,
        "slowest_start_s": round(outcome.slowest_start, 2),
        "figures": account.figures,
        "latency": account.latency,
        "growth_a_minute_in_the_steady_part": outcome.slopes,
        "alerts": dict(account.alerts.most_common()),
        "lives": [{"begun": life.begun, "ended": life.ended, "how": life.how} for life in outcome.lives],
        "faults": [
            {
                "name": one.name,
                "begun": one.begun,
                "ended": one.ended,
                "detail": one.detail,
                "outcome": one.outcome,
            }
            for one in sorted(outcome.happened, key=lambda one: one.begun)
        ],
        "refused": outcome.complaints,
        "view": {}
        if view is None
        else {
            "snapshots": view.snapshots,
            "unanswered": view.lost,
            "streamed": view.streamed,
            "left_out_by_the_stream": view.gaps,
        },
        "samples": [] if view is None else view.series(),
    }
