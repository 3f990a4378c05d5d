"""Memory, descriptors, ages and room on the disk: told once, with what to do, and over by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.config import RetrySettings, TargetSettings, WatchSettings
from event_monitor.model import Event, SystemState
from event_monitor.system import figures
from event_monitor.system.resources import GrowthMeter, Threshold, read_usage
from event_monitor.system.watchdog import Watchdog
from tests.system.watching import MIB, ROOMY, watched
from tests.virtual import database_counted, run_virtual


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with database_counted(monkeypatch):
        yield


@pytest.mark.parametrize(
    ("title", "bad", "near", "good"),
    [
        (figures.MEMORY, {"rss_bytes": 600 * MIB}, {"rss_bytes": 500 * MIB}, {}),
        (figures.DESCRIPTORS, {"fds": 900}, {"fds": 780}, {}),
        (figures.DISK, {"disk_free": 10 * MIB}, {"disk_free": 80 * MIB}, {}),
    ],
)
def test_a_figure_past_its_limit_is_one_alert_until_it_is_well_below(
    tmp_path: Path, title: str, bad: dict[str, int], near: dict[str, int], good: dict[str, int]
) -> None:
    async def main() -> None:
        async with watched(tmp_path) as scene:
            for usage in (good, bad, near, bad, near):
                scene.usage = replace(ROOMY, **usage)
                await scene.figures.look()
            alert = scene.told(title)
            assert alert.count == 1 and not alert.acknowledged
            assert ": " in alert.detail, "it says what to do"
            scene.usage = ROOMY
            await scene.figures.look()
            assert scene.told(title).acknowledged and "over since" in scene.told(title).detail
            await asyncio.sleep(61)
            scene.usage = replace(ROOMY, **bad)
            await scene.figures.look()
            assert scene.titles == [title], "raised again, as another alert"

    run_virtual(main)


def test_the_reader_that_a_later_checkpoint_meets_is_named_in_the_same_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with watched(tmp_path, WatchSettings(wal=1)) as scene:
            await scene.bus.publish("a.b", {})
            monkeypatch.setattr(figures, "open_elsewhere", lambda path: ["sqlite3 (42)"])
            await scene.figures.look()
            alert = scene.told(figures.LOG)
            assert "sqlite3" not in alert.detail, "nothing is known to be in the way"
            monkeypatch.setattr(type(scene.bus.store), "pinned", True)
            await scene.figures.look()
            named = scene.told(figures.LOG)
            assert "sqlite3 (42)" in named.detail
            assert (named.id, named.count) == (alert.id, 1)

    run_virtual(main)


def test_a_disk_that_is_nearly_full_is_degraded_once_and_does_not_flap(tmp_path: Path) -> None:
    """Writes pass and fail in turn for ten minutes; room comes and goes around the limit."""

    async def main() -> None:
        async with watched(tmp_path) as scene:
            scene.states.clear()
            for step in range(120):
                scene.usage = replace(ROOMY, disk_free=(60 + step % 3 * 10) * MIB)
                await scene.figures.look()
                scene.driver.fail("store", "the event store cannot be written")
                scene.driver.clear("store", "the event store can be written again", after=6.0)
                await asyncio.sleep(5)
            assert scene.states == [SystemState.DEGRADED]
            scene.usage = ROOMY
            await scene.figures.look()
            await asyncio.sleep(7)
            await scene.driver.settle()
            assert scene.states == [SystemState.DEGRADED, SystemState.RECOVERING, SystemState.HEALTHY]

    run_virtual(main)


def test_what_fails_again_before_its_time_stays_wrong(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as scene:
            scene.states.clear()
            for _ in range(20):
                scene.driver.fail("store", "no room")
                await asyncio.sleep(2)
                scene.driver.clear("store", "written", after=6.0)
                await asyncio.sleep(3)
            scene.driver.fail("store", "no room")
            await asyncio.sleep(60)
            assert scene.states == [SystemState.DEGRADED]
            scene.driver.clear("store", "written", after=6.0)
            await asyncio.sleep(7)
            assert scene.machine.state is SystemState.HEALTHY

    run_virtual(main)


def test_an_event_that_waits_too_long_is_told_with_its_target_but_not_while_all_is_held(
    tmp_path: Path,
) -> None:
    async def slow(event: Event) -> None:
        await asyncio.sleep(1_000)

    async def main() -> None:
        async with watched(tmp_path, WatchSettings(queue_age=60)) as scene:
            once = TargetSettings(timeout=2_000.0, retry=RetrySettings(max_retries=0))
            scene.bus.subscribe("a", slow, name="slow", settings=once)
            for _ in range(2):
                await scene.bus.publish("a")
            await asyncio.sleep(90)
            scene.bus.dispatcher.hold(True)
            await scene.figures.look()
            assert not scene.titles
            scene.bus.dispatcher.hold(False)
            await scene.figures.look()
            assert "most of them for slow" in scene.told(figures.AGE).detail

    run_virtual(main)


def test_the_figures_are_looked_at_again_and_again_until_the_watchdog_stops(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path, WatchSettings(interval=5.0)) as scene:
            looked: list[float] = []

            async def look() -> None:
                looked.append(asyncio.get_running_loop().time())

            scene.figures.look = look  # type: ignore[method-assign]
            dog: Watchdog = scene.dog
            dog.stalls.start = lambda: None  # type: ignore[method-assign]
            dog.start()
            await asyncio.sleep(58)
            await dog.stop()
            assert len(looked) == 12
            await asyncio.sleep(60)
            assert len(looked) == 12

    run_virtual(main)


def _grow(shape: Callable[[int], float]) -> float:
    now = 0.0
    meter = GrowthMeter(lambda: now)
    growth = 0.0
    for minute in range(60):
        now = 60.0 * minute
        growth = meter.add(shape(minute))
    return growth


def test_growth_is_what_rises_all_the_time() -> None:
    assert _grow(lambda minute: 100 + 3 * minute) == pytest.approx(3)
    assert _grow(lambda minute: 500 if minute > 44 else 100) < 1, "a step is no growth"
    assert _grow(lambda minute: 100 + minute % 7) < 1
    assert _grow(lambda minute: 1_000 - minute) == 0
    meter = GrowthMeter(lambda: 0.0)
    assert meter.add(1) == 0 and meter.add(1e9) == 0, "too early to tell"


@given(
    limit=st.floats(1, 1e6),
    least=st.booleans(),
    values=st.lists(st.floats(0, 2e6), max_size=50),
)
def test_a_threshold_changes_only_beyond_its_edges(limit: float, least: bool, values: list[float]) -> None:
    clear = limit * 1.5 if least else limit * 0.9
    threshold = Threshold(limit, clear)
    for value in values:
        before = threshold.crossed
        changed = threshold.update(value)
        assert changed == (threshold.crossed is not before)
        if least:
            assert threshold.crossed if value <= limit else True
            assert not threshold.crossed if value > clear else True
            assert not changed if limit < value <= clear else True
        else:
            assert threshold.crossed if value >= limit else True
            assert not threshold.crossed if value < clear else True
            assert not changed if clear <= value < limit else True


def test_the_real_figures_are_those_of_this_process(tmp_path: Path) -> None:
    before = read_usage(tmp_path)
    opened = [open(tmp_path / str(number), "w") for number in range(10)]  # noqa: SIM115 - closed below
    after = read_usage(tmp_path)
    for file in opened:
        file.close()
    assert after.fds == before.fds + 10
    assert after.rss_bytes > 10 * MIB and after.disk_free > 0 and after.threads >= 1
