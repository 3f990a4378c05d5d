"""Days on virtual time, one after the other, as a table and as JSON."""

from __future__ import annotations

import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from event_monitor.model import SystemState
from tests.soak.day import Day, Seen
from tests.soak.judge import faults_of
from tests.virtual import run_on_one_thread

HEAD = (
    f"{'seed':>4}  {'digest':16}  {'events':>7}  {'outages':>7}  {'states':>6}  {'breakers':>8}  "
    f"{'dead':>5}  {'well after':>10}  {'took':>6}"
)


@dataclass
class DayReport:
    """What one seed has come to. ``wrong`` are invariants that do not hold."""

    seed: int
    hours: int
    digest: str
    events: int
    outages: int
    transitions: int
    by_state: dict[str, int]
    breaker_changes: int
    by_breaker: dict[str, int]
    dead: int
    healthy_after: float | None
    drained_after: float | None
    seconds: float
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """A row under ``HEAD``."""
        well = "never" if self.healthy_after is None else f"{self.healthy_after:.0f} s"
        return (
            f"{self.seed:4}  {self.digest:16}  {self.events:7,}  {self.outages:7}  {self.transitions:6}  "
            f"{self.breaker_changes:8}  {self.dead:5}  {well:>10}  {self.seconds:4.0f} s"
        )


def live(seed: int, hours: int) -> DayReport:
    """Let one day pass, and judge it."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="day-", dir=memory) as directory:
        home = Path(directory) / "home"
        begun = time.perf_counter()
        seen = run_on_one_thread(lambda: Day(home, seed, hours).pass_by())
        took = time.perf_counter() - begun
        return _report(seed, hours, seen, took, faults_of(seen, home))


def live_all(seeds: Iterable[int], hours: int, twice: bool, tell: Callable[[str], None]) -> list[DayReport]:
    """One day for each seed, or two, which must be the same."""
    # A day that goes as planned is full of warnings.
    logging.getLogger("event_monitor").setLevel(logging.CRITICAL)
    tell(HEAD)
    reports = []
    for seed in seeds:
        report = live(seed, hours)
        tell(report.line())
        if twice and (again := live(seed, hours)).digest != report.digest:
            report.wrong.append(f"a second time it went otherwise: {again.digest}")
        for line in report.wrong:
            tell(f"      {line}")
        reports.append(report)
    return reports


def to_json(reports: Iterable[DayReport]) -> list[dict[str, Any]]:
    """The reports as JSON has them."""
    return [asdict(report) for report in reports]


def _report(seed: int, hours: int, seen: Seen, took: float, wrong: list[str]) -> DayReport:
    reached = {state.value: sum(one.to_state is state for _, one in seen.states) for state in SystemState}
    return DayReport(
        seed=seed,
        hours=hours,
        digest=seen.digest(),
        events=len(seen.accepted),
        outages=len(seen.plan),
        transitions=len(seen.states),
        by_state=reached,
        breaker_changes=len(seen.breakers),
        by_breaker=dict(Counter(one.to_state.value for _, _, one in seen.breakers)),
        dead=sum(1 for _, one in seen.alerts if one.title.startswith("Dead letter")),
        healthy_after=seen.healthy_after,
        drained_after=seen.drained_after,
        seconds=round(took, 1),
        wrong=wrong,
    )
