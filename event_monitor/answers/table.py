"""What each command and query answers: the one table behind ``Runtime.handle``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from event_monitor import messages as m
from event_monitor.breakers import BreakerDesk
from event_monitor.bus import history
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.receipt import Receipt
from event_monitor.bus.rules import compile_filter, compile_regex
from event_monitor.bus.storms import GO_ON
from event_monitor.bus.streams import EventStream
from event_monitor.clock import parse_time
from event_monitor.control.hooks import translate
from event_monitor.errors import EventMonitorError, InvalidRequest, NotFound
from event_monitor.grammar.decode import publish_from_line, publish_from_text
from event_monitor.kill_switch import KillSwitch
from event_monitor.model import Delivery, DeliveryState, Event, Snapshot, Status
from event_monitor.replies import general as r
from event_monitor.services.guard import ServiceGuard
from event_monitor.services.registry import ServiceRegistry
from event_monitor.subscriptions import Subscriptions
from event_monitor.system.alerts import AlertBook
from event_monitor.system.driver import StateDriver
from event_monitor.system.state_machine import StateMachine
from event_monitor.targets.analytics import AnalyticsTarget
from event_monitor.topics import TopicPattern
from event_monitor.validation import check_event_type

_MAX_LIMIT = 1_000
_PERSON = "a person"
# How long one request of many events may be held back; its client waits longer for the answer.
_PATIENCE = 5.0

Outcome = Receipt | EventMonitorError


class Overview(Protocol):
    """Who takes the dashboard's picture."""

    def snapshot(self, feed_revision: int) -> Snapshot: ...

    def stats(self) -> r.Stats: ...

    def pong(self) -> r.Pong: ...


class Answers:
    """Answers messages with the parts that it is given; ``others`` are answered elsewhere."""

    def __init__(
        self,
        bus: EventBus,
        *,
        alerts: AlertBook,
        machine: StateMachine,
        subscriptions: Subscriptions,
        analytics: AnalyticsTarget,
        overview: Overview,
        reload_rules: Callable[[], Awaitable[str]],
        breakers: BreakerDesk,
        driver: StateDriver,
        services: ServiceRegistry,
        switch: KillSwitch,
        others: Mapping[type[m.Message], Callable[[Any], Awaitable[Any]]] = MappingProxyType({}),
    ) -> None:
        self._bus = bus
        self._alerts = alerts
        self._machine = machine
        self._subscriptions = subscriptions
        self._analytics = analytics
        self._overview = overview
        self._reload_rules = reload_rules
        self._breakers = breakers
        self._driver = driver
        self._services = services
        self._switch = switch
        self._handlers: dict[type[m.Message], Callable[[Any], Awaitable[Any]]] = {
            m.Publish: self._publish,
            m.PublishText: self._publish_text,
            m.PublishLines: self._publish_lines,
            m.PublishHook: self._publish_hook,
            m.Subscribe: self._subscribe,
            m.Unsubscribe: self._unsubscribe,
            m.AcknowledgeAlerts: self._acknowledge,
            m.ReloadRules: self._reload,
            m.SetBreaker: self._set_breaker,
            m.SetMaintenance: self._set_maintenance,
            m.Resume: self._resume,
            m.RestartService: self._restart_service,
            m.QueryBreakers: self._list_breakers,
            m.QueryHealth: self._health,
            m.Ping: self._ping,
            m.GetSnapshot: self._snapshot,
            m.GetStats: self._stats,
            m.GetState: self._state,
            m.QueryEvents: self._events,
            m.GetEvent: self._event,
            m.ResolveRoute: self._route,
            m.QuerySubscriptions: self._list_subscriptions,
            m.QueryAlerts: self._list_alerts,
            m.GetAnalytics: self._report,
            **others,
        }

    async def answer(self, message: m.Message) -> Any:
        """The reply to ``message``, or an ``EventStream``. Raises ``EventMonitorError``."""
        handler = self._handlers.get(type(message))
        if handler is None:
            raise InvalidRequest(f"{type(message).__name__} is not a command or query")
        return await handler(message)

    # --- commands ---------------------------------------------------------------------------

    async def publish(self, message: m.Publish) -> Receipt:
        """Publish what a message says."""
        return await self._bus.publish(
            message.event_type,
            message.payload,
            priority=message.priority,
            key=message.key,
            ttl=message.ttl,
            source=message.source,
            correlation_id=message.correlation_id,
            causation_id=message.causation_id,
            schema_version=message.schema_version,
            traceparent=message.traceparent,
        )

    async def _publish(self, message: m.Publish) -> r.Published:
        return _published(await self.publish(message))

    async def publish_all(
        self, publishes: Sequence[m.Publish | EventMonitorError], *, promised: bool = False
    ) -> list[Outcome]:
        """Publish many events with few commits; what is refused harms no other. An error in place
        of an event is passed on. Waits for storm rules and turns for ``_PATIENCE`` seconds in all;
        ``promised`` events, which were let in before, are held back by no storm rule."""
        clock, admission = self._bus.clock, self._bus.admission
        until = clock.monotonic() + _PATIENCE
        waiting: list[tuple[asyncio.Future[int], Receipt] | EventMonitorError] = []
        for publish in publishes:
            if isinstance(publish, EventMonitorError):
                waiting.append(publish)
                continue
            cause = publish.causation_id
            try:
                depth = None if cause is None else await self._bus.depth_after(cause)
                verdict = GO_ON
                if not admission.open(publish.event_type):
                    verdict = await admission.admit(
                        publish.event_type,
                        publish.payload,
                        priority=publish.priority,
                        source=publish.source,
                        promised=promised,
                        patience=until - clock.monotonic(),
                    )
                waiting.append(
                    self._bus.submit(
                        publish.event_type,
                        publish.payload,
                        priority=publish.priority,
                        key=publish.key,
                        ttl=publish.ttl,
                        source=publish.source,
                        correlation_id=publish.correlation_id,
                        causation_id=cause,
                        depth=depth,
                        schema_version=publish.schema_version,
                        traceparent=publish.traceparent,
                        verdict=verdict,
                    )
                )
            except EventMonitorError as error:
                waiting.append(error)
        outcomes: list[Outcome] = []
        for submitted in waiting:
            if isinstance(submitted, EventMonitorError):
                outcomes.append(submitted)
                continue
            future, receipt = submitted
            try:
                outcomes.append(receipt.known_as(await future))
            except EventMonitorError as error:
                outcomes.append(error)
        return outcomes

    async def _publish_text(self, message: m.PublishText) -> r.Published:
        return await self._publish(publish_from_text(message))

    async def _publish_lines(self, message: m.PublishLines) -> r.PublishedLines:
        outcomes = await self.publish_all([_from_line(line, message.source) for line in message.lines])
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        duplicates = sum(receipt.status == "duplicate" for receipt in receipts)
        return r.PublishedLines(
            accepted=len(receipts) - duplicates,
            duplicates=duplicates,
            first_id=min((receipt.id for receipt in receipts), default=None),
            last_id=max((receipt.id for receipt in receipts), default=None),
            errors=[
                r.LineError(number, outcome.code, str(outcome), outcome.retry_after)
                for number, outcome in enumerate(outcomes)
                if isinstance(outcome, EventMonitorError)
            ],
        )

    async def _publish_hook(self, message: m.PublishHook) -> r.Published:
        limit = self._bus.settings.bus.max_payload_bytes
        return await self._publish(translate(message.text, limit, key=message.key))

    async def _subscribe(self, message: m.Subscribe) -> r.Subscription | EventStream:
        if message.handler != "-":
            return r.Subscription(subscription=await self._subscriptions.add(message))
        return self._bus.stream(message.pattern, compile_filter(message.filter) if message.filter else None)

    async def _unsubscribe(self, message: m.Unsubscribe) -> r.Done:
        await self._subscriptions.remove(message.name)
        return r.Done(count=1, message=f"subscription {message.name} removed")

    async def _acknowledge(self, message: m.AcknowledgeAlerts) -> r.Done:
        count = self._alerts.acknowledge(message.alert_id)
        if message.alert_id is not None and not count:
            raise NotFound(f"no open alert has the number {message.alert_id}", "list them: event-cli alerts")
        return r.Done(count=count, message=f"{count} alerts acknowledged")

    async def _reload(self, message: m.ReloadRules) -> r.Done:
        return r.Done(count=1, message=await self._reload_rules())

    async def _set_breaker(self, message: m.SetBreaker) -> r.BreakerReport:
        return await self._breakers.set(message.name, message.action, message.by or _PERSON, message.reason)

    async def _set_maintenance(self, message: m.SetMaintenance) -> r.StateReport:
        what = "planned downtime" if message.on else "maintenance ended"
        await self._driver.maintain(message.on, decided(what, message.by, message.reason))
        return await self._state(m.GetState())

    async def _resume(self, message: m.Resume) -> r.StateReport:
        if await self._switch.resume(message.by or _PERSON, message.reason):
            await self._driver.settle()
        return await self._state(m.GetState())

    async def _restart_service(self, message: m.RestartService) -> r.Done:
        guard = self._guard(message.service)
        await guard.service.restart(decided("restarted", message.by or _PERSON, message.reason))
        return r.Done(count=1, message=f"{guard.name} is being restarted")

    def _guard(self, name: str) -> ServiceGuard:
        guard = self._services.get(name)
        if guard is None:
            known = ", ".join(sorted(self._services)) or "none is configured"
            raise NotFound(f"no service is named {name[:80]}", f"known: {known}")
        return guard

    # --- queries ----------------------------------------------------------------------------

    async def _ping(self, message: m.Ping) -> r.Pong:
        return self._overview.pong()

    async def _snapshot(self, message: m.GetSnapshot) -> Snapshot:
        return self._overview.snapshot(message.feed_revision)

    async def _stats(self, message: m.GetStats) -> r.Stats:
        return self._overview.stats()

    async def _state(self, message: m.GetState) -> r.StateReport:
        state, since, reason = self._driver.shown()
        return r.StateReport(
            state=state,
            since=since,
            reason=reason,
            history=list(self._machine.history) if message.history else [],
            refused=list(self._machine.refused) if message.history else [],
        )

    async def _events(self, message: m.QueryEvents) -> r.EventPage:
        now = self._bus.clock.wall()
        wanted = history.EventFilter(
            pattern=TopicPattern(message.type) if message.type else None,
            status=message.status,
            since=parse_time(message.since, now) if message.since else None,
            until=parse_time(message.until, now) if message.until else None,
            matches=compile_regex(message.filter) if message.filter else None,
        )
        await self._bus.store.catch_up()
        events, cursor = await self._bus.store.read(
            lambda connection: history.read_events(
                connection,
                wanted,
                newest_first=message.newest_first,
                after_id=message.after_id,
                before_id=message.before_id,
                limit=_limit(message.limit),
            )
        )
        return r.EventPage(events=events, cursor=cursor)

    async def _event(self, message: m.GetEvent) -> r.EventDetail:
        await self._bus.store.catch_up()
        found = await self._bus.store.read(
            lambda connection: history.read_event(connection, message.event_id)
        )
        if found is None:
            raise NotFound(f"no event has the number {message.event_id}", "it may have passed the retention")
        event, targets, deliveries = found
        causes, effects = await self._bus.store.read(
            lambda connection: (
                history.read_causes(connection, event),
                history.read_effects(connection, event.id),
            )
        )
        return r.EventDetail(
            event=event,
            targets=list(targets),
            deliveries=_all_deliveries(event, targets, deliveries),
            causes=causes,
            effects=effects,
        )

    async def _route(self, message: m.ResolveRoute) -> r.Route:
        check_event_type(message.event_type)
        return self._bus.resolve(message.event_type, message.payload)

    async def _list_subscriptions(self, message: m.QuerySubscriptions) -> r.Subscriptions:
        return r.Subscriptions(subscriptions=self._subscriptions.all())

    async def _list_breakers(self, message: m.QueryBreakers) -> r.Breakers:
        names = [message.name] if message.name is not None else self._breakers.names
        return r.Breakers(breakers=[self._breakers.report(name) for name in names])

    async def _health(self, message: m.QueryHealth) -> r.HealthReport:
        guards = [self._guard(message.service)] if message.service else list(self._services.values())
        return r.HealthReport(services=[_health_of(guard) for guard in guards])

    async def _list_alerts(self, message: m.QueryAlerts) -> r.Alerts:
        return r.Alerts(alerts=list(self._alerts.newest(_limit(message.limit))))

    async def _report(self, message: m.GetAnalytics) -> r.Analytics:
        since = parse_time(message.since, self._bus.clock.wall()) if message.since else None
        return await self._analytics.report(since)


def decided(what: str, by: str, reason: str) -> str:
    """What was done, by whom and why, for the record; the reason alone if nobody is named."""
    if not by:
        return reason
    return f"{what} by {by}: {reason}" if reason else f"{what} by {by}"


def _health_of(guard: ServiceGuard) -> r.ServiceHealth:
    startup, readiness, liveness = (verdict.value for verdict in guard.verdicts())
    error = next((result.error for _, result in reversed(guard.recent) if result.error), None)
    return r.ServiceHealth(
        service=guard.name,
        kind=guard.settings.kind,
        startup=startup,
        readiness=readiness,
        liveness=liveness,
        breaker=guard.breaker.state.value,
        fallback=guard.fallback.active,
        error=error,
        details=guard.service.describe(),
    )


def _from_line(line: str, source: str | None) -> m.Publish | EventMonitorError:
    try:
        return publish_from_line(line, source)
    except EventMonitorError as error:
        return error


def _published(receipt: Receipt) -> r.Published:
    return r.Published(
        id=receipt.id,
        event_type=receipt.event_type,
        priority=receipt.priority,
        status=receipt.status,
        targets=list(receipt.targets),
        sampled=receipt.sampled,
    )


def _all_deliveries(event: Event, targets: tuple[str, ...], known: list[Delivery]) -> list[Delivery]:
    """One delivery for each target, those that were simply done or are under way included; none of
    an event that was sampled out."""
    if event.status is Status.SAMPLED:
        return known
    by_target = {delivery.target: delivery for delivery in known}
    state = DeliveryState.QUEUED if event.status is Status.PENDING else DeliveryState.DELIVERED
    if event.status is Status.EXPIRED and not known:
        state = DeliveryState.EXPIRED
    simple = [
        Delivery(
            event_id=event.id, target=target, state=state, attempts=int(state is DeliveryState.DELIVERED)
        )
        for target in targets
        if target not in by_target
    ]
    return simple + known


def _limit(limit: int) -> int:
    if limit < 1:
        raise InvalidRequest(f"limit {limit} is below 1", f"choose 1 to {_MAX_LIMIT}")
    return min(limit, _MAX_LIMIT)
