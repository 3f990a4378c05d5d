"""The events that event-monitor publishes by itself: one struct a type.

Whoever publishes one makes the struct, so no type and no payload key leaves the program that does not
stand here. ``docs/reference/events.md`` is made from this module: a docstring says when an event of the
type is published, the text under a key what it holds.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

SOURCE = "event-monitor"
"""The ``source`` of the bus's own events."""


class OwnEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all. ``TYPE`` is the event type, ``BY`` says which part publishes it."""

    TYPE: ClassVar[str]
    BY: ClassVar[str]
    FROM: ClassVar[str] = SOURCE
    """The event's ``source``."""

    def payload(self) -> dict[str, Any]:
        """The payload of the event; a key without a value is left out."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built


class StateChanged(OwnEvent, frozen=True, kw_only=True):
    """The state of the whole system has changed, and the change is saved."""

    TYPE = "system.state.changed"
    BY = "state machine"

    from_state: str = msgspec.field(name="from")
    """The state before, such as `HEALTHY`."""
    to_state: str = msgspec.field(name="to")
    """The state now."""
    reason: str
    """What brought it about, in words."""
    at: str
    """When, in UTC."""


class BreakerMoved(OwnEvent, frozen=True, kw_only=True):
    """Base of what is told of a circuit breaker."""

    BY = "circuit breakers"

    service: str
    """Whose breaker: a service's name, or `target:NAME`."""
    from_state: str = msgspec.field(name="from")
    """The state before: `CLOSED`, `OPEN` or `HALF_OPEN`."""
    to_state: str = msgspec.field(name="to")
    """The state now; the same as before where a person holds what was so already."""
    reason: str
    """Why, in words."""
    by: str | None
    """Who did it; `null` if the breaker did it by itself."""


class BreakerOpened(BreakerMoved, frozen=True, kw_only=True):
    """A breaker has opened, or a person holds it open: nothing is sent there."""

    TYPE = "breaker.opened"


class BreakerHalfOpen(BreakerMoved, frozen=True, kw_only=True):
    """A breaker that was open lets one call through to see whether all is well again."""

    TYPE = "breaker.half_open"


class BreakerClosed(BreakerMoved, frozen=True, kw_only=True):
    """A breaker has closed, or a person has reset it or holds it closed."""

    TYPE = "breaker.closed"


class ServiceFailing(OwnEvent, frozen=True, kw_only=True):
    """Base of what is told of a service that is not well."""

    BY = "services"

    service: str
    """Its name in the settings."""
    kind: str
    """Its kind, such as `http`."""
    error: str
    """What is wrong, in words."""


class ServiceWell(OwnEvent, frozen=True, kw_only=True):
    """Base of what is told of a service that is well again."""

    BY = "services"

    service: str
    """Its name in the settings."""
    kind: str
    """Its kind, such as `http`."""
    reason: str
    """What is well again, in words."""


class ServiceDown(ServiceFailing, frozen=True, kw_only=True):
    """A service of any kind but mcp has failed a health check so often that it counts as down."""

    TYPE = "service.down"


class ServiceUp(ServiceWell, frozen=True, kw_only=True):
    """A service of any kind but mcp that was down passes its health checks again."""

    TYPE = "service.up"


class McpServerDown(ServiceFailing, frozen=True, kw_only=True):
    """An MCP server has failed a health check so often that it counts as down."""

    TYPE = "mcp.server.down"


class McpServerUp(ServiceWell, frozen=True, kw_only=True):
    """An MCP server that was down passes its health checks again."""

    TYPE = "mcp.server.up"


class FallbackBegan(ServiceFailing, frozen=True, kw_only=True):
    """The first call to a service was answered by its fallback chain."""

    TYPE = "fallback.began"


class FallbackEnded(ServiceWell, frozen=True, kw_only=True):
    """The service itself has answered again after a time of fallbacks."""

    TYPE = "fallback.ended"


class StormBegan(OwnEvent, frozen=True, kw_only=True):
    """A source publishes more of a topic pattern than its storm rule allows."""

    TYPE = "storm.began"
    BY = "storm control"

    pattern: str
    """The rule's topic pattern."""
    source: str | None
    """The loudest source; `null` for events that name none."""
    events_per_second: float
    """How many it published: at the beginning, or at the peak of a storm that has ended."""
    limit: float
    """The rule's `rate`."""
    action: str
    """What becomes of the rest: `sample`, `delay` or `refuse`."""
    over_limit: int
    """Events over the limit so far, of all sources."""


class StormEnded(StormBegan, frozen=True, kw_only=True):
    """Nothing has been over the limit of the storm rule for ten seconds."""

    TYPE = "storm.ended"

    seconds: float
    """How long it lasted."""


class BackupCompleted(OwnEvent, frozen=True, kw_only=True):
    """`event-cli store backup` has made a copy of the store while the bus runs. Scripts publish the same
    type, with the same keys, for backups of their own."""

    TYPE = "backup.completed"
    BY = "store"

    path: str
    """The file, in full."""
    size: int
    """Its size in bytes."""
    sha256: str
    """Its SHA-256 in hexadecimal."""
    store: bool
    """`true`: it is a copy of the event store."""


class BackupVerified(OwnEvent, frozen=True, kw_only=True):
    """A backup that an event named has the size and SHA-256 that were claimed for it."""

    TYPE = "backup.verified"
    BY = "target `verification`"

    path: str
    """The file, in full."""
    size: int
    """Its size in bytes."""
    sha256: str
    """Its SHA-256 in hexadecimal."""
    checked: list[str]
    """Which of `size` and `sha256` were claimed, and so compared."""
    message: str | UnsetType = UNSET
    """What could not be checked, where something was not claimed."""


class ErrorCritical(OwnEvent, frozen=True, kw_only=True):
    """A backup that an event named is missing, is not what was claimed, or cannot be checked. Anybody may
    publish this type; the shipped rules let it engage the kill switch."""

    TYPE = "error.critical"
    BY = "target `verification`"

    title: str
    """What is wrong with what, for an alert's first line."""
    path: str
    """The path that the event named; empty if it named none."""
    error: str
    """Why, in words."""
    backup_event: int
    """The id of the event that claimed it."""


class PatternLearned(OwnEvent, frozen=True, kw_only=True):
    """A sequence of two to five commands has recurred within sessions 3, 10, 30, 100 ... times."""

    TYPE = "pattern.learned"
    BY = "target `learning`"

    name: str | UnsetType = UNSET
    """The commands joined by ` > `; left out past 255 characters."""
    pattern: list[str]
    """The commands in their order."""
    support: int
    """How often it occurred."""
    confidence: float
    """The share of its beginnings that it completed, 0 to 1."""
    lift: float
    """How many times more often than chance would have it."""
    threshold: int
    """The number that its support has reached: 3, 10, 30, 100 ..."""
    first_at: str
    """When it was first seen, in UTC."""
    last_at: str
    """When it was last seen, in UTC."""


class SpoolUnreadable(OwnEvent, frozen=True, kw_only=True):
    """A line that `event-cli publish - --batch` left in the spool while no bus ran is no event."""

    TYPE = "spool.unreadable"
    BY = "spool"
    FROM = "spool"

    line: int
    """Its number in the input, from 1."""
    head: str
    """How it begins: at most 2,000 characters."""
    error: str
    """What is wrong with it."""


class HookUnreadable(OwnEvent, frozen=True, kw_only=True):
    """What `event-cli hook` was given is not one JSON object."""

    TYPE = "hook.unreadable"
    BY = "`event-cli hook`"
    FROM = "hook"

    bytes: int
    """Its size."""
    head: str
    """How it begins: at most 2,000 characters."""
    error: str
    """What is wrong with it."""


OWN_EVENTS: tuple[type[OwnEvent], ...] = (
    StateChanged,
    BreakerOpened,
    BreakerHalfOpen,
    BreakerClosed,
    ServiceDown,
    ServiceUp,
    McpServerDown,
    McpServerUp,
    FallbackBegan,
    FallbackEnded,
    StormBegan,
    StormEnded,
    BackupCompleted,
    BackupVerified,
    ErrorCritical,
    PatternLearned,
    SpoolUnreadable,
    HookUnreadable,
)
"""Every type that event-monitor publishes by itself. What hooks tell is in ``hook_types``."""
