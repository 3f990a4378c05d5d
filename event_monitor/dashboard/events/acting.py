"""What is done with one event of history: copied, published again, replayed, followed to its cause."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from event_monitor.dashboard.events.prompts import AskDialog, Paragraph
from event_monitor.dashboard.link import BusLink
from event_monitor.messages import GetEvent, PlanReplay, Publish, ResolveRoute, StartReplay
from event_monitor.model import Event, Priority, Severity
from event_monitor.replies.general import EventDetail, Published, Route
from event_monitor.replies.replays import ReplayPlan, ReplayReport

SOURCE = "dashboard"
_OTHER_EVENTS = "filtered"
# The store's times have microseconds; on their way through a number of seconds they may lose one.
_INSTANT = timedelta(microseconds=3)


class Acting:
    """``push`` brings a dialog on the screen and gives its answer to a callback; ``done`` is called
    when something was published."""

    def __init__(
        self, link: BusLink, push: Callable[[Any, Callable[[Any], None]], Any], done: Callable[[], None]
    ) -> None:
        self._link = link
        self._push = push
        self._done = done

    # --- copies -----------------------------------------------------------------------------

    def copy(self, event_id: int, *, command: bool) -> None:
        """Copy an event as JSON, or as the command that publishes the same."""

        async def fetch() -> None:
            event = await self._event(event_id)
            if event is None:
                return
            if command:
                await self._link.copy(publish_command(event), f"Command for event {event.id}")
            else:
                await self._link.copy(msgspec.json.encode(event).decode(), f"Event {event.id}")

        self._link.work(fetch())

    # --- publishing -------------------------------------------------------------------------

    def publish(self, event_id: int, *, edit: bool) -> None:
        """Publish an event again, edited if so wanted, after a question that names where it goes."""

        async def fetch() -> None:
            event = await self._event(event_id)
            if event is None:
                return
            if not edit:
                await self._ask_publish(event, event.payload)
                return
            from event_monitor.dashboard.events.payload_edit import EditDialog

            def edited(payload: dict[str, Any] | None) -> None:
                if payload is not None:
                    self._link.work(self._ask_publish(event, payload))

            title = f"{event.event_type}, payload of event {event.id}"
            self._push(EditDialog(title, event.payload, self._link.mask), edited)

        self._link.work(fetch())

    async def _ask_publish(self, event: Event, payload: dict[str, Any]) -> None:
        route: Route | None = await self._link.ask(ResolveRoute(event_type=event.event_type, payload=payload))
        if route is None:
            return
        message = Publish(
            event_type=event.event_type,
            payload=payload,
            priority=event.priority,
            source=SOURCE,
            correlation_id=event.correlation_id,
            schema_version=event.schema_version,
        )

        def answered(yes: bool | None) -> None:
            if yes:
                self._link.work(self._publish(message))

        self._push(AskDialog(publish_question(event, payload, route)), answered)

    async def _publish(self, message: Publish) -> None:
        published: Published | None = await self._link.ask(message)
        if published is not None:
            goes = f", goes to {', '.join(published.targets)}" if published.targets else ""
            self._link.say(f"Published {published.event_type} as #{published.id}{goes}")
            self._done()

    # --- replaying --------------------------------------------------------------------------

    def replay(self, event_id: int) -> None:
        """Replay one event, after a question that names what is delivered where and what is left out."""

        async def plan() -> None:
            event = await self._event(event_id)
            if event is None:
                return
            span: dict[str, Any] = {
                "since": event.timestamp,
                "until": span_end(event.timestamp),
                "type": event.event_type,
                "replays": event.replay_of is not None,
                "speed": "max",
            }
            planned: ReplayPlan | None = await self._link.ask(PlanReplay(**span))
            if planned is None:
                return
            if not planned.events:
                why = "; ".join(planned.why.values()) or "nothing of it would be delivered"
                self._link.say(f"Event {event_id} is not replayed: {why}", Severity.WARNING)
                return

            def answered(yes: bool | None) -> None:
                if yes:
                    self._link.work(self._replay(StartReplay(**span)))

            self._push(AskDialog(replay_question(event, planned)), answered)

        self._link.work(plan())

    async def _replay(self, message: StartReplay) -> None:
        report: ReplayReport | None = await self._link.ask(message)
        if report is not None:
            self._link.say(f"Replay {report.id} of {report.events} event(s) has begun")
            self._done()

    async def _event(self, event_id: int) -> Event | None:
        detail: EventDetail | None = await self._link.ask(GetEvent(event_id=event_id))
        return None if detail is None else detail.event


def span_end(timestamp: str) -> str:
    """The time at which a span that holds this instant may end."""
    return (datetime.fromisoformat(timestamp) + _INSTANT).isoformat(timespec="microseconds")


def publish_command(event: Event) -> str:
    """The command line that publishes the same event."""
    words = ["event-cli", "publish", event.event_type, json.dumps(event.payload, ensure_ascii=False)]
    if event.priority is not Priority.NORMAL:
        words += ["--priority", str(event.priority)]
    if event.source:
        words += ["--source", event.source]
    return shlex.join(words)


def publish_question(event: Event, payload: dict[str, Any], route: Route) -> list[Paragraph]:
    """What would be published, and where it would go."""
    changed = "" if payload == event.payload else " with the payload as edited"
    goes = f"It goes to {', '.join(route.targets)}." if route.targets else "No rule names a target for it."
    return [
        (f"Publish {event.event_type} again{changed}?", "strong"),
        (f"A new event like #{event.id}, {event.priority}. {goes}", "dim"),
    ]


def replay_question(event: Event, plan: ReplayPlan) -> list[Paragraph]:
    """What would be delivered where, and what is left out."""
    what = f"event {event.id}, {event.event_type}"
    if plan.events > 1:
        what = (
            f"{plan.events} events of {event.event_type} of the same microsecond, event {event.id} among them"
        )
    delivered = ", ".join(f"{target} {count}" for target, count in plan.by_target.items())
    left_out = ", ".join(f"{name} ({plan.why[name]})" if name in plan.why else name for name in plan.excluded)
    paragraphs: list[Paragraph] = [
        (f"Replay {what}?", "strong"),
        (f"Delivered: {delivered or 'nothing'}.", "dim"),
    ]
    return [*paragraphs, (f"Left out: {left_out}.", "dim")] if left_out else paragraphs
