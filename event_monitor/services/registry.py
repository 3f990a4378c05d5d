"""All services of a home: made from the settings, started, stopped and recovered together."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from event_monitor.clock import Clock
from event_monitor.config import ServiceSettings, Settings
from event_monitor.resilience.health import CheckKind, Health
from event_monitor.resilience.retry import PermanentError
from event_monitor.services.base import Service
from event_monitor.services.guard import ServiceGuard
from event_monitor.services.guardian import Guardian

logger = logging.getLogger(__name__)

Make = Callable[[ServiceSettings, Guardian], Service]
"""Makes the service that settings describe, not started."""


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """A service has gone down or come up again, or answers from a fallback."""

    service: str
    kind: str
    what: str
    well: bool
    reason: str
    critical: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """What new settings have made of the services, by name; the rest was left alone."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


class ServiceRegistry(Mapping[str, ServiceGuard]):
    """The guards by name. ``on_change`` hears what has become of a service. All settings that it gets
    were looked through by ``service_mistakes``. Services are made by ``make_service``, by their kind if
    it is absent; ``rng`` is where the jitter of their retries comes from."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        make_service: Make | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.on_change: Callable[[ServiceChange], None] = lambda change: None
        self._clock = clock
        self._settings = settings
        self._make_service = make_service
        self._rng = rng
        self._guardian = Guardian()
        self._guards: dict[str, ServiceGuard] = {}
        self._failing: dict[str, dict[CheckKind, str]] = {}
        self._judged = asyncio.Event()
        for one in settings.services:
            self._guards[one.name] = self._make(one, settings)

    def _make(self, one: ServiceSettings, settings: Settings) -> ServiceGuard:
        from event_monitor.services import kinds
        from event_monitor.services.providers.chains import make_steps

        guard = ServiceGuard(
            one,
            (self._make_service or kinds.make_service)(one, self._guardian),
            timeout=settings.seconds(one.timeout),
            clock=self._clock,
            steps=lambda cache: make_steps(one.fallback, settings.fallback, cache, one.name),
            rng=self._rng,
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
        await _stop(self._guards.values())
        await self._guardian.close()

    def exchange(self, settings: Settings) -> tuple[Exchange, Callable[[], Awaitable[None]]]:
        """Put new settings in force: the services that they add, remove or change are exchanged at once,
        all others left as they are. Answers which, and what stops the old ones and starts the new."""
        before, after = self._settings, settings
        was = {one.name: one for one in before.services}
        now = {one.name: one for one in after.services}
        replaced = tuple(
            name
            for name in now
            if name in was and _effective(was[name], before) != _effective(now[name], after)
        )
        done = Exchange(
            tuple(name for name in now if name not in was),
            tuple(name for name in was if name not in now),
            replaced,
        )
        old = [self._guards[name] for name in (*done.removed, *done.replaced)]
        new = {name: self._make(now[name], after) for name in (*done.added, *done.replaced)}
        kept = {name: new.get(name) or self._guards[name] for name in now}
        self._settings, self._guards = settings, kept
        for guard in old:
            self._part_from(guard, new.get(guard.name))

        async def carry_out() -> None:
            await _stop(old)
            await asyncio.gather(*(guard.start() for guard in new.values()))

        return done, carry_out

    def _part_from(self, old: ServiceGuard, new: ServiceGuard | None) -> None:
        """Hear no more of a guard. What was wrong with it is its successor's until that says otherwise."""
        old.on_health = lambda name, kind, health, why: None
        old.on_degraded = lambda name, degraded, step: None
        self._judged.set()
        if new is None:
            self._failing.pop(old.name, None)
        elif old.fallback.active is not None:
            reason = f"{old.name}: its settings were changed"
            self.on_change(ServiceChange(old.name, old.settings.kind, "fallback", True, reason, False))

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


async def _stop(guards: Iterable[ServiceGuard]) -> None:
    ending = list(guards)
    results = await asyncio.gather(*(guard.stop() for guard in ending), return_exceptions=True)
    for guard, result in zip(ending, results, strict=True):
        if isinstance(result, Exception):
            logger.error("service %s did not stop in order", guard.name, exc_info=result)


def _effective(one: ServiceSettings, settings: Settings) -> tuple[object, ...]:
    """All that a service is made from."""
    return one, settings.seconds(one.timeout), settings.fallback if one.fallback else None
