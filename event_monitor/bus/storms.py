"""Storm rules: how much of a topic pattern each source may publish, and what becomes of the rest.

A source is judged under the first rule whose pattern matches, by a token bucket of its own, so that
a flood of one takes nothing from another. Every verdict is counted by rule and source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from event_monitor.bus.token_bucket import TokenBucket
from event_monitor.bus.turns import MAX_NAMED, OTHERS
from event_monitor.clock import Clock
from event_monitor.config import StormRule
from event_monitor.errors import RateLimited
from event_monitor.replies.general import StormCount
from event_monitor.topics import TopicPattern

# A storm is over once nothing has been over the limit for so many seconds.
QUIET = 10.0
_KNOWN_TYPES = 4_096
_SWEEP_INTERVAL = 1.0


class Tally:
    """One source under one rule: its bucket and what became of its events. ``seen`` counts those
    that were judged, ``over`` those of them that found no token: they were kept all the same (1 in
    ``keep``), sampled out, delayed or refused."""

    __slots__ = (
        "bucket",
        "delayed",
        "kept",
        "over",
        "over_before",
        "refused",
        "sampled",
        "seen",
        "seen_before",
    )

    def __init__(self, bucket: TokenBucket) -> None:
        self.bucket = bucket
        self.seen = self.over = 0
        self.seen_before = self.over_before = 0
        self.kept = self.sampled = self.delayed = self.refused = 0


class Verdict(NamedTuple):
    """What becomes of an event that is judged: it may go on in ``wait`` seconds, and is only stored
    if ``sampled_by`` is set."""

    wait: float = 0.0
    sampled_by: Tally | None = None
    reserved: TokenBucket | None = None


GO_ON = Verdict()


@dataclass(frozen=True, slots=True)
class StormChange:
    """A storm has begun or is over. ``source`` is the loudest one (``None``: events that name no
    source) and ``rate`` how many events a second it published, at the beginning or at its peak.
    ``over`` counts the events over the limit by source."""

    began: bool
    pattern: str
    rule: StormRule
    source: str | None
    rate: float
    seconds: float
    over: Mapping[str | None, int]


@dataclass(slots=True)
class _Storm:
    began_at: float
    last_over: float
    source: str | None
    peak: float
    over: dict[str | None, int] = field(default_factory=dict)


class _Rule:
    """One rule with the tallies of its sources."""

    def __init__(self, pattern: str, rule: StormRule, clock: Clock) -> None:
        self.pattern = TopicPattern(pattern)
        self.rule = rule
        self.sources: dict[str | None, Tally] = {}
        self.storm: _Storm | None = None
        self.reviewed_at = clock.monotonic()
        self._clock = clock
        self._burst = rule.burst if rule.burst is not None else max(1.0, rule.rate)
        self._swept_at = float("-inf")

    def judge(self, source: str | None, patience: float) -> Verdict:
        """Take a token, or say what becomes of an event without one; ``patience`` is how many seconds
        its publisher would wait. Raises ``RateLimited``."""
        now = self._clock.monotonic()
        tally = self.sources.get(source) or self._new_source(source, now)
        tally.seen += 1
        if tally.bucket.take(now):
            return GO_ON
        tally.over += 1
        rule = self.rule
        if rule.action == "sample":
            if not rule.keep or tally.over % rule.keep:
                return Verdict(sampled_by=tally)
            tally.kept += 1
            return GO_ON
        if rule.action == "delay":
            wait = tally.bucket.reserve(now, min(rule.max_wait, patience))
            if wait is not None:
                tally.delayed += 1
                return Verdict(wait, reserved=tally.bucket)
        tally.refused += 1
        raise RateLimited(
            f"more than {rule.rate:g} events a second of {self.pattern} from {source or 'no named source'}",
            "publish more slowly, or change the rule under storm: in event-monitor.yaml",
            round(tally.bucket.wait(now), 3),
        )

    def _new_source(self, source: str | None, now: float) -> Tally:
        if len(self.sources) >= MAX_NAMED and now - self._swept_at >= _SWEEP_INTERVAL:
            self._swept_at = now
            self.sources = {
                name: tally
                for name, tally in self.sources.items()
                if tally.over or not tally.bucket.full(now)
            }
        if len(self.sources) >= MAX_NAMED:
            source = OTHERS
        tally = self.sources.get(source)
        if tally is None:
            tally = self.sources[source] = Tally(TokenBucket(self.rule.rate, self._burst, now))
        return tally

    def review(self) -> StormChange | None:
        """Whether a storm has begun or ended since the last review."""
        now = self._clock.monotonic()
        seconds = max(1e-3, now - self.reviewed_at)
        self.reviewed_at = now
        over: dict[str | None, int] = {}
        loudest: str | None = None
        highest = 0.0
        for source, tally in self.sources.items():
            if tally.over > tally.over_before:
                over[source] = tally.over - tally.over_before
                rate = (tally.seen - tally.seen_before) / seconds
                if rate > highest:
                    loudest, highest = source, rate
            tally.seen_before, tally.over_before = tally.seen, tally.over
        storm = self.storm
        began = storm is None and bool(over)
        if began:
            storm = self.storm = _Storm(now, now, loudest, highest)
        if storm is None:
            return None
        if over:
            storm.last_over = now
            if highest > storm.peak:
                storm.source, storm.peak = loudest, highest
            for source, count in over.items():
                storm.over[source] = storm.over.get(source, 0) + count
        ended = now - storm.last_over >= QUIET
        if ended:
            self.storm = None
        elif not began:
            return None
        lasted = storm.last_over - storm.began_at
        return StormChange(
            began, str(self.pattern), self.rule, storm.source, round(storm.peak, 1), lasted, dict(storm.over)
        )


class Storms:
    """All storm rules, the first that matches counting. ``free`` are event types that are known to be
    none of theirs. ``on_change`` hears from ``review``, which is
    to be called about once a second, of storms that began or ended."""

    def __init__(self, rules: Mapping[str, StormRule], clock: Clock) -> None:
        self._rules = [_Rule(pattern, rule, clock) for pattern, rule in rules.items()]
        self.free: set[str] = set()
        self._rule_of: dict[str, _Rule] = {}
        self.on_change: Callable[[StormChange], None] = lambda change: None

    def concern(self, event_type: str) -> bool:
        """Whether a rule speaks of this event type."""
        return self._find(event_type) is not None

    def judge(self, event_type: str, source: str | None, patience: float) -> Verdict:
        """What becomes of an event whose publisher would wait for ``patience`` seconds. Raises
        ``RateLimited``."""
        rule = self._find(event_type)
        return GO_ON if rule is None else rule.judge(source, patience)

    def _find(self, event_type: str) -> _Rule | None:
        if event_type in self.free:
            return None
        found = self._rule_of.get(event_type)
        if found is None:
            found = next((rule for rule in self._rules if rule.pattern.matches(event_type)), None)
            if len(self.free) + len(self._rule_of) >= _KNOWN_TYPES:
                return found
            if found is None:
                self.free.add(event_type)
            else:
                self._rule_of[event_type] = found
        return found

    def review(self) -> None:
        """Tell which storms began or ended since the last review."""
        for rule in self._rules:
            change = rule.review()
            if change is not None:
                self.on_change(change)

    def counts(self) -> Iterable[StormCount]:
        """What became of the events over a limit since the start, by rule and source."""
        for rule in self._rules:
            for source, tally in rule.sources.items():
                if tally.over:
                    yield StormCount(
                        pattern=str(rule.pattern),
                        source=source,
                        action=rule.rule.action,
                        over=tally.over,
                        kept=tally.kept,
                        sampled=tally.sampled,
                        delayed=tally.delayed,
                        refused=tally.refused,
                    )
