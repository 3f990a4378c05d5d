"""Services and their breakers: state, overrides, and those that the assistant declares."""

from __future__ import annotations

from typing import Literal

from event_monitor.messages.base import Message, Reason


class AdoptService(Message, tag="adopt_service", frozen=True):
    """A person's word that a server of the assistant's configuration may be started: written to the
    settings, which are then read again. ``fingerprint`` is that of the plan which was shown. Answers
    ``Done``."""

    name: str
    fingerprint: str
    scope: Literal["user", "local", "project"] | None = None
    project: str | None = None
    service: str | None = None
    by: str = ""


class ForgetService(Message, tag="forget_service", frozen=True):
    """Take an adopted service out of the settings and end it. Answers ``Done``."""

    service: str
    by: str = ""


class SetBreaker(Message, tag="set_breaker", frozen=True):
    """Hold a breaker ``open`` or ``close``d, let its next call try (``half_open``), or ``reset`` it to
    work by itself; kept across a restart with who and why. Answers ``BreakerReport``."""

    name: str
    action: Literal["open", "close", "half_open", "reset"]
    reason: Reason = ""
    by: str = ""


class RestartService(Message, tag="restart_service", frozen=True):
    """Begin a service's recovery now. Answers ``Done``."""

    service: str
    reason: Reason = ""
    by: str = ""


class QueryBreakers(Message, tag="query_breakers", frozen=True):
    """Answers ``Breakers``: all, or the one that is named."""

    name: str | None = None


class QueryHealth(Message, tag="query_health", frozen=True):
    """Answers ``HealthReport``: all services, or the one that is named."""

    service: str | None = None


class QueryServices(Message, tag="query_services", frozen=True):
    """Answers ``Services``: those that are configured."""


class QueryDiscovered(Message, tag="query_discovered", frozen=True):
    """The MCP servers that the assistant's own configuration declares. Answers ``DiscoveredServers``."""


class PlanAdoption(Message, tag="plan_adoption", frozen=True):
    """What ``AdoptService`` would write and start. Answers ``AdoptionPlan``."""

    name: str
    scope: Literal["user", "local", "project"] | None = None
    project: str | None = None
    service: str | None = None


class GetService(Message, tag="get_service", frozen=True):
    """Answers ``ServiceDetail``: all about one service, or about a target by its breaker's name."""

    name: str
