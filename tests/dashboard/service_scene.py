"""Fixed services, targets and states for tests and pictures."""

from __future__ import annotations

from event_monitor.model import Latency, ServiceView, SystemState, Transition
from event_monitor.replies.general import (
    BreakerMove,
    BreakerReport,
    BudgetReport,
    BulkheadReport,
    DeliveryReport,
    ErrorLine,
    FallbackReport,
    ProbeAnswer,
    ServiceDetail,
    StateReport,
)

_REFUSED = "ServiceDown: 127.0.0.1:8080: Connection refused"


_WELL = (0,) * 30
_SWIFT = tuple(3.0 + step % 5 for step in range(30))
_SLOWER = tuple(8.0 + 2.3 * step for step in range(30))


def table() -> tuple[ServiceView, ...]:
    """Services in every state, and a target that is held open."""
    well = ("pass", "pass", "pass")
    return (
        ServiceView(
            name="filesystem",
            kind="mcp",
            breaker="CLOSED",
            calls_per_second=12.0,
            p95_ms=4.0,
            busy=1,
            health=well,
            next_probe_in=7.0,
            slowest_ms=_SWIFT,
            failures=_WELL,
        ),
        ServiceView(
            name="github",
            kind="http",
            breaker="OPEN",
            failure_count=5,
            health=("pass", "fail", "pass"),
            fallback="git_cli",
            note=_REFUSED,
            retry_after=21.0,
            next_probe_in=3.0,
            slowest_ms=(*_SLOWER[:22], *[None] * 8),
            failures=(*_WELL[:22], 2, 1, 1, 1, 0, 0, 0, 1),
        ),
        ServiceView(
            name="memory",
            kind="mcp",
            breaker="HALF_OPEN",
            failure_count=2,
            calls_per_second=0.1,
            p95_ms=31.0,
            busy=1,
            health=well,
            slowest_ms=(*[None] * 24, 31.0, 30.0, 28.0, None, 31.0, 30.0),
            failures=(*_WELL[:12], 1, 0, 1, *_WELL[:15]),
        ),
        ServiceView(
            name="web_search",
            kind="http",
            breaker="OPEN",
            forced="open",
            health=well,
            note='"deploy"',
            slowest_ms=_SWIFT,
            failures=_WELL,
        ),
        ServiceView(
            name="target:log",
            kind="target",
            breaker="OPEN",
            failure_count=5,
            max_concurrent=1,
            note="8 parked",
        ),
    )


def failing() -> ServiceDetail:
    """A service over HTTP that has gone down, answered for by a fallback."""
    return ServiceDetail(
        service="github",
        kind="http",
        startup="pass",
        readiness="fail",
        liveness="pass",
        breaker="OPEN",
        circuit=BreakerReport(
            service="github",
            state="OPEN",
            failure_count=5,
            forced=None,
            retry_after=21.0,
            since="2026-03-14T15:41:43.000000Z",
            reason=f"5 failures in a row ({_REFUSED})",
            last_error=_REFUSED,
        ),
        timeline=["UNKNOWN"] * 14
        + ["CLOSED"] * 24
        + ["OPEN"] * 4
        + ["HALF_OPEN"]
        + ["CLOSED"] * 15
        + ["OPEN"] * 2,
        changes=[
            _move("15:20:10", "CLOSED", "OPEN", "7 of the last 20 calls failed"),
            _move("15:24:10", "OPEN", "HALF_OPEN", "the recovery time has passed"),
            _move("15:25:02", "HALF_OPEN", "CLOSED", "proxy replaced", "ada (dashboard)"),
            _move("15:41:43", "CLOSED", "OPEN", f"5 failures in a row ({_REFUSED})"),
        ],
        counters={
            "successes": 1_204,
            "failures": 31,
            "slow": 2,
            "rejected": 12,
            "ignored": 3,
            "cancelled": 1,
            "late": 1,
            "opened": 2,
        },
        errors=[
            ErrorLine(error=_REFUSED, count=31, last_at="2026-03-14T15:42:01.000000Z"),
            ErrorLine(
                error="TimeoutError: no answer within 10 s", count=2, last_at="2026-03-14T15:20:09.000000Z"
            ),
        ],
        bulkhead=BulkheadReport(busy=1, max_concurrent=10, waiting=0, queue_size=50, rejected=4, timed_out=1),
        fallback="git_cli",
        error=_REFUSED,
        details={
            "transport": "http",
            "address": "127.0.0.1:8080",
            "last_status": 200,
            "env": {"TOKEN": "hunter2"},
        },
        calls_per_second=1.2,
        calls=tuple(second % 7 for second in range(119)),
        latency_ms=Latency(3.1, 4.2, 31.0),
        p95_ms=tuple(31.0 if second in (20, 21, 44) else 3.0 + second % 4 / 2 for second in range(59)),
        probes=[
            ProbeAnswer(
                at=f"2026-03-14T15:{40 + at // 60}:{at % 60:02}.000000Z", check=check, ms=ms, error=error
            )
            for at, check, ms, error in (
                (35, "readiness", 3.1, None),
                (45, "readiness", 2.9, None),
                (60, "liveness", 1.2, None),
                (65, "readiness", 3.3, None),
                (75, "readiness", 2_003.0, "no answer within 2 s"),
                (85, "readiness", 0.4, _REFUSED),
                (90, "liveness", 0.6, None),
                (95, "readiness", 0.5, _REFUSED),
                (105, "readiness", 0.4, _REFUSED),
                (121, "readiness", 0.4, _REFUSED),
            )
        ],
        next_probe_in=4.0,
        budget=BudgetReport(used=2, allowed=12, refused=7),
        fallbacks=FallbackReport(
            steps=["git_cli", "local_git", "cached_data"],
            active="git_cli",
            primary=1_180,
            fallback=42,
            exhausted=1,
        ),
    )


def parked() -> ServiceDetail:
    """A target that a person holds open."""
    return ServiceDetail(
        service="target:log",
        kind="target",
        startup="unknown",
        readiness="unknown",
        liveness="unknown",
        breaker="OPEN",
        circuit=BreakerReport(
            service="target:log",
            state="OPEN",
            failure_count=0,
            forced="open",
            retry_after=None,
            forced_by="ada (event-cli)",
            forced_reason="disk is being replaced",
            parked=208,
            since="2026-03-14T15:38:00.000000Z",
            reason="disk is being replaced",
            by="ada (event-cli)",
        ),
        timeline=["CLOSED"] * 55 + ["OPEN"] * 5,
        changes=[_move("15:38:00", "CLOSED", "OPEN", "disk is being replaced", "ada (event-cli)")],
        counters={"successes": 90, "failures": 1},
        errors=[
            ErrorLine(
                error="OSError: No space left on device", count=1, last_at="2026-03-14T15:37:58.000000Z"
            )
        ],
        bulkhead=BulkheadReport(busy=0, max_concurrent=1, waiting=208, on_disk=200),
        deliveries=DeliveryReport(handled=91, failed=1, timed_out=0, abandoned=0, parked=208),
    )


def state_report() -> StateReport:
    """A history over two days with a refused transition in it."""
    return StateReport(
        state=SystemState.HEALTHY,
        since="2026-03-14T15:40:02.000000Z",
        reason="github: all checks pass again",
        history=[
            _transition("13T22:10:00", "HEALTHY", "MAINTENANCE", "planned downtime by ada: upgrade"),
            _transition("13T22:31:00", "MAINTENANCE", "INITIALIZING", "maintenance ended by ada"),
            _transition("13T22:31:01", "INITIALIZING", "HEALTHY", "all startup checks passed"),
            _transition("14T15:39:01", "HEALTHY", "DEGRADED", "github: breaker open: 5 failures in a row"),
            _transition("14T15:39:31", "DEGRADED", "RECOVERING", "recovering: github: breaker half-open"),
            _transition("14T15:40:02", "RECOVERING", "HEALTHY", "github: all checks pass again"),
        ],
        refused=[_transition("14T15:39:10", "DEGRADED", "HEALTHY", "the store accepts events again")],
    )


def _move(time: str, before: str, after: str, reason: str, by: str | None = None) -> BreakerMove:
    return BreakerMove(
        at=f"2026-03-14T{time}.000000Z", from_state=before, to_state=after, reason=reason, by=by
    )


def _transition(moment: str, before: str, after: str, reason: str) -> Transition:
    return Transition(
        from_state=SystemState(before),
        to_state=SystemState(after),
        at=f"2026-03-{moment}.000000Z",
        reason=reason,
    )
