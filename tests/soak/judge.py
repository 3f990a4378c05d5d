"""Whether a day went as it should: every transition has its reason in the fault log, every outage was
noticed, nothing stuck, nothing was lost."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from event_monitor.model import SystemState
from event_monitor.resilience.breaker import BreakerState
from tests.soak.day import CALLS, KINDS, Seen

# The longest that one outage may be felt after its end: what is open waits for its time, a probe may
# hang to its limit, and a target is tried again only once its service is.
AFTER = 150.0
# By when an outage must be felt: two readiness checks that hang to their limit, and the way of the state.
NOTICED = 35.0
STEP = 30.0
_S = SystemState
_NAMED = re.compile(r"\b([a-z]+): ")
_STUCK = ("A deadlock", "does not move", "is held too long", "ignores its cancellation", "could not be saved")


def faults_of(seen: Seen, home: Path) -> list[str]:
    """What is wrong with a day, a line each."""
    return [
        *_unexplained(seen),
        *_unnoticed(seen),
        *_stuck(seen),
        *_unwell(seen),
        *_lost(seen, home),
    ]


# --- why -----------------------------------------------------------------------------------


def _felt(seen: Seen, what: str) -> list[tuple[float, float]]:
    """When troubles with ``what`` may show. What comes due in a maintenance shows after it."""
    spans = []
    holds = [one for one in seen.plan if one.what == "maintenance"]
    for trouble in seen.plan:
        if trouble.what != what:
            continue
        end = trouble.ended + AFTER
        for hold in holds:
            if hold.begun <= end and trouble.begun <= hold.ended:
                end = max(end, hold.ended + AFTER)
        spans.append((trouble.begun, end))
    return spans


def _within(spans: list[tuple[float, float]], at: float) -> bool:
    return any(begun <= at <= end for begun, end in spans)


def _unexplained(seen: Seen) -> Iterator[str]:
    felt = {name: _felt(seen, name) for name in KINDS}
    held = [
        (one.begun, max(one.ended, one.begun + 1.0) + 1.0) for one in seen.plan if one.what == "maintenance"
    ]
    starts = [(at, at + 60.0) for at in seen.begins]
    for at, one in seen.states:
        if _S.MAINTENANCE in (one.from_state, one.to_state):
            why = _within(held, at)
        elif one.from_state is _S.INITIALIZING:
            # Begun afresh, by a start or after a maintenance.
            why = _within(starts, at) or _within(held, at)
        else:
            why = any(_within(felt[name], at) for name in _named(one.reason))
        if not why:
            yield f"at {at:.0f}: {one.from_state} → {one.to_state} is not explained: {one.reason}"
    for at, name, change in seen.breakers:
        service = CALLS.get(name.removeprefix("target:"), name)
        if service not in felt or not _within(felt[service], at):
            yield f"at {at:.0f}: breaker {name} → {change.to_state} is not explained: {change.reason}"


def _named(reason: str) -> list[str]:
    """The services that a reason is about."""
    return [CALLS.get(name, name) for name in _NAMED.findall(reason) if CALLS.get(name, name) in KINDS]


def _unnoticed(seen: Seen) -> Iterator[str]:
    for trouble in seen.plan:
        if trouble.how not in ("down", "hang") or trouble.ended - trouble.begun < NOTICED:
            continue
        if any(0 <= trouble.begun + NOTICED - at < 60.0 for at in seen.begins):
            continue  # it has just begun: no verdict is passed yet
        at = trouble.begun + NOTICED
        if _state_at(seen, at) is _S.HEALTHY:
            yield f"at {at:.0f}: HEALTHY although {trouble.what} is {trouble.how} for {NOTICED:.0f} s"


def _stuck(seen: Seen) -> Iterator[str]:
    """Where nothing is wrong and has not been for long, all is well."""
    felt = [span for name in KINDS for span in _felt(seen, name)]
    held = [(one.begun, one.ended + AFTER) for one in seen.plan if one.what == "maintenance"]
    starts = [(at, at + 60.0) for at in seen.begins]
    at = seen.begins[0]
    while at < seen.ended:
        state = _state_at(seen, at)
        if state is not _S.HEALTHY and not _within(felt + held + starts, at):
            yield f"at {at:.0f}: {state} although nothing is wrong"
        at += STEP
    for name in {name for _, name, _ in seen.breakers}:
        changes = [(at, change) for at, one, change in seen.breakers if one == name]
        if changes[-1][1].to_state is not BreakerState.CLOSED:
            yield f"breaker {name} is {changes[-1][1].to_state} at the end"
        for (since, before), (at, after) in pairwise(changes):
            if any(since < begun <= at for begun in seen.begins):
                continue  # a restart gives back a breaker that was trying as an open one
            if before.to_state is not after.from_state:
                yield f"at {at:.0f}: breaker {name} leaves {after.from_state}, and was {before.to_state}"


def _state_at(seen: Seen, at: float) -> SystemState:
    state = _S.INITIALIZING
    times = [(begun, _S.INITIALIZING) for begun in seen.begins]
    times += [(when, one.to_state) for when, one in seen.states]
    for when, to in sorted(times, key=lambda one: one[0]):
        if when > at:
            break
        state = to
    return state


def _unwell(seen: Seen) -> Iterator[str]:
    if seen.healthy_after is None or seen.drained_after is None:
        yield f"not well at the end: {_state_at(seen, seen.ended)}, or something still waits"
    for at, alert in seen.alerts:
        if any(part in alert.title for part in _STUCK):
            yield f"at {at:.0f}: {alert.title}: {alert.detail}"
    yield from (f"event {number} was handled at {at:.0f}, after its time" for number, at in seen.late)


# --- what became of the events -----------------------------------------------------------------


def _lost(seen: Seen, home: Path) -> Iterator[str]:
    with closing(sqlite3.connect(home / "event-bus" / "events.db")) as connection:
        statuses = dict(connection.execute("SELECT id, status FROM events"))
        counters = dict(connection.execute("SELECT name, value FROM counters"))
        states = {
            (number, target): state
            for number, target, state in connection.execute("SELECT event_id, target, state FROM deliveries")
        }
    counted = Counter(statuses.values())
    if counters["accepted"] != len(statuses) or any(
        counted[name] != counters.get(name, 0) for name in ("delivered", "dead", "expired", "sampled")
    ):
        yield f"the counters {counters} are not those of the rows {dict(counted)}"
    if counted["pending"]:
        yield f"{counted['pending']} events are still pending"
    for number, event_type in seen.accepted.items():
        target = event_type.partition(".")[0]
        state = states.get((number, target))
        status = statuses.get(number, "lost")
        if status == "lost":
            yield f"event {number} was accepted and is lost"
        elif seen.done[number, target] > 1:
            yield f"delivery {number}:{target} was done {seen.done[number, target]} times"
        elif status == "delivered" and not seen.done[number, target]:
            yield f"delivery {number}:{target} is called delivered and was never done"
        elif status == "dead" and state != "dead":
            yield f"event {number} is dead, its delivery {state}"
        elif status == "expired" and not event_type.endswith("brief"):
            yield f"event {number} expired and has no time"
