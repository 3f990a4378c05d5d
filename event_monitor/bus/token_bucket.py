"""A token bucket that is told the time, so that it costs no timer and can be tested in none."""

from __future__ import annotations

# What sums of fractions may lack of a whole token.
_ROUNDING = 1e-6


class TokenBucket:
    """``rate`` tokens a second, at most ``burst`` at once; full at first. Times are seconds of one clock."""

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take a token, if one is there."""
        self._fill(now)
        if self._tokens < 1 - _ROUNDING:
            return False
        self._tokens -= 1
        return True

    def reserve(self, now: float, longest: float) -> float | None:
        """Take a token that may still have to come: the seconds until it is there, 0 for one that is
        there. Takes none and answers ``None`` if that is more than ``longest`` away."""
        wait = self.wait(now)
        if wait > longest:
            return None
        self._tokens -= 1
        return wait

    def give_back(self) -> None:
        """A reserved token was not used."""
        self._tokens = min(self.burst, self._tokens + 1)

    def wait(self, now: float) -> float:
        """Seconds until the next token that nobody has reserved."""
        self._fill(now)
        return max(0.0, (1 - self._tokens) / self.rate)

    def full(self, now: float) -> bool:
        """Whether it is as good as new."""
        self._fill(now)
        return self._tokens >= self.burst

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
