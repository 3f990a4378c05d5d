"""Live figures without scans: events per second and latency percentiles over a sliding window."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from event_monitor.model import Latency

SECONDS = 120
_LATENCY_SECONDS = 60
# Upper bounds of the buckets in seconds: 10 us to 2.6 hours, 12 % apart.
_BOUNDS = tuple(1e-5 * 1.12**step for step in range(182))


class RateMeter:
    """Counts per second over the last two minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts = [0] * SECONDS
        self._second = int(clock())
        self._since = self._second

    def add(self, count: int = 1) -> None:
        """``count`` events happened now."""
        self._advance()
        self._counts[self._second % SECONDS] += count

    def _advance(self) -> None:
        now = int(self._clock())
        if now > self._second:
            for second in range(max(self._second + 1, now - SECONDS + 1), now + 1):
                self._counts[second % SECONDS] = 0
            self._second = now

    def series(self) -> tuple[int, ...]:
        """One count a second for the last complete seconds, the newest last."""
        self._advance()
        known = min(SECONDS - 1, self._second - self._since)
        return tuple(self._counts[(self._second - back) % SECONDS] for back in range(known, 0, -1))

    def per_second(self, over: int = 5) -> float:
        """The mean of the last ``over`` complete seconds."""
        recent = self.series()[-over:]
        return sum(recent) / len(recent) if recent else 0.0


class LatencyMeter:
    """Percentiles of the last minute, to within 12 %."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: list[dict[int, int]] = [{} for _ in range(_LATENCY_SECONDS)]
        self._second = int(clock())
        self._now = self._buckets[self._second % _LATENCY_SECONDS]

    def add(self, seconds: float, count: int = 1) -> None:
        """``count`` events took this long."""
        self._advance()
        bucket = bisect_left(_BOUNDS, seconds)
        self._now[bucket] = self._now.get(bucket, 0) + count

    def _advance(self) -> None:
        now = int(self._clock())
        if now > self._second:
            for second in range(max(self._second + 1, now - _LATENCY_SECONDS + 1), now + 1):
                self._buckets[second % _LATENCY_SECONDS] = {}
            self._second = now
            self._now = self._buckets[now % _LATENCY_SECONDS]

    def series(self) -> tuple[float, ...]:
        """The p95 in milliseconds of each complete second of the last minute, the newest last; 0 for a
        second in which there was nothing."""
        self._advance()
        seconds = range(self._second - _LATENCY_SECONDS + 1, self._second)
        found = (self._buckets[second % _LATENCY_SECONDS] for second in seconds)
        return tuple(_quantile(sorted(one.items()), sum(one.values()), 0.95) if one else 0.0 for one in found)

    def percentiles(self) -> Latency:
        """p50, p95 and p99 in milliseconds."""
        self._advance()
        total: dict[int, int] = {}
        for buckets in self._buckets:
            for bucket, count in buckets.items():
                total[bucket] = total.get(bucket, 0) + count
        count = sum(total.values())
        if not count:
            return Latency()
        ordered = sorted(total.items())
        return Latency(*(_quantile(ordered, count, share) for share in (0.50, 0.95, 0.99)))


def _quantile(ordered: list[tuple[int, int]], count: int, share: float) -> float:
    seen = 0
    for bucket, number in ordered:
        seen += number
        if seen >= share * count:
            return round(_BOUNDS[min(bucket, len(_BOUNDS) - 1)] * 1_000, 3)
    return round(_BOUNDS[-1] * 1_000, 3)
