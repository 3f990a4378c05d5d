"""Results that nobody measured, to draw reports from."""

from __future__ import annotations

from typing import Any

import msgspec

from event_monitor.chaos.results import (
    Account,
    CascadeResult,
    CascadeSide,
    ChaosReport,
    FaultMark,
    Latency,
    Sample,
    ScenarioResult,
    StateMark,
)

SCENARIO = ScenarioResult(
    name="bus-killed",
    group="recovery",
    title="The bus is killed under load and started again",
    seed=7,
    started_at="2026-11-27T02:00:00Z",
    seconds=12.0,
    faults=(
        FaultMark(point="process.kill", detail="at once", began=2.0, healed=3.0),
        FaultMark(point="store.write.slow", detail="0.2 s longer", began=6.0, healed=8.0),
    ),
    states=(
        StateMark(at=0.0, state="HEALTHY"),
        StateMark(at=2.5, state="FAILED", reason="the bus is gone"),
        StateMark(at=4.25, state="HEALTHY"),
    ),
    samples=tuple(
        Sample(
            at=float(second),
            published=100,
            handled=90 + second,
            queue_depth=None if second == 2 else 3 * second,
            latency_p95=4.0,
        )
        for second in range(12)
    ),
    account=Account(accepted=1_200, delivered=1_190, dead=7, expired=2, sampled=1, again=3, refused=44),
    latency=Latency(steady_p50=1.5, steady_p95=6.25, steady_p99=9.5, all_p95=210.0, all_max=2_345.0),
    recoveries=(1.25, 0.5),
    recovery_limit=10.0,
    deadlocks=0,
    notes=("its store was 3 MB",),
)

FAILED = msgspec.structs.replace(
    SCENARIO,
    name="disk-full",
    group="exhaustion",
    account=Account(accepted=1_000, delivered=999, lost=1),
    failures=("1 event is nowhere: chaos-17",),
    recoveries=(),
    samples=(),
    states=(),
    faults=(),
    latency=Latency(steady_p50=None, steady_p95=None, steady_p99=None, all_p95=None, all_max=None),
    deadlocks=1,
)

OFF = CascadeSide(
    calls=400,
    answered=300,
    own=25,
    cascaded=160,
    bystanders=(150, 40),
    latency_p95=912.0,
    per_second=((60, 10), (40, 90), (50, 60)),
    by_service={"frontend": (400, 100), "orders": (200, 60), "pricing": (90, 25)},
)
ON = CascadeSide(
    calls=400,
    answered=390,
    degraded=77,
    own=120,
    cascaded=20,
    bystanders=(150, 0),
    latency_p95=31.0,
    per_second=((60, 0), (59, 12), (58, 8)),
    by_service={"frontend": (400, 10), "orders": (200, 10), "pricing": (210, 120)},
)
CASCADE = CascadeResult(
    seed=7,
    seconds=3.0,
    services=("frontend", "orders", "pricing"),
    faults=(FaultMark(point="service.server.hang", detail="pricing hangs", began=1.0, healed=2.0),),
    off=OFF,
    on=ON,
)


def report(*scenarios: ScenarioResult, **changed: Any) -> ChaosReport:
    """A report of these scenarios, or of one that has passed."""
    plain = ChaosReport(
        version="0.1.0",
        command="event-cli chaos --seed 7",
        seed=7,
        started_at="2026-11-27T02:00:00Z",
        seconds=33.0,
        machine="a machine with 2 CPUs",
        scenarios=scenarios or (SCENARIO,),
        cascade=CASCADE,
    )
    return msgspec.structs.replace(plain, **changed)
