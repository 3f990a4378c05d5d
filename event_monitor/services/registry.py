"""All services of a home: made from the settings, started, stopped and recovered together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from event_monitor.clock import Clock
from event_monitor.config import ServiceSettings, Settings
from event_monitor.errors import InvalidConfig
from event_monitor.resilience.fallback import AnswerCache, refuse_cycles
from event_monitor.resilience.health import CheckKind, Health
from event_monitor.resilience.retry import PermanentError
from event_monitor.services.guard import ServiceGuard
from event_monitor.services.guardian import Guardian

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """A service has gone down or come up again, or answers from a fallback."""

    service: str
    kind: str
    what: str
    well: bool
    reason: str
    critical: bool


class ServiceRegistry(Mapping[str, ServiceGuard]):
    """The guards by name. ``on_change`` hears what has become of a service."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.on_change: Callable[[ServiceChange], None] = lambda change: None
        self.problems: list[str] = check_services(settings)
        self._guardian = Guardian()
        self._guards: dict[str, ServiceGuard] = {}
        self._failing: dict[str, dict[CheckKind, str]] = {}
        self._judged = asyncio.Event()
        for one in settings.services:
            if one.name in self._guards:
                continue
            try:
                self._guards[one.name] = self._make(one, settings, clock)
            except InvalidConfig as error:
                self.problems.append(str(error))

    def _make(self, one: ServiceSettings, settings: Settings, clock: Clock) -> ServiceGuard:
        from event_monitor.services.kinds import make_service
        from event_monitor.services.providers.chains import make_steps

        guard = ServiceGuard(
            one,
            make_service(one, self._guardian),
            timeout=settings.seconds(one.timeout),
            clock=clock,
            steps=lambda cache: make_steps(one.fallback, settings.fallback, cache, one.name),
        )
        guard.on_health = self._health
        guard.on_degraded = self._degraded
        return guard

    def __getitem__(self, name: str) -> ServiceGuard:
        return self._guards[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._guards)

    def __len__(self) -> int:
        return len(self._guards)

    async def start(self) -> None:
        """Start all; one that cannot be started shows it by its probes."""
        await asyncio.gather(*(guard.start() for guard in self._guards.values()))

    async def judged(self) -> None:
        """Return when every service has passed or failed its startup checks."""
        while any(guard.verdicts()[0] is Health.UNKNOWN for guard in self._guards.values()):
            self._judged.clear()
            await self._judged.wait()

    async def stop(self) -> None:
        """Stop all, their process groups included."""
        results = await asyncio.gather(
            *(guard.stop() for guard in self._guards.values()), return_exceptions=True
        )
        for guard, result in zip(self._guards.values(), results, strict=True):
            if isinstance(result, Exception):
                logger.error("service %s did not stop in order", guard.name, exc_info=result)
        await self._guardian.close()

    def names(self) -> Sequence[str]:
        """The names of all services."""
        return tuple(self._guards)

    async def recover(self, name: str, reason: str) -> str:
        """Begin the recovery of a service. Raises ``PermanentError`` for an unknown name."""
        guard = self._guards.get(name)
        if guard is None:
            raise PermanentError(f"no service is named {name}")
        return await guard.recover(reason)

    def _health(self, name: str, kind: CheckKind, health: Health, reason: str) -> None:
        self._judged.set()
        failing = self._failing.setdefault(name, {})
        before = bool(failing)
        if health is Health.FAIL:
            failing[kind] = reason
        else:
            failing.pop(kind, None)
        if before == bool(failing):
            return
        settings = self._guards[name].settings
        text = f"{kind} failed: {reason}" if failing else "all checks pass again"
        self.on_change(
            ServiceChange(name, settings.kind, "health", not failing, f"{name}: {text}", settings.critical)
        )

    def _degraded(self, name: str, degraded: bool, step: str) -> None:
        settings = self._guards[name].settings
        text = f"answers come from {step}" if degraded else "the service itself answers again"
        self.on_change(ServiceChange(name, settings.kind, "fallback", not degraded, f"{name}: {text}", False))


def check_services(settings: Settings) -> list[str]:
    """What is wrong with the names and fallbacks of the services, in words. Starts nothing."""
    names = [one.name for one in settings.services]
    twice = sorted({name for name in names if names.count(name) > 1})
    mistakes = [f"services: the name {name!r} stands twice; the first one counts" for name in twice]
    try:
        refuse_cycles({one.name: one.fallback for one in settings.services})
    except ValueError as error:
        mistakes.append(f"services: {error}")
    return mistakes


def service_problems(settings: Settings) -> list[str]:
    """All that keeps a service of the settings from being served, in words. Starts nothing."""
    from event_monitor.services.kinds import make_service
    from event_monitor.services.providers.chains import make_steps

    problems = check_services(settings)
    for one in settings.services:
        try:
            make_service(one, Guardian())
            make_steps(one.fallback, settings.fallback, AnswerCache(float), one.name)
        except InvalidConfig as error:
            problems.append(str(error))
    return problems
