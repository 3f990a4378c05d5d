"""What ``event-cli chaos`` runs: scenarios one after the other, and a report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from event_monitor import __version__
from event_monitor.chaos.cascade import run_cascade
from event_monitor.chaos.keeper import Keeper
from event_monitor.chaos.plan import Scenario
from event_monitor.chaos.points import POINTS
from event_monitor.chaos.progress import Progress
from event_monitor.chaos.report import as_json, as_table, write_report
from event_monitor.chaos.report_table import WIDE
from event_monitor.chaos.results import CascadeResult, ChaosReport, ScenarioResult
from event_monitor.chaos.run import run_scenario
from event_monitor.chaos.scenarios import SCENARIOS
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.breaking import CASCADE, DURATION, PATIENCE, SEED

INTERRUPTED = 130
COMPARISON = "A chain of services in which one fails: without the resilience layer, and with it"
# Of a scenario's length is the comparison's, which has several faults.
_COMPARED = 3.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is asked for. ``home`` is a new directory that stays; ``keep`` lets the one among the
    temporary files stay."""

    scenarios: tuple[str, ...] = ()
    seed: int = SEED
    duration: float = DURATION
    patience: float = PATIENCE
    report: str | None = None
    output: str = "json"
    home: str | None = None
    keep: bool = False


def chosen(names: Sequence[str]) -> list[Scenario]:
    """The scenarios of these names or groups, each once; all, if none is named."""
    return [one for one in SCENARIOS if not names or one.name in names or one.group in names]


def cascades(names: Sequence[str]) -> bool:
    """Whether the comparison is among them."""
    return not names or CASCADE in names


def run_command(wanted: Wanted) -> int:
    """Run, print the report, and answer the exit status: 0 passed, 1 failed, 130 interrupted."""
    run = _Run(wanted)
    began, started_at = time.monotonic(), _now()
    try:
        with Keeper(Path(wanted.home).absolute() if wanted.home else None, keep=wanted.keep) as keeper:
            if wanted.keep or wanted.home:
                run.progress.say(f"its homes are kept in {keeper.directory}")
            whole = asyncio.run(run.play(keeper))
    except EventMonitorError as error:
        run.progress.say(f"event-cli: {error}")
        return 1
    report = ChaosReport(
        version=__version__,
        command=command_line(wanted),
        seed=wanted.seed,
        started_at=started_at,
        seconds=round(time.monotonic() - began, 1),
        machine=f"{platform.platform(terse=True)}, {os.cpu_count()} CPUs, Python {platform.python_version()}",
        scenarios=tuple(run.results),
        cascade=run.cascade,
    )
    _show(report, wanted)
    if not whole:
        run.progress.say(f"interrupted: {run.done} of {run.total} scenarios were run")
        return INTERRUPTED
    return 0 if report.passed else 1


class _Run:
    """What is played, and what has come of it so far."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._scenarios = chosen(wanted.scenarios)
        self._cascades = cascades(wanted.scenarios)
        self.results: list[ScenarioResult] = []
        self.cascade: CascadeResult | None = None
        self.total = len(self._scenarios) + self._cascades
        self.progress = Progress(self.total)

    @property
    def done(self) -> int:
        """How many were played to their end."""
        return len(self.results) + (self.cascade is not None)

    async def play(self, keeper: Keeper) -> bool:
        """Play one after the other; answers whether all were."""
        task = asyncio.current_task()
        assert task is not None
        with _cancelled_by_signals(task):
            try:
                for scenario in self._scenarios:
                    await self._play(scenario, keeper)
                if self._cascades:
                    await self._compare()
            except asyncio.CancelledError:
                task.uncancel()
                return False
        return True

    async def _play(self, scenario: Scenario, keeper: Keeper) -> None:
        wanted = self._wanted
        self.progress.begin(scenario.name)
        result = await run_scenario(
            scenario,
            keeper,
            seed=wanted.seed,
            duration=wanted.duration,
            patience=wanted.patience,
            tell=self.progress.step,
        )
        self.progress.done(result)
        self.results.append(result)

    async def _compare(self) -> None:
        self.progress.begin(CASCADE)
        seconds = _COMPARED * self._wanted.duration
        self.cascade = await run_cascade(self._wanted.seed, seconds, self.progress.step)
        self.progress.compared(self.cascade)


@contextlib.contextmanager
def _cancelled_by_signals(task: asyncio.Task[object]) -> Iterator[None]:
    """End in order at Ctrl+C; a second one changes nothing."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        for number in _SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def command_line(wanted: Wanted) -> str:
    """What is typed to run the same again."""
    words = ["event-cli", "chaos", *wanted.scenarios, "--seed", str(wanted.seed)]
    if wanted.duration != DURATION:
        words += ["--duration", f"{wanted.duration:g}"]
    if wanted.patience != PATIENCE:
        words += ["--patience", f"{wanted.patience:g}"]
    return " ".join(words)


def _show(report: ChaosReport, wanted: Wanted) -> None:
    width = shutil.get_terminal_size().columns
    _print(as_json(report) if wanted.output == "json" else as_table(report, min(width, WIDE)))
    if wanted.report:
        write_report(report, wanted.report)


class ListedScenario(msgspec.Struct, frozen=True):
    """A scenario, and what goes wrong in it."""

    scenario: str
    group: str
    title: str


class ListedPoint(msgspec.Struct, frozen=True):
    """A fault point, and what is spoilt there."""

    point: str
    summary: str


def list_all(output: str) -> int:
    """Print the scenarios and the fault points, a line each."""
    scenarios = [ListedScenario(one.name, one.group, one.title) for one in SCENARIOS]
    scenarios.append(ListedScenario(CASCADE, CASCADE, COMPARISON))
    points = [ListedPoint(one.name, one.summary) for one in POINTS.values()]
    if output == "json":
        lines = [msgspec.json.encode(one).decode() for one in (*scenarios, *points)]
    else:
        lines = ["scenarios, by group"]
        lines += [f"  {one.group:10}  {one.scenario:24}  {one.title}" for one in scenarios]
        lines += ["", "fault points"]
        lines += [f"  {one.point:26}  {one.summary}" for one in points]
    return _print("".join(f"{line}\n" for line in lines))


def _print(text: str) -> int:
    """Write to stdout, unless nobody reads it any more."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(text)
        sys.stdout.flush()
        return 0
    # The interpreter would try again at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
