"""Health checks: startup, readiness and liveness, each at its own interval, none over itself.

As in Kubernetes, the other two begin only when startup has passed. Checks keep to a grid from the
start on, so they do not drift; one that is still running when its next turn comes skips that turn.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from event_monitor.resilience.listeners import tell

Probe = Callable[[], Awaitable[None]]
"""Returns if all is well and raises what is wrong, or ``Undecided``."""


class Undecided(Exception):
    """A probe could not find out: its turn counts neither way, as one that was skipped."""


class CheckKind(enum.StrEnum):
    """What a check asks: is it initialised, can it handle requests, does it run?"""

    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


class Health(enum.StrEnum):
    """What is known."""

    UNKNOWN = "unknown"
    PASS = "pass"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckPolicy:
    """Seconds between two checks, the longest that one may take, and how many in a row change the
    verdict."""

    interval: float
    limit: float = 10.0
    failures: int = 1
    successes: int = 1

    def __post_init__(self) -> None:
        if self.interval <= 0 or self.limit <= 0 or self.failures < 1 or self.successes < 1:
            raise ValueError("interval and limit must be positive seconds, failures and successes 1 or more")


STARTUP_SECONDS = 120.0
POLICIES: Mapping[CheckKind, CheckPolicy] = {
    CheckKind.STARTUP: CheckPolicy(interval=5.0, limit=30.0, failures=3),
    CheckKind.READINESS: CheckPolicy(interval=10.0, limit=5.0, failures=2),
    CheckKind.LIVENESS: CheckPolicy(interval=30.0, failures=2),
}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One answer of a probe. ``seconds`` is how long it took."""

    kind: CheckKind
    at: float
    seconds: float
    error: str | None = None


@dataclass(slots=True)
class CheckCounters:
    """What became of one kind of check. ``skipped`` turns came while the one before still ran, or found
    nothing out; ``late`` ones among the ``failed`` had no answer within their limit; ``changes`` are the
    verdict's."""

    checks: int = 0
    failed: int = 0
    late: int = 0
    skipped: int = 0
    changes: int = 0


@dataclass(slots=True)
class _Track:
    """What is known of one kind of check."""

    health: Health = Health.UNKNOWN
    in_a_row: int = 0
    last_passed: bool = False
    next_at: float = 0.0
    counters: CheckCounters = field(default_factory=CheckCounters)


@dataclass(slots=True)
class HealthMonitor:
    """Runs a service's probes until it is cancelled.

    Startup is checked from the first second for ``startup_seconds``; if it has not passed by then it
    has failed, and checking goes on at readiness' pace, for a slow service may still come up.
    ``on_change`` hears each change of a verdict, ``on_result`` each answer.
    """

    probes: Mapping[CheckKind, Probe]
    policies: Mapping[CheckKind, CheckPolicy] = field(default_factory=lambda: dict(POLICIES))
    startup_seconds: float = STARTUP_SECONDS
    on_change: Callable[[CheckKind, Health, str], None] = lambda kind, health, reason: None
    on_result: Callable[[CheckResult], None] = lambda result: None
    _tracks: dict[CheckKind, _Track] = field(default_factory=lambda: {kind: _Track() for kind in CheckKind})

    def health(self, kind: CheckKind) -> Health:
        """The verdict on one kind of check."""
        return self._tracks[kind].health

    def counters(self, kind: CheckKind) -> CheckCounters:
        """What became of one kind of check so far."""
        return self._tracks[kind].counters

    def next_check(self) -> float | None:
        """When the next check is due, in the loop's time."""
        return min((track.next_at for track in self._tracks.values() if track.next_at), default=None)

    def fail(self, kind: CheckKind, reason: str) -> None:
        """What no check needs to find out: it fails now, until a check passes. Before startup has
        passed there is nothing to lose."""
        if self._tracks[CheckKind.STARTUP].health is not Health.PASS:
            return
        track = self._tracks[kind]
        track.in_a_row, track.last_passed = self.policies[kind].failures, False
        if track.health is not Health.FAIL:
            self._decide(kind, Health.FAIL, reason)

    async def run(self) -> None:
        """Check for ever."""
        if CheckKind.STARTUP in self.probes:
            await self._start_up()
        else:
            self._judge(CheckKind.STARTUP, None)
        async with asyncio.TaskGroup() as group:
            for kind in (CheckKind.READINESS, CheckKind.LIVENESS):
                if kind in self.probes:
                    group.create_task(self._repeat(kind), name=f"health-{kind}")

    async def _start_up(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        policy = self.policies[CheckKind.STARTUP]
        late = self.policies[CheckKind.READINESS].interval
        turn = started
        while not await self._check(CheckKind.STARTUP):
            now = loop.time()
            interval = policy.interval if now < started + self.startup_seconds - policy.interval / 2 else late
            turn = self._following(CheckKind.STARTUP, turn, interval)
            await self._wait(CheckKind.STARTUP, turn)
        self._tracks[CheckKind.STARTUP].next_at = 0.0

    async def _repeat(self, kind: CheckKind) -> None:
        loop = asyncio.get_running_loop()
        interval = self.policies[kind].interval
        turn = loop.time()
        while True:
            await self._check(kind)
            turn = self._following(kind, turn, interval)
            await self._wait(kind, turn)

    def _following(self, kind: CheckKind, turn: float, interval: float) -> float:
        following = _next_turn(turn, interval, asyncio.get_running_loop().time())
        self._tracks[kind].counters.skipped += round((following - turn) / interval) - 1
        return following

    async def _wait(self, kind: CheckKind, until: float) -> None:
        loop = asyncio.get_running_loop()
        self._tracks[kind].next_at = until
        await asyncio.sleep(max(0.0, until - loop.time()))

    async def _check(self, kind: CheckKind) -> bool:
        loop = asyncio.get_running_loop()
        counters = self._tracks[kind].counters
        started = loop.time()
        limit = self.policies[kind].limit
        error: str | None = None
        scope = asyncio.timeout_at(started + limit)
        try:
            async with scope:
                await self.probes[kind]()
        except Undecided:
            counters.skipped += 1
            return False
        except Exception as raised:  # noqa: BLE001 - whatever a probe raises is its verdict
            error = _told(raised)
        if scope.expired():
            error = f"no answer within {limit:g} s"
            counters.late += 1
        counters.checks += 1
        counters.failed += error is not None
        tell(self.on_result, CheckResult(kind, started, loop.time() - started, error))
        self._judge(kind, error)
        return error is None

    def _judge(self, kind: CheckKind, error: str | None) -> None:
        track, passed = self._tracks[kind], error is None
        track.in_a_row = track.in_a_row + 1 if passed is track.last_passed else 1
        track.last_passed = passed
        policy = self.policies[kind]
        needed = policy.successes if passed else policy.failures
        verdict = Health.PASS if passed else Health.FAIL
        first = track.health is Health.UNKNOWN and passed
        if (track.in_a_row >= needed or first) and track.health is not verdict:
            self._decide(kind, verdict, error or "the check passed")

    def _decide(self, kind: CheckKind, verdict: Health, reason: str) -> None:
        track = self._tracks[kind]
        track.health = verdict
        track.counters.changes += 1
        tell(self.on_change, kind, verdict, reason)


def _next_turn(turn: float, interval: float, now: float) -> float:
    """The first place on the grid after ``now``."""
    passed = max(1, int((now - turn) // interval) + 1)
    return turn + passed * interval


def _told(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
