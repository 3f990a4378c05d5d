"""The errors that a caller of event-monitor can meet, each with a stable code and advice."""

from __future__ import annotations


class EventMonitorError(Exception):
    """Base of every refusal that is reported to a person or a program.

    ``code`` is the stable word that crosses the socket; ``advice`` says what to do about it;
    ``retry_after`` says when the same may succeed, in seconds, where that is known.
    """

    code = "failed"
    retry_after: float | None = None

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} ({self.advice})" if self.advice else self.message


class InvalidEvent(EventMonitorError):
    """The event type, the payload or an option breaks a rule; the message names rule and place."""

    code = "invalid_event"


class InvalidRequest(EventMonitorError):
    """A command or query that cannot be understood."""

    code = "invalid_request"


class InvalidConfig(EventMonitorError):
    """A settings or rules file that is wrong; the message names file, place and expectation."""

    code = "invalid_config"


class InvalidService(InvalidConfig):
    """A service that cannot be served as it is configured, because of the setting ``key``."""

    def __init__(self, key: str, message: str, advice: str = "") -> None:
        super().__init__(message, advice)
        self.key = key


class NotFound(EventMonitorError):
    """What the request names does not exist."""

    code = "not_found"


class Conflict(EventMonitorError):
    """The request makes sense, but not as things stand."""

    code = "conflict"


class BusFull(EventMonitorError):
    """The backlog is at its limit: nothing was accepted."""

    code = "bus_full"


class RateLimited(EventMonitorError):
    """Too much comes at once: nothing was accepted. ``retry_after`` is when to try again, in seconds."""

    code = "rate_limited"

    def __init__(self, message: str, advice: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, advice)
        self.retry_after = retry_after


class BusClosed(EventMonitorError):
    """The bus is stopping: nothing was accepted."""

    code = "bus_closed"


class StoreUnavailable(EventMonitorError):
    """The event could not be written to disk: nothing was accepted."""

    code = "store_unavailable"


class StoreTooNew(EventMonitorError):
    """The database was written by a newer version; it was left untouched."""

    code = "store_too_new"


class HomeUnusable(EventMonitorError):
    """The home's files cannot be made or read: nothing was started."""

    code = "home_unusable"


class AlreadyRunning(EventMonitorError):
    """Another process owns this home."""

    code = "already_running"


class Busy(EventMonitorError):
    """The control socket has no place for another connection."""

    code = "busy"


class NoBus(EventMonitorError):
    """No bus is running for this home."""

    code = "no_bus"


class ReadOnly(EventMonitorError):
    """The view was opened read-only."""

    code = "read_only"


_BY_CODE: dict[str, type[EventMonitorError]] = {
    kind.code: kind
    for kind in (
        InvalidEvent,
        InvalidRequest,
        InvalidConfig,
        NotFound,
        Conflict,
        BusFull,
        RateLimited,
        BusClosed,
        StoreUnavailable,
        StoreTooNew,
        HomeUnusable,
        AlreadyRunning,
        Busy,
        NoBus,
        ReadOnly,
    )
}


def error_from_code(
    code: str, message: str, advice: str = "", retry_after: float | None = None
) -> EventMonitorError:
    """Rebuild the error that the other end of the socket reported."""
    error = _BY_CODE.get(code, EventMonitorError)(message, advice)
    error.retry_after = retry_after
    return error
