"""What ``event-cli chaos`` runs: scenarios one after the other, and a report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from event_monitor import __version__
from event_monitor.chaos.keeper import Keeper
from event_monitor.chaos.plan import Scenario
from event_monitor.chaos.points import POINTS
from event_monitor.chaos.progress import Progress
from event_monitor.chaos.results import ChaosReport, ScenarioResult
from event_monitor.chaos.run import run_scenario
from event_monitor.chaos.scenarios import SCENARIOS
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.breaking import DURATION, PATIENCE, SEED

INTERRUPTED = 130
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


def run_command(wanted: Wanted) -> int:
    """Run, print the report, and answer the exit status: 0 passed, 1 failed, 130 interrupted."""
    scenarios = chosen(wanted.scenarios)
    progress = Progress(len(scenarios))
    results: list[ScenarioResult] = []
    began, started_at = time.monotonic(), _now()
    try:
        with Keeper(Path(wanted.home).absolute() if wanted.home else None, keep=wanted.keep) as keeper:
            if wanted.keep or wanted.home:
                progress.say(f"its homes are kept in {keeper.directory}")
            whole = asyncio.run(_play(scenarios, wanted, keeper, progress, results.append))
    except EventMonitorError as error:
        progress.say(f"event-cli: {error}")
        return 1
    report = ChaosReport(
        version=__version__,
        command=command_line(wanted),
        seed=wanted.seed,
        started_at=started_at,
        seconds=round(time.monotonic() - began, 1),
        machine=f"{platform.platform(terse=True)}, {os.cpu_count()} CPUs, Python {platform.python_version()}",
        scenarios=tuple(results),
    )
    _show(report, wanted)
    if not whole:
        progress.say(f"interrupted: {len(results)} of {len(scenarios)} scenarios were run")
        return INTERRUPTED
    return 0 if report.passed else 1


async def _play(
    scenarios: Sequence[Scenario],
    wanted: Wanted,
    keeper: Keeper,
    progress: Progress,
    done: Callable[[ScenarioResult], None],
) -> bool:
    """Play one after the other; answers whether all were."""
    task = asyncio.current_task()
    assert task is not None
    with _cancelled_by_signals(task):
        try:
            for scenario in scenarios:
                progress.begin(scenario.name)
                result = await run_scenario(
                    scenario,
                    keeper,
                    seed=wanted.seed,
                    duration=wanted.duration,
                    patience=wanted.patience,
                    tell=progress.step,
                )
                progress.done(result)
                done(result)
        except asyncio.CancelledError:
            task.uncancel()
            return False
    return True


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
    text = msgspec.json.format(msgspec.json.encode(report)).decode()
    sys.stdout.write(f"{text}\n")
    if wanted.report:
        Path(wanted.report).write_text(f"{text}\n")


def list_all(output: str) -> int:
    """Print the scenarios and the fault points, a line each."""
    if output == "json":
        for scenario in SCENARIOS:
            row = {"scenario": scenario.name, "group": scenario.group, "title": scenario.title}
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
        for point in POINTS.values():
            row = {"point": point.name, "summary": point.summary}
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
        return 0
    sys.stdout.write("scenarios, by group\n")
    for scenario in SCENARIOS:
        sys.stdout.write(f"  {scenario.group:10}  {scenario.name:24}  {scenario.title}\n")
    sys.stdout.write("\nfault points\n")
    for point in POINTS.values():
        sys.stdout.write(f"  {point.name:26}  {point.summary}\n")
    return 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
