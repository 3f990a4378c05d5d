"""What the model of the queue knows beforehand, and what the database says of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from event_monitor.model import DeliveryState
from tests.bus.helpers import rows

TARGETS = ("a", "b")
# Where an event of each type goes. The last one is sampled.
TYPES = {"to.a": ("a",), "to.b": ("b",), "to.both": ("a", "b"), "much.a": ("a",)}
# The target that acts on the world: a replay leaves it out unless it is named.
ACTS = "b"

Owed = tuple[int, str]


def replay_targets(event_type: str, named: Collection[str]) -> tuple[str, ...]:
    """Where a replayed event of a type goes."""
    return tuple(t for t in TYPES[event_type] if (t in named if named else t != ACTS))


def job_of(key: str | None) -> int:
    """The number of the replay that has published an event under this key; 0 for a key of another kind."""
    mark, _, number = (key or "").partition("replay:")
    return int(number.partition(".")[0]) if number and not mark else 0


class Books:
    """What the database says, read as anybody could."""

    def __init__(self, path: Path) -> None:
        self.events = {
            row[0]: row[1:]
            for row in rows(
                path,
                "SELECT id, status, queued, priority, event_type, expires_at, timestamp, replay_of, key "
                "FROM events",
            )
        }
        self.named = {
            number: tuple(json.loads(request).get("targets") or ())
            for number, request in rows(path, "SELECT id, request FROM replays")
        }
        self.deliveries = {
            (event_id, target): (state, attempts)
            for event_id, target, state, attempts in rows(
                path, "SELECT event_id, target, state, attempts FROM deliveries"
            )
        }
        self.counters = Counter(dict(rows(path, "SELECT name, value FROM counters")))

    def status(self, event_id: int) -> str:
        return str(self.events[event_id][0])

    def queued(self, event_id: int) -> bool:
        return self.events[event_id][1] is not None

    def targets(self, event_id: int) -> tuple[str, ...]:
        event_type, replay_of, key = (self.events[event_id][place] for place in (3, 6, 7))
        return (
            TYPES[event_type]
            if replay_of is None
            else replay_targets(event_type, self.named.get(job_of(key), ()))
        )

    def owed(self) -> set[Owed]:
        """What a bus that starts with this file has to deliver."""
        owed = {key for key, (state, _) in self.deliveries.items() if state in ("queued", "retrying")}
        for event_id in filter(self.queued, self.events):
            owed |= {(event_id, t) for t in self.targets(event_id) if (event_id, t) not in self.deliveries}
        return owed

    def states(self, state: DeliveryState) -> set[Owed]:
        return {key for key, (found, _) in self.deliveries.items() if found == state.value}
