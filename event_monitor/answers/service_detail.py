"""Gathers all that is known of one service, or of a target, for a person who looks into it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from event_monitor.breakers import TARGET, BreakerDesk
from event_monitor.bus.lane import Lane
from event_monitor.clock import Clock, to_iso
from event_monitor.errors import NotFound
from event_monitor.messages import GetService
from event_monitor.model import PRIORITIES
from event_monitor.replies import general as r
from event_monitor.resilience.breaker import CircuitBreaker
from event_monitor.services.guard import ServiceGuard
from event_monitor.services.registry import ServiceRegistry

_CHANGES = 10
_PROBES = 10
_ERRORS = 5


class ServiceDetails:
    """Answers ``GetService`` from the live parts, without touching the disk."""

    def __init__(
        self, services: ServiceRegistry, breakers: BreakerDesk, lanes: dict[str, Lane], clock: Clock
    ) -> None:
        self._services = services
        self._breakers = breakers
        self._lanes = lanes
        self._clock = clock

    async def answer(self, message: GetService) -> r.ServiceDetail:
        """Raises ``NotFound``."""
        guard = self._services.get(message.name)
        if guard is not None:
            return self._service(guard)
        lane = self._lanes.get(message.name.removeprefix(TARGET)) if message.name.startswith(TARGET) else None
        if lane is None or lane.breaker is None:
            known = ", ".join(sorted({*self._services, *self._breakers.names})) or "none is configured"
            raise NotFound(f"no service or target is named {message.name[:80]}", f"known: {known}")
        return self._target(message.name, lane, lane.breaker)

    def _service(self, guard: ServiceGuard) -> r.ServiceDetail:
        startup, readiness, liveness = (verdict.value for verdict in guard.verdicts())
        due = guard.monitor.next_check()
        probes = list(guard.recent)
        return r.ServiceDetail(
            service=guard.name,
            kind=guard.settings.kind,
            startup=startup,
            readiness=readiness,
            liveness=liveness,
            fallback=guard.fallback.active,
            error=next((result.error for _, result in reversed(probes) if result.error), None),
            details=guard.service.describe(),
            calls_per_second=round(guard.rate.per_second(), 1),
            calls=guard.rate.series(),
            latency_ms=guard.latency.percentiles(),
            p95_ms=guard.latency.series(),
            probes=[
                r.ProbeAnswer(
                    at=at, check=result.kind.value, ms=round(result.seconds * 1_000, 3), error=result.error
                )
                for at, result in probes[-_PROBES:]
            ],
            next_probe_in=max(0.0, due - self._clock.monotonic()) if due is not None else None,
            bulkhead=_bulkhead(guard),
            budget=_budget(guard),
            fallbacks=_fallbacks(guard),
            **self._breaker(guard.name, guard.breaker),
        )

    def _target(self, name: str, lane: Lane, breaker: CircuitBreaker) -> r.ServiceDetail:
        on_disk = sum(map(lane.on_disk, range(len(PRIORITIES))))
        return r.ServiceDetail(
            service=name,
            kind="target",
            startup="unknown",
            readiness="unknown",
            liveness="unknown",
            bulkhead=r.BulkheadReport(
                busy=lane.busy,
                max_concurrent=lane.concurrency,
                waiting=lane.waiting + on_disk,
                on_disk=on_disk,
            ),
            deliveries=r.DeliveryReport(
                handled=lane.handled,
                failed=lane.failed,
                timed_out=lane.timeouts,
                abandoned=len(lane.abandoned),
                parked=lane.parked,
            ),
            **self._breaker(name, breaker),
        )

    def _breaker(self, name: str, breaker: CircuitBreaker) -> dict[str, Any]:
        """What is the same for both."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        history = self._breakers.history(name)
        return {
            "breaker": breaker.state.value,
            "circuit": self._breakers.report(name),
            "timeline": history.timeline(now),
            "changes": history.moves(_CHANGES),
            "counters": asdict(breaker.counters),
            "errors": [
                r.ErrorLine(error=one.text, count=one.count, last_at=to_iso(wall - (now - one.last_at)))
                for one in breaker.errors.newest(_ERRORS)
            ],
        }


def _bulkhead(guard: ServiceGuard) -> r.BulkheadReport:
    bulkhead = guard.bulkhead
    return r.BulkheadReport(
        busy=bulkhead.busy,
        max_concurrent=bulkhead.max_concurrent,
        waiting=bulkhead.waiting,
        queue_size=bulkhead.queue_size,
        rejected=bulkhead.counters.rejected,
        timed_out=bulkhead.counters.timed_out,
    )


def _budget(guard: ServiceGuard) -> r.BudgetReport | None:
    budget = guard.pipeline.budget
    if budget is None:
        return None
    return r.BudgetReport(used=budget.used, allowed=budget.allowed, refused=budget.counters.refused)


def _fallbacks(guard: ServiceGuard) -> r.FallbackReport | None:
    chain = guard.fallback
    if not chain.steps:
        return None
    counters = chain.counters
    return r.FallbackReport(
        steps=[step.name for step in chain.steps],
        active=chain.active,
        primary=counters.primary,
        fallback=counters.fallback,
        exhausted=counters.exhausted,
    )
