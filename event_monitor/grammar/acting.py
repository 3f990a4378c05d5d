"""Commands that act on services and on the whole."""

from __future__ import annotations

from event_monitor.grammar.shared import REASON, user
from event_monitor.grammar.spec import Argument, Command, Example, Values
from event_monitor.messages import (
    GetService,
    Message,
    QueryBreakers,
    QueryHealth,
    Reload,
    RestartService,
    Resume,
    SetBreaker,
    SetMaintenance,
)


def _breaker(values: Values) -> Message:
    if values["action"] is None:
        return QueryBreakers(name=values["service"])
    return SetBreaker(name=values["service"], action=values["action"], reason=values["reason"], by=user())


def _health(values: Values) -> Message:
    name = values["service"]
    return QueryHealth() if name is None else GetService(name=name)


ACTING = (
    Command(
        path=("breaker",),
        summary="Show circuit breakers, or hold one",
        arguments=(
            Argument(
                name="service",
                required=False,
                help="whose breaker; a target's is target:NAME",
                source="breakers",
            ),
            Argument(
                name="action",
                required=False,
                choices=("open", "close", "half_open", "reset"),
                help="open and close hold it, half_open lets the next call try, reset lets it work by itself",
            ),
        ),
        options=(REASON,),
        examples=(
            Example("event-cli breaker", "all of them, one a line"),
            Example("event-cli breaker target:log open --reason 'disk is being replaced'", "park the log"),
            Example("event-cli breaker target:log reset", "let it work by itself again"),
        ),
        build=_breaker,
    ),
    Command(
        path=("health",),
        summary="Show the health of the services, or all about one",
        arguments=(
            Argument(
                name="service",
                required=False,
                help="all about this one; a target is target:NAME",
                source="breakers",
            ),
        ),
        examples=(
            Example("event-cli health", "startup, readiness and liveness of each"),
            Example("event-cli health github", "breaker, calls, probes, errors and process of one"),
        ),
        build=_health,
    ),
    Command(
        path=("restart",),
        summary="Restart a service",
        arguments=(Argument(name="service", help="which one", source="services"),),
        options=(REASON,),
        examples=(Example("event-cli restart github", "end it and start it again"),),
        build=lambda values: RestartService(service=values["service"], reason=values["reason"], by=user()),
    ),
    Command(
        path=("resume",),
        summary="Go on after the kill switch",
        options=(REASON,),
        examples=(Example("event-cli resume --reason 'disk replaced'", "dispatch again"),),
        notes="An error.critical event engages the kill switch: all but CRITICAL events wait until this.",
        build=lambda values: Resume(reason=values["reason"], by=user()),
    ),
    Command(
        path=("maintenance",),
        summary="Begin or end planned downtime",
        arguments=(Argument(name="switch", choices=("on", "off"), help="on or off"),),
        options=(REASON,),
        examples=(
            Example(
                "event-cli maintenance on --reason upgrade", "events are stored, only CRITICAL ones pass"
            ),
            Example("event-cli maintenance off", "check everything afresh and deliver what waited"),
        ),
        build=lambda values: SetMaintenance(on=values["switch"] == "on", reason=values["reason"], by=user()),
    ),
    Command(
        path=("reload",),
        summary="Read the routing rules and the settings again",
        examples=(Example("event-cli reload", "says what is wrong if a file is broken"),),
        notes="Both are also read again by themselves when they change. What is broken changes nothing.",
        build=lambda values: Reload(),
    ),
)
