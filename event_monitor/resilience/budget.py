"""The retry budget: retries may add a fifth to a service's calls, and a few a second, no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class RetryBudget:
    """Within any ``window`` seconds at most ``ratio`` retries for each first attempt, plus
    ``floor`` (after Finagle's retry budgets: a lone call may be retried, a storm may not)."""

    __slots__ = ("_attempts", "_clock", "_floor", "_ratio", "_retries", "_window", "refused")

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
        self.refused = 0

    def attempt(self) -> None:
        """A first attempt was made."""
        now = self._clock()
        attempts = self._attempts
        attempts.append(now)
        while attempts[0] <= now - self._window:
            attempts.popleft()

    def try_retry(self) -> bool:
        """Whether one more retry is within the budget; it is then counted."""
        now = self._clock()
        oldest = now - self._window
        for times in (self._attempts, self._retries):
            while times and times[0] <= oldest:
                times.popleft()
        if len(self._retries) + 1 > self._floor + self._ratio * len(self._attempts):
            self.refused += 1
            return False
        self._retries.append(now)
        return True
