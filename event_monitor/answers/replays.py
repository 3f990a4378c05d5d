"""What the commands and queries about replays and recorded spans answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from event_monitor import messages as m
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.histogram import count_events, recorded_span
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.bus.replay.results import Result
from event_monitor.clock import parse_time, to_iso
from event_monitor.errors import InvalidRequest
from event_monitor.model import DeliveryState, Status
from event_monitor.redaction import redact
from event_monitor.replies import replays as r
from event_monitor.subscriptions import Subscriptions
from event_monitor.summary import summarise
from event_monitor.topics import TopicPattern

_MAX_BUCKETS = 1_000
_MAX_RESULTS = 100

_SIMPLE_STATES = {Status.PENDING: DeliveryState.QUEUED, Status.EXPIRED: DeliveryState.EXPIRED}

SIDE_EFFECTS = dict.fromkeys(
    ("alert", "notification", "recovery", "kill-switch", "cleanup"), "it acts on people or machines"
)
_RUNS_A_COMMAND = "it runs a command"
# What a person is told before one of them is named.
_EFFECTS = {
    "alert": "raises each alert again: bell, banner and toast",
    "notification": "sends each desktop or tmux message again",
    "recovery": "restarts or probes the services that the events name",
    "kill-switch": "stops dispatch of all but CRITICAL events and opens breakers until a person resumes",
    "cleanup": "deletes what is past the retention: events, logs, backups where the settings say so",
}
_RUNS_ITS_COMMAND = "runs its command once for each event"


def unwanted_targets(subscriptions: Subscriptions) -> Mapping[str, str]:
    """The targets that a replay leaves out unless they are named, each with the reason: those with side
    effects on people or machines, and subscriptions that run commands, of which nobody knows."""
    commands = (info.name for info in subscriptions.all() if info.handler.startswith("exec:"))
    return SIDE_EFFECTS | dict.fromkeys(commands, _RUNS_A_COMMAND)


class ReplayAnswers:
    """Answers messages with a desk of replays and the bus's history."""

    def __init__(self, desk: ReplayDesk, bus: EventBus, subscriptions: Subscriptions) -> None:
        self._desk = desk
        self._bus = bus
        self._subscriptions = subscriptions
        self.handlers: dict[type[m.Message], Callable[[Any], Awaitable[Any]]] = {
            m.PlanReplay: desk.plan,
            m.StartReplay: desk.begin,
            m.ControlReplay: desk.control,
            m.QueryReplays: self._replays,
            m.QueryReplayed: self._replayed,
            m.QueryReplayTargets: self._targets,
            m.GetHistogram: self._histogram,
        }

    async def _replays(self, message: m.QueryReplays) -> r.Replays:
        if message.replay_id is not None:
            return r.Replays(replays=[self._desk.report(message.replay_id)])
        return r.Replays(replays=self._desk.reports())

    async def _replayed(self, message: m.QueryReplayed) -> r.ReplayedEvents:
        if not 1 <= message.limit <= _MAX_RESULTS:
            raise InvalidRequest(f"{message.limit} events cannot be shown", f"choose 1 to {_MAX_RESULTS}")
        results = await self._desk.results(message.replay_id, message.limit)
        mask = self._bus.settings.mask
        return r.ReplayedEvents(
            replay_id=message.replay_id, events=[_replayed_event(result, mask) for result in results]
        )

    async def _targets(self, message: m.QueryReplayTargets) -> r.ReplayTargets:
        unwanted = unwanted_targets(self._subscriptions)
        patterns = {info.name: info.pattern for info in self._subscriptions.all()}
        return r.ReplayTargets(
            targets=[
                r.ReplayTargetInfo(
                    name=name,
                    effect=_EFFECTS.get(name, _RUNS_ITS_COMMAND) if name in unwanted else "",
                    why=unwanted.get(name, ""),
                    pattern=patterns.get(name),
                )
                for name in self._bus.dispatcher.lanes
            ]
        )

    async def _histogram(self, message: m.GetHistogram) -> r.Histogram:
        if not 1 <= message.buckets <= _MAX_BUCKETS:
            raise InvalidRequest(f"{message.buckets} buckets cannot be shown", f"choose 1 to {_MAX_BUCKETS}")
        pattern = TopicPattern(message.type) if message.type else None
        store, now = self._bus.store, self._bus.clock.wall()
        await store.catch_up()
        recorded = await recorded_span(store) or (now, now)
        since = parse_time(message.since, now) if message.since else recorded[0]
        until = parse_time(message.until, now) if message.until else max(now, recorded[1] + 1e-3)
        if since > until:
            raise InvalidRequest("the span ends before it begins", "give since an earlier time than until")
        counts = await count_events(store, since, until, message.buckets, pattern)
        return r.Histogram(
            since=to_iso(since),
            until=to_iso(until),
            seconds=(until - since) / message.buckets,
            total=sum(counts),
            counts=counts,
        )


def _replayed_event(result: Result, mask: tuple[str, ...]) -> r.ReplayedEvent:
    event = result.event
    simple = _SIMPLE_STATES.get(event.status, DeliveryState.DELIVERED)
    outcomes = dict.fromkeys(result.targets, simple)
    error = ""
    for delivery in result.deliveries:
        outcomes[delivery.target] = delivery.state
        if delivery.errors:
            error = delivery.errors[-1].error
    return r.ReplayedEvent(
        id=event.id,
        replay_of=event.replay_of or 0,
        event_type=event.event_type,
        summary=summarise(event.event_type, redact(event.payload, mask)),
        replayed_at=event.timestamp,
        recorded_at=result.recorded_at,
        status=event.status,
        outcomes=tuple(outcomes.items()),
        error=error,
    )
