"""The reckoning: what the publishers were promised, what the handlers did, and what the store says of it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from event_monitor.chaos.notes import Handling, handlings, percentiles
from event_monitor.clock import from_iso
from tests.soak import handlers
from tests.soak.publisher import TTL, Entry, read_ledger
from tests.soak.world import Life

# How much after its time a delivery may begin on a machine that is busy with other things.
LATE = 10.0
SHOWN = 5
NEVER = ("A deadlock was broken", "does not move", "could not be saved", "store is damaged", "cannot be read")
"""Alerts, by a part of their title, for which no fault of the soak is a reason."""
STALL = "The bus stood still"
UNHANDLED = (
    "Task exception was never retrieved",
    "Exception in callback",
    "Unhandled exception",
    "Traceback",
)


@dataclass
class Account:
    """What came out. ``broken`` says which invariants do not hold; the rest are figures."""

    broken: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    alerts: Counter[str] = field(default_factory=Counter)
    latency: dict[str, dict[str, float]] = field(default_factory=dict)

    def expect(self, what: str, wrong: Iterable[Any]) -> None:
        """Nothing of ``wrong`` may be there."""
        found = list(wrong)
        if found:
            self.broken.append(f"{what}: {len(found)}, such as {', '.join(map(str, found[:SHOWN]))}")


@dataclass(frozen=True)
class Row:
    """One event of the store. ``targets`` is where its routing led."""

    id: int
    event_type: str
    status: str
    queued: bool
    targets: tuple[str, ...]
    name: str | None
    replay_of: int | None
    expires_at: str | None


class Books:
    """The store's file, read as anybody could."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            (self.verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            routes = {
                number: tuple(json.loads(targets))
                for number, targets in connection.execute("SELECT id, targets FROM routes")
            }
            self.rows = [
                Row(number, kind, status, queued is not None, routes.get(route, ()), name, replay_of, expires)
                for number, kind, status, queued, route, name, replay_of, expires in connection.execute(
                    "SELECT id, event_type, status, queued, route, payload ->> '$.name', replay_of, "
                    "expires_at FROM events"
                )
            ]
            self.deliveries = {
                (number, target): state
                for number, target, state in connection.execute(
                    "SELECT event_id, target, state FROM deliveries"
                )
            }
            self.counters = dict(connection.execute("SELECT name, value FROM counters"))
            self.alerts = Counter(
                dict(connection.execute("SELECT title, SUM(count) FROM alerts GROUP BY title"))
            )
            self.replays = connection.execute(
                "SELECT id, state, replayed, skipped, plan ->> '$.events', plan ->> '$.excluded' FROM replays"
            ).fetchall()
            self.replayed_twice = connection.execute(
                "SELECT key FROM events WHERE key LIKE 'replay:%' GROUP BY key HAVING COUNT(*) > 1"
            ).fetchall()


def reckon(directory: Path, ledgers: Sequence[Path], lives: Sequence[Life], errors: str) -> Account:
    """Hold all notes against each other. The bus must have ended."""
    account = Account()
    books = Books(directory / "home" / "event-bus" / "events.db")
    entries = [entry for ledger in ledgers for entry in read_ledger(ledger)]
    notes = {target: handlings(directory, target) for target in (*handlers.SUBSCRIPTIONS, "tool")}
    logged = Counter(logged_ids(directory / "home" / "event-bus" / "logs"))
    _conservation(account, books)
    _promises(account, books, entries)
    _deliveries(account, books, notes, set(logged))
    _once(account, notes)
    _not_late(account, books, notes, lives)
    _replays(account, books)
    account.alerts = books.alerts
    account.expect(
        "alerts for which there is no reason", [t for t in books.alerts if any(n in t for n in NEVER)]
    )
    account.expect("unhandled errors", [line for line in errors.splitlines() if line.startswith(UNHANDLED)])
    account.expect("files set aside", directory.glob("home/**/*damaged*"))
    account.figures |= _figures(books, entries, logged)
    account.figures |= {
        name: sum(count for title, count in books.alerts.items() if part in title)
        for name, part in (("deadlocks", NEVER[0]), ("standstills", NEVER[1]), ("stalls_found", STALL))
    }
    return account


def _conservation(account: Account, books: Books) -> None:
    found = Counter(row.status for row in books.rows if row.status != "pending")
    counted = {name: count for name, count in books.counters.items() if name != "accepted" and count}
    account.expect("the store's file is not whole", [books.verdict] if books.verdict != "ok" else [])
    account.expect(
        "events still queued", [row.id for row in books.rows if row.queued or row.status == "pending"]
    )
    account.expect(
        "counters that differ from the rows",
        [
            f"{name} {counted.get(name, 0)} != {found[name]}"
            for name in counted | found
            if counted.get(name, 0) != found[name]
        ],
    )
    if books.counters["accepted"] != len(books.rows):
        account.broken.append(f"{books.counters['accepted']} accepted, {len(books.rows)} rows")


def _promises(account: Account, books: Books, entries: Sequence[Entry]) -> None:
    """Whatever a publisher was told is accepted is there once, and ended in a way that it may."""
    promised = {entry.name for entry in entries}
    originals = [row for row in books.rows if row.replay_of is None and row.name in promised]
    times = Counter(row.name for row in originals)
    by_name = {row.name: row for row in originals}
    account.expect("accepted and lost", [entry.name for entry in entries if entry.name not in by_name])
    account.expect("stored more than once", [name for name, count in times.items() if count > 1])
    kept = [(entry, by_name[entry.name]) for entry in entries if entry.name in by_name]
    account.expect(
        "of another type than was published",
        [entry.name for entry, row in kept if row.event_type != entry.event_type],
    )
    account.expect(
        "sampled though no storm rule is for it",
        [row.id for _, row in kept if row.status == "sampled" and row.event_type != "soak.much"],
    )
    account.expect(
        "expired though it has no time",
        [row.id for _, row in kept if row.status == "expired" and row.event_type != "soak.brief"],
    )


def _deliveries(account: Account, books: Books, notes: dict[str, list[Handling]], logged: set[int]) -> None:
    """A delivery that the store calls done was done; one that was not done is told of."""
    done = {target: {one.delivery for one in found if one.step == "done"} for target, found in notes.items()}
    lost, untold = [], []
    for row in books.rows:
        if row.status == "sampled":
            continue
        for target in row.targets:
            if target in done:
                handled = f"{row.id}:{target}" in done[target]
            elif target == "log":
                handled = row.id in logged
            else:
                continue
            state = books.deliveries.get((row.id, target))
            if handled or state in ("dead", "dropped", "expired"):
                continue
            if row.status == "expired" and state is None:
                continue
            (untold if row.status == "dead" else lost).append(f"{row.id}:{target} ({row.status}, {state})")
    account.expect("called delivered and never handled", lost)
    account.expect("neither handled nor dead", untold)


def _once(account: Account, notes: dict[str, list[Handling]]) -> None:
    """Within one life of the bus nothing is done twice; over a kill it may be."""
    done = [one for found in notes.values() for one in found if one.step == "done"]
    within = Counter((one.pid, one.delivery) for one in done)
    account.expect("done twice by one process", [key for key, count in within.items() if count > 1])
    times = Counter(one.delivery for one in done)
    account.figures["handled_again_after_a_kill"] = sum(count - 1 for count in times.values())
    account.figures["deliveries_handled"] = len(times)
    account.figures["attempts_of_handlers"] = sum(
        one.step == "begin" for found in notes.values() for one in found
    )


def _not_late(
    account: Account, books: Books, notes: dict[str, list[Handling]], lives: Sequence[Life]
) -> None:
    """What has expired is not delivered any more. Time that the process was frozen is not its own."""
    frozen = [span for life in lives for span in life.frozen]
    ends = {f"{row.id}:brief": from_iso(row.expires_at) for row in books.rows if row.expires_at is not None}
    late = [
        (one.at - ends[one.delivery], one)
        for one in notes["brief"]
        if one.step == "begin" and one.delivery in ends
        if not any(begun <= one.at <= ended + 1.0 for begun, ended in frozen)
    ]
    account.expect("handled though expired", [one.delivery for by, one in late if by > LATE])
    account.figures["latest_after_its_ttl_s"] = round(max((by for by, _ in late), default=0.0), 3)
    account.figures["ttl_s"] = TTL


def _replays(account: Account, books: Books) -> None:
    account.expect("replayed more than once by one replay", [key for (key,) in books.replayed_twice])
    known = {row.id for row in books.rows}
    account.expect(
        "replays of nothing",
        [row.id for row in books.rows if row.replay_of is not None and row.replay_of not in known],
    )
    account.expect(
        "replays that did not end", [row[0] for row in books.replays if row[1] in ("running", "paused")]
    )
    whole = [
        (number, replayed, events)
        for number, state, replayed, _, events, _ in books.replays
        if state == "done"
    ]
    account.expect("replays that left something out", [one for one in whole if one[1] != one[2]])
    account.figures["replays"] = len(books.replays)
    account.figures["replayed"] = sum(row.replay_of is not None for row in books.rows)


def _figures(books: Books, entries: Sequence[Entry], logged: Counter[int]) -> dict[str, Any]:
    statuses = Counter(row.status for row in books.rows)
    concluded = sum(statuses.values()) - statuses["sampled"] - statuses["expired"]
    deliveries = Counter(books.deliveries.values())
    return {
        "promised_by_the_ledgers": len(entries),
        "accepted": len(books.rows),
        **{status: statuses[status] for status in ("delivered", "dead", "expired", "sampled")},
        "accounted_for_pct": round(
            100 * (len(books.rows) - statuses["pending"]) / max(1, len(books.rows)), 4
        ),
        "delivered_pct": round(100 * statuses["delivered"] / max(1, concluded), 3),
        "dead_letters_left": deliveries["dead"],
        "dead_letters_dropped": deliveries["dropped"],
        "logged": len(logged),
        "logged_again": sum(logged.values()) - len(logged),
        "by_way": dict(sorted(Counter(entry.way for entry in entries).items())),
    }


def latencies(
    directory: Path, ledgers: Sequence[Path], spans: dict[str, tuple[float, float]]
) -> dict[str, dict[str, float]]:
    """Milliseconds from the publisher's clock to the handler's first beginning, and until the publisher
    had its answer, of what was published within each span (epoch seconds)."""
    first: dict[str, Handling] = {}
    for target in ("orders", "slow", "flaky"):
        for one in handlings(directory, target):
            if one.step == "begin" and one.published:
                first.setdefault(one.delivery, one)
    entries = [
        entry for ledger in ledgers for entry in read_ledger(ledger) if not entry.way.startswith("event-cli")
    ]
    found = {}
    for phase, (begun, ended) in spans.items():
        ways = [one.at - one.published for one in first.values() if begun <= one.published < ended]
        answers = [entry.took for entry in entries if begun <= entry.at < ended]
        found[f"{phase}: to the handler"] = percentiles(ways)
        found[f"{phase}: to the answer"] = percentiles(answers)
    return found


def logged_ids(logs: Path) -> Iterator[int]:
    """The ids in the event log. A kill may cut the last line of a batch short; it is written again."""
    for path in sorted(logs.glob("events.jsonl*")):
        for line in path.read_bytes().split(b"\n"):
            start = line.rfind(b'{"id":')
            if start < 0:
                continue
            try:
                yield int(json.loads(line[start:])["id"])
            except ValueError:
                continue


def slopes(samples: Sequence[Any], figure: str, phase: str) -> float | None:
    """How fast a figure grew in a phase without restarts, a minute, by the median of pairwise slopes
    (Theil and Sen), which a single spike does not move."""
    chosen = [one for one in samples if one.phase == phase]
    if len(chosen) < 4 or len({one.life for one in chosen}) > 1:
        return None
    half = len(chosen) // 2
    rates = sorted(
        (getattr(b, figure) - getattr(a, figure)) / (b.at - a.at) * 60
        for a, b in zip(chosen[:half], chosen[-half:], strict=True)
    )
    return round(rates[len(rates) // 2], 3)
