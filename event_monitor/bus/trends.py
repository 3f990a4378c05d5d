"""The last minutes in equal steps: what each service's calls were like, and which event types came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from event_monitor.model import TypeRate

CALL_STEP, CALL_STEPS = 10, 30
"""Seconds in a step of a service's trend, and how many are kept: five minutes."""
TYPE_STEP, TYPE_STEPS = 5, 24
"""The same for the event types: two minutes."""
KEPT_TYPES = 200
"""Names that are counted in one step; those of all further ones are counted together."""
RECENT = 60
"""Seconds over which an event type's rate and share are told."""


class _Steps:
    """A clock in steps: which one is now, and which were passed since it was last asked."""

    def __init__(self, clock: Callable[[], float], seconds: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self.first = self.now = int(clock()) // seconds

    def passed(self, most: int) -> range:
        """The steps that have begun since, ``most`` of them, the running one last."""
        before, self.now = self.now, max(self.now, int(self._clock()) // self._seconds)
        return range(max(before + 1, self.now - most + 1), self.now + 1)

    def complete(self, most: int) -> range:
        """The newest complete steps since the first, at most ``most``."""
        return range(max(self.first, self.now - most), self.now)


@dataclass(slots=True)
class _Calls:
    failures: int = 0
    slowest: float | None = None


class CallTrend:
    """The slowest call and the number of failed ones in each step of the last minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._steps = _Steps(clock, CALL_STEP)
        self._kept = [_Calls() for _ in range(CALL_STEPS + 1)]

    def add(self, seconds: float, *, failed: bool) -> None:
        """A call or probe took so long, and failed or not."""
        self._advance()
        step = self._kept[self._steps.now % len(self._kept)]
        step.failures += failed
        if not failed:
            step.slowest = max(seconds, step.slowest or 0.0)

    def _advance(self) -> None:
        for step in self._steps.passed(len(self._kept)):
            self._kept[step % len(self._kept)] = _Calls()

    def slowest_ms(self) -> tuple[float | None, ...]:
        """Milliseconds of the slowest call that did not fail, step by step, the newest last; ``None``
        where there was none."""
        return tuple(
            None if one.slowest is None else round(one.slowest * 1_000, 1) for one in self._complete()
        )

    def failures(self) -> tuple[int, ...]:
        """How many failed, step by step, the newest last."""
        return tuple(one.failures for one in self._complete())

    def _complete(self) -> list[_Calls]:
        self._advance()
        return [self._kept[step % len(self._kept)] for step in self._steps.complete(CALL_STEPS)]


class TypeMeter:
    """Counts events by their type. However many types there are, it holds few of them: those past
    ``KEPT_TYPES`` in one step are counted together, under the empty name."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._steps = _Steps(clock, TYPE_STEP)
        self._kept: list[Counter[str]] = [Counter() for _ in range(TYPE_STEPS + 1)]

    def add(self, event_types: Iterable[str]) -> None:
        """These events happened now."""
        self._advance()
        counts = self._kept[self._steps.now % len(self._kept)]
        for event_type in event_types:
            if event_type in counts:
                counts[event_type] += 1
            elif len(counts) < KEPT_TYPES:
                counts[event_type] = 1
            else:
                counts[""] += 1

    def _advance(self) -> None:
        for step in self._steps.passed(len(self._kept)):
            self._kept[step % len(self._kept)] = Counter()

    def top(self, limit: int) -> tuple[TypeRate, ...]:
        """The types with the most events of the last two minutes, ordered by the last one; then, under
        the empty name, all others together if there are any."""
        self._advance()
        steps = [self._kept[step % len(self._kept)] for step in self._steps.complete(TYPE_STEPS)]
        if not steps:
            return ()
        recent = steps[-(RECENT // TYPE_STEP) :]
        lately: Counter[str] = Counter()
        for step in recent:
            lately.update(step)
        overall: Counter[str] = Counter()
        for step in steps:
            overall.update(step)
        total = max(1, lately.total())
        named = sorted(
            (name for name in overall if name), key=lambda name: (-lately[name], -overall[name], name)
        )[:limit]
        seconds = len(recent) * TYPE_STEP

        def rate(name: str, count: int, series: tuple[int, ...]) -> TypeRate:
            return TypeRate(
                event_type=name,
                per_second=round(count / seconds, 3),
                share=round(count / total, 4),
                series=series,
            )

        found = [rate(name, lately[name], tuple(step[name] for step in steps)) for name in named]
        rest = tuple(step.total() - sum(step[name] for name in named) for step in steps)
        if any(rest):
            found.append(rate("", sum(rest[-len(recent) :]), rest))
        return tuple(found)
