"""What every kind of service offers, and what it may raise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from event_monitor.resilience.health import CheckKind, Probe
from event_monitor.resilience.retry import PermanentError


class ServiceError(Exception):
    """The service did not do what it was asked, for a reason of its own: it counts as a failure."""


class ServiceDown(ServiceError):
    """The service cannot be reached, or its process has ended."""


class CallerError(PermanentError):
    """The request itself was wrong: it is not retried and does not count against the service."""


class Service(Protocol):
    """One service of a kind. ``start`` returns at once; what it starts is watched in the background."""

    name: str

    async def start(self) -> None:
        """Begin: connect or start the process. Raises nothing that a probe would not tell."""

    async def stop(self) -> None:
        """End what was started, its whole process group. Safe to call twice."""

    async def restart(self, reason: str) -> None:
        """Begin afresh: a supervised process is started again at once, a connection made anew."""

    def probes(self) -> Mapping[CheckKind, Probe]:
        """What its health is judged by. A probe never starts a second instance."""

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Do something. Raises ``ServiceError``, ``ServiceDown`` or ``CallerError``."""

    def describe(self) -> dict[str, Any]:
        """What a person wants to know: pid, restarts, transport, versions, last exit. Never an
        environment or a header, for they hold secrets."""


@runtime_checkable
class Supervised(Protocol):
    """A service whose process we run."""

    on_crash: Callable[[str], None]
    """Hears at once why the process ended though nobody had asked for it."""

    async def recover(self, reason: str, since: float) -> None:
        """Begin afresh if it has not since ``since`` (loop time), and no sooner than it would by itself."""
