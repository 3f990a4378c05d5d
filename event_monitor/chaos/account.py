"""The reckoning of a scenario: what the publisher was told, what handlers did, what the store says of it."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from event_monitor.bus.store_check import find_problems
from event_monitor.chaos.handlers import SUBSCRIPTIONS
from event_monitor.chaos.notes import Handling, handlings, percentiles
from event_monitor.chaos.publisher import Accepted
from event_monitor.chaos.results import Account, Latency, Sample

_SHOWN = 3
_SETTLED_OTHERWISE = ("dead", "expired", "sampled")


@dataclass(frozen=True, slots=True)
class Books:
    """All that is known once the bus has ended: what was accepted, what handlers have done, and what the
    store says of each idempotency key and finds wrong with itself."""

    accepted: Sequence[Accepted]
    done: Sequence[Handling]
    statuses: dict[str, str]
    problems: tuple[str, ...]


def read_books(directory: Path, database: Path, accepted: Iterable[Accepted]) -> Books:
    """Read the handlers' notes and the store. The bus must have ended."""
    done = [one for target in SUBSCRIPTIONS for one in handlings(directory, target) if one.step == "done"]
    with closing(
        sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, isolation_level=None)
    ) as connection:
        statuses = dict(connection.execute("SELECT key, status FROM events WHERE key IS NOT NULL"))
        problems = tuple(find_problems(connection, lambda moved, total: None))
    return Books(tuple(accepted), done, statuses, problems)


def account_of(books: Books, refused: int) -> tuple[Account, list[str]]:
    """Where each accepted event is, and what is wrong with that."""
    times = Counter(one.name for one in books.done)
    found: Counter[str] = Counter()
    lost: dict[str, list[str]] = defaultdict(list)
    for one in books.accepted:
        status = books.statuses.get(one.name)
        if times[one.name]:
            found["delivered"] += 1
        elif status in _SETTLED_OTHERWISE:
            found[status] += 1
        else:
            lost[_why(status)].append(one.name)
    failures = [
        f"{len(names)} accepted and {why}, such as {', '.join(names[:_SHOWN])}" for why, names in lost.items()
    ]
    failures += [f"the store: {problem}" for problem in books.problems[:_SHOWN]]
    account = Account(
        accepted=len(books.accepted),
        delivered=found["delivered"],
        dead=found["dead"],
        expired=found["expired"],
        sampled=found["sampled"],
        lost=sum(map(len, lost.values())),
        again=sum(times[one.name] > 1 for one in books.accepted),
        refused=refused,
    )
    return account, failures


def _why(status: str | None) -> str:
    if status is None:
        return "nowhere to be found"
    return "still pending" if status == "pending" else f"called {status} and never handled"


def latency_of(books: Books, troubled: Sequence[tuple[float, float]]) -> Latency:
    """From publish to handled. Steady is what was on its way wholly outside the ``troubled`` spans (epoch
    seconds), each from a fault's begin until all was settled again."""
    first: dict[str, Handling] = {}
    for one in books.done:
        first.setdefault(one.name, one)
    every = [max(0.0, one.at - one.published) for one in first.values()]
    steady = [
        max(0.0, one.at - one.published)
        for one in first.values()
        if not any(begun <= one.at and one.published <= ended for begun, ended in troubled)
    ]
    all_of, calm = percentiles(every), percentiles(steady)
    return Latency(
        steady_p50=calm.get("p50_ms"),
        steady_p95=calm.get("p95_ms"),
        steady_p99=calm.get("p99_ms"),
        all_p95=all_of.get("p95_ms"),
        all_max=all_of.get("max_ms"),
    )


def samples_of(books: Books, depths: dict[int, int], begun: float, seconds: float) -> tuple[Sample, ...]:
    """One sample for each whole second since ``begun`` (epoch seconds)."""
    published = Counter(int(one.at - begun) for one in books.accepted)
    handled: dict[int, list[float]] = defaultdict(list)
    for one in books.done:
        handled[int(one.at - begun)].append(max(0.0, one.at - one.published))
    return tuple(
        Sample(
            at=float(second),
            published=published[second],
            handled=len(handled[second]),
            queue_depth=depths.get(second),
            latency_p95=_p95(handled[second]),
        )
        for second in range(int(seconds) + 1)
    )


def _p95(seconds: list[float]) -> float | None:
    if len(seconds) == 1:
        return round(1_000 * seconds[0], 2)
    return percentiles(seconds).get("p95_ms")
