"""The circuit breaker: stops calling what fails, and finds out with one call when it works again.

Every call carries the generation in which it began (after sony/gobreaker): a result that arrives
after the state has changed says nothing about the new state and is only counted. HALF_OPEN leases
the way to exactly one call at a time; a lease that runs out reopens, so a probe that never returns
blocks nothing for ever. A caller's cancellation is neither success nor failure.
"""

from __future__ import annotations

import asyncio
import enum
import inspect
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, TypeVar

from event_monitor.resilience.bulkhead import BulkheadFull, BulkheadTimeout
from event_monitor.resilience.listeners import Listeners
from event_monitor.resilience.recent_calls import RecentCalls
from event_monitor.resilience.tally import ErrorTally, told

T = TypeVar("T")


class BreakerState(enum.StrEnum):
    """Whether calls pass."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


# CPython 3.11 looks an enum's member up slowly, and each call asks for them.
_CLOSED, _OPEN, _HALF_OPEN = BreakerState


class CircuitOpenError(Exception):
    """The breaker let no call through. ``retry_after`` is in seconds; infinite while a person holds
    it open."""

    def __init__(self, name: str, retry_after: float) -> None:
        self.name = name
        self.retry_after = retry_after

    def __str__(self) -> str:
        left = self.retry_after
        wait = "until a person closes it" if math.isinf(left) else f"for {left:.1f} s more"
        return f"the circuit breaker of {self.name or 'this service'} is open {wait}"


class ForcedBy(enum.StrEnum):
    """Which state a person holds."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """A change of state. ``by`` names the person who made it, if one did."""

    from_state: BreakerState
    to_state: BreakerState
    at: float
    reason: str
    by: str | None = None


@dataclass(slots=True)
class BreakerCounters:
    """What passed through and what became of the state. ``ignored`` failures were the caller's fault,
    ``late`` results belonged to an earlier generation, ``lost`` probes did not return in time."""

    successes: int = 0
    failures: int = 0
    slow: int = 0
    rejected: int = 0
    ignored: int = 0
    cancelled: int = 0
    late: int = 0
    lost: int = 0
    opened: int = 0
    half_opened: int = 0
    closed: int = 0

    def entered(self, state: BreakerState) -> None:
        """A state was entered from another one."""
        if state is BreakerState.OPEN:
            self.opened += 1
        elif state is BreakerState.HALF_OPEN:
            self.half_opened += 1
        else:
            self.closed += 1


@dataclass(frozen=True, slots=True)
class SavedBreaker:
    """What outlives a restart: wall time and what was left of the wait, which is clamped on return."""

    state: str
    remaining: float
    saved_at: float
    forced: str | None = None
    by: str | None = None
    reason: str = ""


class Permit:
    """The right to make one call. Tell it the outcome once; every further word is ignored."""

    __slots__ = ("_breaker", "_generation", "_started")

    def __init__(self, breaker: CircuitBreaker, generation: int, started: float) -> None:
        self._breaker: CircuitBreaker | None = breaker
        self._generation = generation
        self._started = started

    def success(self) -> None:
        """The call did what it should."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker._success(self._generation, self._started, breaker.clock())

    def failure(self, error: BaseException) -> None:
        """The call failed; whether that counts depends on the error."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker._failure(self._generation, self._started, error)

    def release(self) -> None:
        """The call was cancelled, or never made: neither success nor failure."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker._cancelled(self._generation)


def _counts(error: BaseException) -> bool:
    return not isinstance(error, CircuitOpenError | BulkheadFull | BulkheadTimeout)


class CircuitBreaker:
    """Opens after ``failure_threshold`` failures in a row of which none is older than ``timeout``
    seconds, or when the share of failed or slow calls among the last ``window`` passes its limit
    (once there are ``minimum_calls``). After ``recovery_timeout`` seconds one call may try; its
    success closes, its failure opens again.

    ``clock`` answers seconds and never goes back; it defaults to the running loop's. Errors for
    which ``is_failure`` answers false are the caller's fault and count for nothing. ``listeners``
    hear each change of state; ``last_failure`` is the clock's time of the last one that counted. Used
    from one event loop.
    """

    __slots__ = (
        "_failure_limit",
        "_failures",
        "_generation",
        "_lease",
        "_probe",
        "_retry_at",
        "_slow_limit",
        "_state",
        "_window",
        "clock",
        "counters",
        "errors",
        "failure_threshold",
        "forced",
        "forced_by",
        "forced_reason",
        "is_failure",
        "last_error",
        "last_failure",
        "listeners",
        "minimum_calls",
        "name",
        "recovery_timeout",
        "slow_after",
        "timeout",
    )

    def __init__(
        self,
        failure_threshold: int = 5,
        timeout: float = 60.0,
        recovery_timeout: float = 30.0,
        *,
        name: str = "",
        failure_rate: float | None = 0.5,
        slow_rate: float | None = None,
        slow_after: float = 60.0,
        window: int = 100,
        minimum_calls: int = 20,
        probe_lease: float | None = None,
        is_failure: Callable[[BaseException], bool] = _counts,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if failure_threshold < 1 or window < 1 or minimum_calls < 1:
            raise ValueError("failure_threshold, window and minimum_calls must be 1 or more")
        if not (0 < timeout < math.inf and 0 < recovery_timeout < math.inf and slow_after > 0):
            raise ValueError("timeout, recovery_timeout and slow_after must be positive seconds")
        if probe_lease is not None and not probe_lease > 0:
            raise ValueError("probe_lease must be positive seconds")
        for rate in (failure_rate, slow_rate):
            if rate is not None and not 0 < rate <= 1:
                raise ValueError(f"a rate is a share over 0 and up to 1, not {rate}")
        self.name = name
        self.failure_threshold = failure_threshold
        self.timeout = timeout
        self.recovery_timeout = recovery_timeout
        self.slow_after = slow_after
        self.minimum_calls = min(minimum_calls, window)
        self.is_failure = is_failure
        self.clock = clock or self._first_time
        self.listeners = Listeners[[CircuitBreaker, BreakerChange]]()
        self.counters = BreakerCounters()
        self.errors = ErrorTally()
        self.last_error: str | None = None
        self.last_failure: float | None = None
        self.forced: ForcedBy | None = None
        self.forced_by: str | None = None
        self.forced_reason = ""
        self._failure_limit = failure_rate
        self._slow_limit = slow_rate
        self._lease = max(recovery_timeout, slow_after) if probe_lease is None else probe_lease
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._failures: deque[float] = deque(maxlen=failure_threshold)
        self._window = RecentCalls(window)
        self._retry_at = 0.0
        self._probe: float | None = None

    # --- what is known ----------------------------------------------------------------------

    @property
    def state(self) -> BreakerState:
        """The state now. An OPEN whose wait is over still says OPEN until a call tries."""
        return self._state

    @property
    def failure_count(self) -> int:
        """Failures in a row."""
        return len(self._failures)

    @property
    def retry_after(self) -> float:
        """Seconds until a call may pass; 0 if one may now."""
        if self.forced is ForcedBy.OPEN:
            return math.inf
        if self.forced is ForcedBy.CLOSED or self._state is BreakerState.CLOSED:
            return 0.0
        now = self.clock()
        if self._state is BreakerState.OPEN:
            return max(0.0, self._retry_at - now)
        if self._probe is None:
            return 0.0
        ends = self._probe + self._lease
        return ends - now if now < ends else max(0.0, ends + self.recovery_timeout - now)

    def would_pass(self) -> bool:
        """Whether a call would be let through now. Reserves nothing."""
        return self.retry_after == 0.0

    # --- calls ------------------------------------------------------------------------------

    def acquire(self) -> Permit:
        """The right to make one call now. Raises ``CircuitOpenError``, a fresh one each time.

        Nothing is awaited, so no two callers can be given the one place of HALF_OPEN.
        """
        started = self._admit()
        return Permit(self, self._generation, started)

    def _admit(self) -> float:
        """When the call that is let through begins."""
        now = self.clock()
        if self._state is _CLOSED:
            return now
        if self.forced is not None:
            if self.forced is ForcedBy.OPEN:
                raise self._rejection(math.inf)
            return now
        if self._state is _HALF_OPEN and self._probe is not None:
            ends = self._probe + self._lease
            if now < ends:
                raise self._rejection(ends - now)
            self.counters.lost += 1
            # The wait counts from the end of the lease, however long nobody called.
            self._open(ends, "the probe did not return")
            return self._admit()
        if self._state is _OPEN:
            if now < self._retry_at:
                raise self._rejection(self._retry_at - now)
            generation = self._generation + 1
            self._go(BreakerState.HALF_OPEN, now, "the recovery time has passed", probe=now)
            if generation != self._generation:
                return self._admit()  # a listener has changed it meanwhile
        self._probe = now
        return now

    def _rejection(self, retry_after: float) -> CircuitOpenError:
        self.counters.rejected += 1
        return CircuitOpenError(self.name, retry_after)

    async def call(self, func: Callable[..., Awaitable[T] | T], *args: Any, **kwargs: Any) -> T:
        """The result of ``func``, a coroutine function or a plain one, if the breaker lets it through.

        Raises what ``func`` raises, or ``CircuitOpenError``.
        """
        started = self.clock() if self._state is _CLOSED else self._admit()
        generation = self._generation
        try:
            result: Any = func(*args, **kwargs) if args or kwargs else func()
            if isinstance(result, CoroutineType) or inspect.isawaitable(result):
                result = await result
        except Exception as error:
            self._failure(generation, started, error)
            raise
        except BaseException:
            self._cancelled(generation)
            raise
        now = self.clock()
        if (
            generation == self._generation
            and self._state is _CLOSED
            and now - started < self.slow_after
            and not self._failures
        ):
            # What nearly every call comes to, here to spare it a further frame.
            self.counters.successes += 1
            self._window.calls += 1
        else:
            self._success(generation, started, now)
        return result  # type: ignore[no-any-return]

    def _first_time(self) -> float:
        """The time of the loop that runs now, which is the clock from now on."""
        self.clock = asyncio.get_running_loop().time
        return self.clock()

    # --- outcomes ---------------------------------------------------------------------------

    def _success(self, generation: int, started: float, now: float) -> None:
        if generation != self._generation:
            self.counters.late += 1
            return
        self.counters.successes += 1
        slow = now - started >= self.slow_after
        if slow:
            self.counters.slow += 1
        if self._state is _HALF_OPEN:
            self._go(BreakerState.CLOSED, now, "a probe passed")
            return
        if self._failures:
            self._failures.clear()
        if slow:
            self._window.add(2)
            self._check_rates(now)
        else:
            self._window.calls += 1

    def _failure(self, generation: int, started: float, error: BaseException) -> None:
        if not self.is_failure(error):
            self.counters.ignored += 1
            self._give_back(generation)
            return
        text = told(error)
        self.errors.add(text, self.clock())
        if generation != self._generation:
            self.counters.late += 1
            return
        now = self.clock()
        self.counters.failures += 1
        self.last_failure = now
        self.last_error = text
        if self._state is BreakerState.HALF_OPEN:
            self._open(now, f"the probe failed: {self.last_error}")
            return
        slow = now - started >= self.slow_after
        if slow:
            self.counters.slow += 1
        self._failures.append(now)
        self._window.add(3 if slow else 1)
        if len(self._failures) == self.failure_threshold and now - self._failures[0] <= self.timeout:
            self._open(now, f"{self.failure_threshold} failures in a row ({self.last_error})")
        else:
            self._check_rates(now)

    def _cancelled(self, generation: int) -> None:
        self.counters.cancelled += 1
        self._give_back(generation)

    def _give_back(self, generation: int) -> None:
        """A probe that told nothing makes way for the next."""
        if generation == self._generation and self._state is BreakerState.HALF_OPEN:
            self._probe = None

    def _check_rates(self, now: float) -> None:
        window = self._window
        if window.filled < self.minimum_calls or self.forced is not None:
            return
        if self._failure_limit is not None and window.failed >= self._failure_limit * window.filled:
            self._open(now, f"{window.failed} of the last {window.filled} calls failed")
        elif self._slow_limit is not None and window.slow >= self._slow_limit * window.filled:
            self._open(now, f"{window.slow} of the last {window.filled} calls were slow")

    # --- changes ----------------------------------------------------------------------------

    def _open(self, now: float, reason: str, by: str | None = None) -> None:
        if self.forced is ForcedBy.CLOSED:
            return
        self._retry_at = now + self.recovery_timeout
        self._go(BreakerState.OPEN, now, reason, by)

    def _go(
        self,
        to: BreakerState,
        now: float,
        reason: str,
        by: str | None = None,
        probe: float | None = None,
    ) -> None:
        change = BreakerChange(self._state, to, now, reason, by)
        self._state = to
        self._generation += 1
        self._probe = probe
        if to is not BreakerState.HALF_OPEN:
            self._window.clear()
        if to is BreakerState.CLOSED:
            self._failures.clear()
        if to is not change.from_state:
            self.counters.entered(to)
        self.listeners.tell(self, change)

    def force_open(self, by: str, reason: str) -> None:
        """Let nothing through until a person says otherwise."""
        self._force(ForcedBy.OPEN, by, reason)
        self._go(BreakerState.OPEN, self.clock(), reason or "held open", by)

    def force_close(self, by: str, reason: str) -> None:
        """Let everything through until a person says otherwise; outcomes are counted only."""
        self._force(ForcedBy.CLOSED, by, reason)
        self._go(BreakerState.CLOSED, self.clock(), reason or "held closed", by)

    def reset(self, by: str, reason: str = "") -> None:
        """Close, forget the failures, and work by itself again."""
        self.forced, self.forced_by, self.forced_reason = None, None, ""
        self._go(BreakerState.CLOSED, self.clock(), reason or "reset", by)

    def half_open(self, by: str, reason: str = "") -> None:
        """Let the next call try now, whatever is left of the wait."""
        if self._state is BreakerState.OPEN and self.forced is None:
            self._go(BreakerState.HALF_OPEN, self.clock(), reason or "recovery begins", by)

    def _force(self, forced: ForcedBy, by: str, reason: str) -> None:
        self.forced, self.forced_by, self.forced_reason = forced, by, reason

    # --- restarts ---------------------------------------------------------------------------

    def save(self, wall: float) -> SavedBreaker:
        """What a restart needs to know, at ``wall`` epoch seconds."""
        remaining = self._retry_at - self.clock() if self._state is BreakerState.OPEN else 0.0
        forced = self.forced.value if self.forced is not None else None
        state = BreakerState.OPEN if self._state is BreakerState.HALF_OPEN else self._state
        return SavedBreaker(
            state.value, max(0.0, remaining), wall, forced, self.forced_by, self.forced_reason
        )

    def restore(self, saved: SavedBreaker, wall: float) -> None:
        """Take up a saved state. The wait that is left is clamped to what it can be at most, so no
        clock can keep the breaker open."""
        self.forced = ForcedBy(saved.forced) if saved.forced else None
        self.forced_by, self.forced_reason = saved.by, saved.reason
        if saved.state == BreakerState.OPEN.value or self.forced is ForcedBy.OPEN:
            left = saved.remaining - max(0.0, wall - saved.saved_at)
            self._state = BreakerState.OPEN
            self._generation += 1
            self._retry_at = self.clock() + min(max(0.0, left), self.recovery_timeout)
