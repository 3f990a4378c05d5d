"""The ``learning`` target: finds sequences of commands that recur within sessions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import msgspec
from msgspec import UNSET

from event_monitor.bus.inflight import Pending
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.clock import from_iso, to_iso
from event_monitor.event_types import SOURCE, PatternLearned
from event_monitor.model import Event
from event_monitor.targets.command_steps import steps_of
from event_monitor.targets.publishing import Publish
from event_monitor.targets.sequences import SCHEMA, Learned, Observation, mark_announced, observe, read_due

BATCH = 64
GAP = 1_800.0
IGNORED = ("demo", SOURCE)
_LONGEST_NAME = 255


class LearningTarget:
    """Counts sequences of two to five commands and publishes ``pattern.learned`` when the support of
    one reaches 3, 10, 30, 100 ..., once for each of these, with support, confidence and lift.

    A session is named by ``session_id``, else by the event's correlation; it pauses after ``gap``
    seconds without a command. Events from ``ignored`` sources and replayed ones teach nothing. An
    event that is delivered twice counts once; one that comes after a later one of its session is
    left out.
    """

    def __init__(
        self,
        store: EventStore,
        publish: Publish,
        *,
        gap: float = GAP,
        ignored: Collection[str] = IGNORED,
    ) -> None:
        self._store = store
        self._publish = publish
        self._gap = gap
        self._ignored = frozenset(ignored)
        self._ready = False

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Count a batch and publish what it taught. Raises if one of the two cannot be stored."""
        observations = [
            observation
            for delivery in batch
            if (observation := self._observation(delivery.record.event)) is not None
        ]
        if not observations:
            return
        observations.sort(key=lambda observation: observation.event_id)

        def count(ledger: Ledger) -> list[Learned]:
            if not self._ready:
                for statement in SCHEMA:
                    ledger.connection.execute(statement)
            observe(ledger.connection, observations)
            return read_due(ledger.connection)

        due = await self._store.write(count)
        self._ready = True
        if due:
            correlations = {
                delivery.record.event.id: delivery.record.event.correlation_id for delivery in batch
            }
            for learned in due:
                await self._announce(learned, correlations.get(learned.event_id))
            await self._store.write(lambda ledger: mark_announced(ledger.connection, due))

    def _observation(self, event: Event) -> Observation | None:
        if (
            event.source in self._ignored
            or event.replay_of is not None
            or not event.event_type.startswith("command.")
            or event.event_type == "command.started"
        ):
            return None
        steps = steps_of(event.payload)
        if not steps:
            return None
        fresh_after = to_iso(max(0.0, from_iso(event.timestamp) - self._gap))
        return Observation(event.id, session_of(event), steps, event.timestamp, fresh_after)

    async def _announce(self, learned: Learned, correlation_id: str | None) -> None:
        digest = hashlib.sha256(msgspec.json.encode(learned.sequence)).hexdigest()[:32]
        pattern = describe(learned)
        await self._publish(
            pattern.TYPE,
            pattern.payload(),
            key=f"{SOURCE}:learned:{digest}:{learned.threshold}",
            source=SOURCE,
            correlation_id=correlation_id,
            causation_id=learned.event_id,
        )


def session_of(event: Event) -> str:
    """The session that an event belongs to; those that name none share one."""
    session = event.payload.get("session_id")
    if isinstance(session, str) and session:
        return f"session:{session[:200]}"
    return f"correlation:{event.correlation_id}" if event.correlation_id else ""


def describe(learned: Learned) -> PatternLearned:
    """The event that tells of a pattern."""
    name = " > ".join(learned.sequence)
    return PatternLearned(
        name=name if len(name) <= _LONGEST_NAME else UNSET,
        pattern=list(learned.sequence),
        support=learned.support,
        confidence=round(learned.confidence, 4),
        lift=round(learned.lift, 4),
        threshold=learned.threshold,
        first_at=learned.first_at,
        last_at=learned.last_at,
    )
