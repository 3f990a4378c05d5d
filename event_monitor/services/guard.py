"""One service with all that protects it: breaker, bulkhead, deadline, retries, fallbacks and probes."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from event_monitor.bus.meters import LatencyMeter, RateMeter
from event_monitor.bus.trends import CallTrend
from event_monitor.clock import Clock, to_iso
from event_monitor.config import ServiceSettings
from event_monitor.model import ServiceView
from event_monitor.protection import make_breaker
from event_monitor.resilience.breaker import (
    BreakerChange,
    BreakerState,
    CircuitBreaker,
    CircuitOpenError,
    Permit,
)
from event_monitor.resilience.budget import RetryBudget
from event_monitor.resilience.bulkhead import Bulkhead
from event_monitor.resilience.fallback import Answer, AnswerCache, FallbackChain, Step
from event_monitor.resilience.health import (
    CheckKind,
    CheckPolicy,
    CheckResult,
    Health,
    HealthMonitor,
    Probe,
    Undecided,
)
from event_monitor.resilience.pipeline import Pipeline
from event_monitor.resilience.retry import PermanentError, RetryPolicy
from event_monitor.resilience.tally import told
from event_monitor.services.base import Service, Supervised

KEPT_PROBES = 30


class ServiceGuard:
    """Calls and watches one service.

    ``on_health`` hears each change of a verdict (kind, verdict, reason), ``on_degraded`` when answers
    begin and cease to come from a fallback. Readiness probes count on the breaker like calls: they
    are how it learns of a service that nobody calls through us.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        service: Service,
        *,
        timeout: float,
        clock: Clock,
        steps: Callable[[AnswerCache], Sequence[Step]] = lambda cache: (),
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings
        self.service = service
        self.name = settings.name
        self.on_health: Callable[[str, CheckKind, Health, str], None] = lambda name, kind, health, why: None
        self.on_degraded: Callable[[str, bool, str], None] = lambda name, degraded, step: None
        self.recent: deque[tuple[str, CheckResult]] = deque(maxlen=KEPT_PROBES)
        self.breaker = make_breaker(self.name, settings.breaker, clock, longest=timeout)
        self._clock = clock
        self.rate = RateMeter(clock.monotonic)
        self.latency = LatencyMeter(clock.monotonic)
        self.trend = CallTrend(clock.monotonic)
        cache = AnswerCache(clock.monotonic)
        self.fallback = FallbackChain(
            self.name,
            list(steps(cache)),
            cache,
            on_degraded=lambda degraded, step: self.on_degraded(self.name, degraded, step),
        )
        limits, retry = settings.bulkhead, settings.retry
        self.bulkhead = Bulkhead(limits.max_concurrent, limits.queue_size, limits.timeout, name=self.name)
        self.pipeline = Pipeline(
            self.name,
            timeout=timeout,
            breaker=self.breaker,
            bulkhead=self.bulkhead,
            policy=RetryPolicy(retry.strategy, retry.max_retries, retry.max_delay, retry.jitter),
            budget=RetryBudget(clock.monotonic),
            fallback=self.fallback,
            retry_on=lambda error: not isinstance(error, PermanentError),
            rng=rng,
        )
        probes = dict(service.probes())
        if CheckKind.READINESS in probes:
            probes[CheckKind.READINESS] = self._through_breaker(probes[CheckKind.READINESS])
        self.monitor = HealthMonitor(
            probes,
            {kind: _policy(getattr(settings.probes, kind.value)) for kind in CheckKind},
            on_change=self._health_changed,
            on_result=self._probed,
        )
        self._permit: Permit | None = None
        self._raised: Exception | None = None
        if isinstance(service, Supervised):
            service.on_crash = self._crashed
        self._tried_at = self._failed_at = float("-inf")
        self.breaker.listeners.append(self._breaker_changed)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the service and begin to probe it."""
        await self.service.start()
        self._task = asyncio.create_task(self.monitor.run(), name=f"health-{self.name}")

    async def stop(self) -> None:
        """Cease to probe and end what was started."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._permit is not None:
            self._permit.release()
        await self.service.stop()

    async def call(self, operation: str, **arguments: Any) -> Answer[Any]:
        """Do something through all protection; the answer says where it came from and how old it is.

        Raises ``FallbacksExhausted``, ``CircuitOpenError``, ``BulkheadFull``, ``DeadlineExceeded``,
        ``RetriesExhausted`` or what the service raises.
        """
        self.rate.add()
        started = self._clock.monotonic()
        try:
            answer = await self.pipeline.ask(self.service.call, operation, **arguments)
        except Exception as error:
            if not isinstance(error, PermanentError):
                self.trend.add(self._clock.monotonic() - started, failed=True)
            raise
        seconds = self._clock.monotonic() - started
        self.trend.add(seconds, failed=answer.degraded)
        if not answer.degraded:
            self.latency.add(seconds)
        return answer

    async def recover(self, reason: str) -> str:
        """Begin afresh and let the next call try. A service that is well is left alone, and a breaker
        that has tried or closed less than its recovery time ago is not hurried: a service that comes
        and goes would else make it open as often as it goes."""
        if self.is_well():
            return f"{self.name} is well: nothing was done"
        if self._clock.monotonic() - self._tried_at >= self.breaker.recovery_timeout:
            self.breaker.half_open("recovery", reason)
        if isinstance(self.service, Supervised):
            await self.service.recover(reason, self._failed_at)
        else:
            await self.service.restart(reason)
        return f"{self.name} begins afresh"

    def is_well(self) -> bool:
        """Whether calls pass and no verdict is against it."""
        return self.breaker.would_pass() and Health.FAIL not in self.verdicts()

    def verdicts(self) -> tuple[Health, Health, Health]:
        """Startup, readiness and liveness."""
        health = self.monitor.health
        return health(CheckKind.STARTUP), health(CheckKind.READINESS), health(CheckKind.LIVENESS)

    def view(self) -> ServiceView:
        """Its line in the services' table."""
        breaker = self.breaker
        due = self.monitor.next_check()
        startup, readiness, liveness = (verdict.value for verdict in self.verdicts())
        wait = breaker.retry_after
        return ServiceView(
            name=self.name,
            kind=self.settings.kind,
            breaker=breaker.state.value,
            forced=breaker.forced.value if breaker.forced is not None else None,
            failure_count=breaker.failure_count,
            failure_threshold=breaker.failure_threshold,
            calls_per_second=round(self.rate.per_second(), 1),
            p95_ms=self.latency.percentiles().p95,
            busy=self.bulkhead.busy,
            max_concurrent=self.bulkhead.max_concurrent,
            health=(startup, readiness, liveness),
            fallback=self.fallback.active,
            retry_after=wait if 0 < wait < float("inf") else None,
            next_probe_in=max(0.0, due - self._clock.monotonic()) if due is not None else None,
            note=self._note(),
            slowest_ms=self.trend.slowest_ms(),
            failures=self.trend.failures(),
        )

    def _note(self) -> str:
        if self.breaker.forced is not None:
            return (
                f'"{self.breaker.forced_reason}"'
                if self.breaker.forced_reason
                else f"by {self.breaker.forced_by}"
            )
        last = self.recent[-1][1].error if self.recent else None
        return last or ""

    # --- probes -----------------------------------------------------------------------------

    def _through_breaker(self, probe: Probe) -> Probe:
        async def run() -> None:
            try:
                self._permit = self.breaker.acquire()
            except CircuitOpenError:
                self._permit = None
            self._raised = None
            try:
                await probe()
            except Undecided:
                if self._permit is not None:
                    self._permit.release()
                    self._permit = None
                raise
            except Exception as error:
                self._raised = error
                raise

        return run

    def _breaker_changed(self, _: CircuitBreaker, change: BreakerChange) -> None:
        if change.to_state is BreakerState.OPEN:
            self._failed_at = change.at
        else:
            self._tried_at = change.at

    def _crashed(self, why: str) -> None:
        text = f"its process ended: {why}"
        self.breaker.errors.add(text, self._clock.monotonic())
        self.monitor.fail(CheckKind.READINESS, text)

    def _probed(self, result: CheckResult) -> None:
        """Take a probe's answer. The monitor's word counts: only it knows a probe that was too slow,
        and so was cancelled, from one that was cancelled because all ends."""
        self.recent.append((to_iso(self._clock.wall()), result))
        self.trend.add(result.seconds, failed=result.error is not None)
        if result.kind is not CheckKind.READINESS:
            if result.error is not None:
                self.breaker.errors.add(result.error, self._clock.monotonic())
            return
        permit, self._permit = self._permit, None
        failure = self._raised or TimeoutError(result.error)
        if result.error is None:
            if permit is not None:
                permit.success()
        elif permit is not None:
            permit.failure(failure)
        else:
            self.breaker.errors.add(told(failure), self._clock.monotonic())

    def _health_changed(self, kind: CheckKind, health: Health, reason: str) -> None:
        if health is Health.FAIL:
            self._failed_at = self._clock.monotonic()
        self.on_health(self.name, kind, health, reason)


def _policy(settings: Any) -> CheckPolicy:
    return CheckPolicy(settings.interval, settings.limit, settings.failures, settings.successes)
