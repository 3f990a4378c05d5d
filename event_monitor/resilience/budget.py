"""The retry budget: retries may add a fifth to a service's calls, and a few a second, no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class BudgetCounters:
    """First attempts, retries that were made, and those that the budget did not allow."""

    attempts: int = 0
    retries: int = 0
    refused: int = 0


class RetryBudget:
    """Within any ``window`` seconds at most ``ratio`` retries for each first attempt, plus
    ``floor`` (after Finagle's retry budgets: a lone call may be retried, a storm may not).

    What counts is a retry that is made, at the moment it is made. So ask twice: ``has_room`` before
    the wait, which spares a wait in vain and charges nothing, and ``try_retry`` after it. A caller
    that is cancelled in between has taken nothing from the others.
    """

    __slots__ = ("_attempts", "_clock", "_floor", "_ratio", "_retries", "_window", "counters")

    def __init__(
        self, clock: Callable[[], float], *, ratio: float = 0.2, floor: int = 10, window: float = 10.0
    ) -> None:
        if not (ratio >= 0 and floor >= 0 and window > 0):
            raise ValueError("ratio and floor must not be negative, window must be positive seconds")
        self._clock = clock
        self._ratio = ratio
        self._floor = floor
        self._window = window
        self._attempts: deque[float] = deque(maxlen=100_000)
        self._retries: deque[float] = deque()
        self.counters = BudgetCounters()

    @property
    def used(self) -> int:
        """Retries within the window."""
        self._forget(self._clock() - self._window)
        return len(self._retries)

    @property
    def allowed(self) -> int:
        """Retries that the window's first attempts allow, the used ones among them."""
        self._forget(self._clock() - self._window)
        return int(self._floor + self._ratio * len(self._attempts))

    def _forget(self, oldest: float) -> None:
        for times in (self._attempts, self._retries):
            while times and times[0] <= oldest:
                times.popleft()

    def attempt(self) -> None:
        """A first attempt was made."""
        now = self._clock()
        attempts = self._attempts
        attempts.append(now)
        while attempts[0] <= now - self._window:
            attempts.popleft()
        self.counters.attempts += 1

    def has_room(self) -> bool:
        """Whether a retry made now would be within the budget; counted as refused if not."""
        self._forget(self._clock() - self._window)
        if len(self._retries) + 1 > self._floor + self._ratio * len(self._attempts):
            self.counters.refused += 1
            return False
        return True

    def try_retry(self) -> bool:
        """Whether one more retry is within the budget; it is then counted as made."""
        if not self.has_room():
            return False
        self._retries.append(self._clock())
        self.counters.retries += 1
        return True
