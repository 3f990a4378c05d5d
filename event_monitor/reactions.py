"""What the runtime does when one of its parts tells that something has happened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import msgspec

from event_monitor.breakers import TARGET
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.inflight import InFlight
from event_monitor.bus.storms import StormChange
from event_monitor.errors import EventMonitorError
from event_monitor.event_types import (
    SOURCE,
    BreakerClosed,
    BreakerHalfOpen,
    BreakerMoved,
    BreakerOpened,
    FallbackBegan,
    FallbackEnded,
    McpServerDown,
    McpServerUp,
    OwnEvent,
    ServiceDown,
    ServiceFailing,
    ServiceUp,
    ServiceWell,
    StateChanged,
    StormBegan,
    StormEnded,
)
from event_monitor.kill_switch import KillSwitch
from event_monitor.model import Severity, SystemState, Transition
from event_monitor.resilience.breaker import BreakerChange, BreakerState
from event_monitor.services.registry import ServiceChange
from event_monitor.system.alerts import AlertBook
from event_monitor.system.driver import StateDriver
from event_monitor.system.state_machine import StateMachine, TransitionNotSaved

logger = logging.getLogger(__name__)

# On a nearly full disk one write passes and the next does not: the state must not follow each.
STORE_HOLD = 6.0
_BREAKER_EVENTS: Mapping[BreakerState, type[BreakerMoved]] = {
    BreakerState.OPEN: BreakerOpened,
    BreakerState.HALF_OPEN: BreakerHalfOpen,
    BreakerState.CLOSED: BreakerClosed,
}
_ACTIONS = {
    "sample": "most of the rest is only stored",
    "delay": "it is slowed down",
    "refuse": "the rest is refused",
}
UNWRITABLE = "The event store cannot be written"
_WORSE = frozenset({SystemState.DEGRADED, SystemState.FAILED})


def turn(former: str, now: str) -> str:
    """The title of the alert that tells of a change of state."""
    return f"{former} → {now}"


def opened(breaker: str) -> str:
    """The title of the alert that tells of an open breaker."""
    return f"{breaker}: breaker opened"


_TURNS_FOR_THE_WORSE = tuple(turn(former, now) for former in SystemState for now in sorted(_WORSE))


class Reactions:
    """Turns what breakers, services, store and state machine tell into events, alerts and states."""

    def __init__(
        self,
        bus: EventBus,
        *,
        alerts: AlertBook,
        machine: StateMachine,
        driver: StateDriver,
        switch: KillSwitch,
    ) -> None:
        self._bus = bus
        self._alerts = alerts
        self._machine = machine
        self._driver = driver
        self._switch = switch

    def on_dead(self, record: InFlight, target: str, error: str) -> None:
        """A delivery was given up: an alert, unless the event was the bus's own."""
        if record.event.source == SOURCE:
            return
        self._alerts.raise_alert(
            Severity.WARNING,
            f"Dead letter from {target}",
            f"{record.event.event_type}: {error}",
            record.event.id,
            about=f"{TARGET}{target}",
        )

    def on_trouble(self, error: Exception | None) -> None:
        """The store cannot be written, or can again."""
        if error is None:
            self._driver.clear("store", "the event store can be written again", after=STORE_HOLD)
        else:
            self._driver.fail("store", f"the event store cannot be written: {error}")
            self._alerts.raise_alert(
                Severity.CRITICAL,
                UNWRITABLE,
                f"{error}: free some space or mend the disk or its rights; what was accepted is kept, "
                "publishing goes on by itself as soon as writing works",
            )

    def on_damage(self, error: Exception) -> None:
        """The store's file is damaged: nothing more can be trusted to it."""
        self._driver.fail("store", f"the event store is damaged: {error}", critical=True)
        self._alerts.raise_alert(
            Severity.CRITICAL,
            "The event store is damaged",
            f"{error}: at the next start it is set aside, never deleted, and a fresh one is begun; "
            "--headless does so by itself, end and start a dashboard",
        )

    def on_replay(self, severity: Severity, title: str, detail: str) -> None:
        """Something happened to a replay that nobody may be looking at."""
        logger.info("%s: %s", title, detail)
        self._alerts.raise_alert(severity, title, detail)

    def on_storm(self, change: StormChange) -> None:
        """A storm has begun or is over: an event, and one alert while it lasts."""
        rule = change.rule
        began = StormBegan(
            pattern=change.pattern,
            source=change.source,
            events_per_second=change.rate,
            limit=rule.rate,
            action=rule.action,
            over_limit=sum(change.over.values()),
        )
        if not change.began:
            self.publish(StormEnded(**msgspec.structs.asdict(began), seconds=round(change.seconds, 1)))
            return
        self.publish(began)
        self._alerts.raise_alert(
            Severity.WARNING,
            f"Event storm: {change.pattern}",
            f"{change.source or 'a source without a name'} publishes {change.rate:,.0f} events a second, "
            f"the limit is {rule.rate:,g}: {_ACTIONS[rule.action]}",
        )

    def on_unsaved(self, error: TransitionNotSaved) -> None:
        """A transition was rolled back, for it could not be saved."""
        logger.error("%s", error)
        self._alerts.raise_alert(Severity.CRITICAL, "The system state could not be saved", str(error))

    def on_breaker(self, name: str, change: BreakerChange) -> None:
        """A breaker has changed: an event, an alert if it opened by itself, and the state follows. What
        a person does is an event even where the state was the same before."""
        who = f" by {change.by}" if change.by else ""
        reason = f"{name}: breaker {change.to_state.value.lower().replace('_', '-')}{who}: {change.reason}"
        if change.to_state is BreakerState.OPEN:
            self._driver.fail(f"breaker {name}", reason)
            if change.by is None and self._machine.state is not SystemState.HEALTHY:
                self._alerts.raise_alert(Severity.WARNING, opened(name), change.reason, about=name)
        elif change.to_state is BreakerState.HALF_OPEN:
            self._driver.recovering(f"breaker {name}")
        else:
            self._driver.clear(f"breaker {name}", reason)
            self._alerts.settle(opened(name), f"over: {change.reason}")
        if change.to_state is change.from_state and change.by is None:
            return
        self.publish(
            _BREAKER_EVENTS[change.to_state](
                service=name,
                from_state=change.from_state.value,
                to_state=change.to_state.value,
                reason=change.reason,
                by=change.by,
            )
        )

    def on_service(self, change: ServiceChange) -> None:
        """A service is down, up, or answered for by a fallback: an event, and the state follows."""
        what = f"service {change.service} {change.what}"
        if change.well:
            self._driver.clear(what, change.reason)
        else:
            self._driver.fail(what, change.reason, critical=change.critical)
        self.publish(_told_of(change))

    def on_switch(self, engaged: bool, reason: str) -> None:
        """The kill switch was engaged or released."""
        if engaged:
            self._driver.fail("kill switch", f"kill switch: {reason}", critical=True)
        else:
            self._driver.clear("kill switch", reason)
        self.hold()

    def hold(self) -> None:
        """Pause dispatch of all but CRITICAL events in maintenance and while the kill switch is on."""
        self._bus.dispatcher.hold(self._machine.state is SystemState.MAINTENANCE or self._switch.engaged)

    def on_transition(self, transition: Transition) -> None:
        """The system state has changed: an event, an alert if it is worse, and dispatch follows. Once it
        is HEALTHY again such alerts tell of what is over."""
        logger.info("%s → %s: %s", transition.from_state, transition.to_state, transition.reason)
        self.hold()
        if transition.to_state in _WORSE:
            self._alerts.raise_alert(
                Severity.CRITICAL, turn(transition.from_state, transition.to_state), transition.reason
            )
        elif transition.to_state is SystemState.HEALTHY:
            for title in (*_TURNS_FOR_THE_WORSE, UNWRITABLE):
                self._alerts.settle(title, f"over: {transition.reason}")
        self.publish(
            StateChanged(
                from_state=transition.from_state.value,
                to_state=transition.to_state.value,
                reason=transition.reason,
                at=transition.at,
            )
        )

    def publish(self, event: OwnEvent) -> None:
        """Publish an event of the bus's own without waiting for the disk."""
        try:
            future, _ = self._bus.submit(event.TYPE, event.payload(), source=SOURCE, reserved=True)
        except EventMonitorError as error:
            logger.warning("%s was not published: %s", event.TYPE, error)
            return
        future.add_done_callback(_report_lost)


def _told_of(change: ServiceChange) -> OwnEvent:
    """The event that tells of a change of a service."""
    told = change.reason.removeprefix(f"{change.service}: ")
    failing: type[ServiceFailing] = FallbackBegan
    well: type[ServiceWell] = FallbackEnded
    if change.what == "health":
        failing, well = (McpServerDown, McpServerUp) if change.kind == "mcp" else (ServiceDown, ServiceUp)
    if change.well:
        return well(service=change.service, kind=change.kind, reason=told)
    return failing(service=change.service, kind=change.kind, error=told)


def _report_lost(future: asyncio.Future[int]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        logger.warning("an event of the bus's own was not stored: %s", error)
