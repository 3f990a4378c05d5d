"""A replay keeps the recorded gaps, whatever they are, at any speed and over any pauses."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.bus.replay.pace import Pace
from event_monitor.clock import LoopClock, to_iso
from event_monitor.messages import ControlReplay, Speed, StartReplay
from event_monitor.model import Event
from tests.bus.helpers import settings as bus_settings
from tests.bus.replaying import LONG_AGO, ended, record
from tests.virtual import database_counted, run_virtual

SPAN = {"since": to_iso(LONG_AGO), "until": to_iso(LONG_AGO + 1e8)}
# A replayed event is seen by its handler so soon after its time, in seconds.
SOON = 0.05

gaps = st.lists(st.sampled_from([0.0, 1e-6, 0.001, 0.5, 3.0, 60.0]) | st.floats(0, 20), max_size=12)
speeds = st.sampled_from([0.1, 0.5, 1.0, 3.0, 100.0])


@contextlib.contextmanager
def on_virtual_time() -> Iterator[Path]:
    """A database file whose threads a virtual loop waits for."""
    with (
        tempfile.TemporaryDirectory() as directory,
        pytest.MonkeyPatch.context() as patch,
        database_counted(patch),
    ):
        yield Path(directory) / "events.db"


class RecordedTime:
    """What the replay's clock must show: the time that passes while it is not paused, times its speed."""

    def __init__(self, begun: float, speed: float) -> None:
        self.changes: list[tuple[float, float]] = [(begun, speed)]

    def at(self, now: float) -> float:
        passed = 0.0
        for (since, speed), (until, _) in zip(self.changes, [*self.changes[1:], (now, 0.0)], strict=True):
            passed += (min(now, until) - min(now, since)) * speed
        return passed


async def replay(
    path: Path, offsets: list[float], speed: float, pauses: list[tuple[float, float]]
) -> tuple[list[tuple[float, Event]], RecordedTime]:
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, lambda: LONG_AGO + 1e7 + loop.time())
    bus = await EventBus.open(path, settings=bus_settings(), clock=clock)
    seen: list[tuple[float, Event]] = []

    async def handler(event: Event) -> None:
        seen.append((loop.time(), event))

    bus.subscribe("#", handler, name="seen")
    async with bus:
        await record(bus, [(offset, "a.b", {"n": n}) for n, offset in enumerate(offsets)])
        desk = ReplayDesk(bus)
        await desk.start()
        begun = await desk.begin(StartReplay(**SPAN, speed=speed))
        model = RecordedTime(loop.time(), speed)
        for after, length in pauses:
            await asyncio.sleep(after)
            if desk.report(begun.id).state == "done":
                break
            model.changes.append((loop.time(), 0.0))
            await desk.control(ControlReplay(replay_id=begun.id, action="pause"))
            count = len(seen)
            await asyncio.sleep(length)
            assert len(seen) == count, "a paused replay published something"
            if desk.report(begun.id).state == "done":
                break
            model.changes.append((loop.time(), speed))
            await desk.control(ControlReplay(replay_id=begun.id, action="resume"))
        while desk.report(begun.id).state != "done":  # noqa: ASYNC110 - on virtual time
            await asyncio.sleep(1)
        await desk.stop()
    return seen, model


@settings(max_examples=30, deadline=None)
@given(gaps, speeds, st.lists(st.tuples(st.floats(0.01, 30), st.floats(0.5, 100)), max_size=3))
def test_each_event_comes_once_in_order_and_at_its_scaled_time(
    between: list[float], speed: float, pauses: list[tuple[float, float]]
) -> None:
    offsets = [sum(between[:n]) for n in range(len(between) + 1)]
    with on_virtual_time() as path:
        seen, model = run_virtual(lambda: replay(path, offsets, speed, pauses))
    assert [event.payload["n"] for _, event in seen] == list(range(len(offsets)))
    assert [event.replay_of for _, event in seen] == list(range(1, len(offsets) + 1))
    for (moment, _), offset in zip(seen, offsets, strict=True):
        reached = model.at(moment)
        assert reached >= offset - 1e-4 * speed - 2e-6, "earlier than its time"
        assert reached <= offset + SOON * speed, "later than its time"


@settings(max_examples=15, deadline=None)
@given(gaps, st.sampled_from(["max", 100.0]))
def test_at_max_nothing_is_waited_for(between: list[float], speed: Speed) -> None:
    async def main(path: Path) -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop, lambda: LONG_AGO + 1e7 + loop.time())
        bus = await EventBus.open(path, settings=bus_settings(), clock=clock)
        bus.subscribe("#", lambda event: None, name="seen")
        async with bus:
            await record(bus, [(sum(between[:n]), "a.b", {}) for n in range(len(between) + 1)])
            desk = ReplayDesk(bus)
            await desk.start()
            began = loop.time()
            report = await ended(desk, (await desk.begin(StartReplay(**SPAN, speed=speed))).id)
            await desk.stop()
            return report.replayed, loop.time() - began

    with on_virtual_time() as path:
        replayed, elapsed = run_virtual(lambda: main(path))
    assert replayed == len(between) + 1
    assert elapsed <= (1.0 if speed == "max" else sum(between) / 100 + 1.0)


class _Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 50.0

    def monotonic(self) -> float:
        return self.now

    wall = steady = monotonic


def test_a_change_of_speed_keeps_the_time_reached() -> None:
    clock = _Hand()
    pace = Pace(clock, 1_000.0, 2.0)
    assert pace.wait(1_004.0) == 2.0
    pace.run()
    clock.now += 1
    assert pace.at == 1_002.0
    pace.speed = 0.5
    assert (pace.at, pace.wait(1_004.0)) == (1_002.0, 4.0)
    pace.stand()
    clock.now += 100
    assert pace.at == 1_002.0
    pace.run()
    pace.jump(1_010.0)
    pace.jump(1_005.0)
    clock.now += 2
    assert pace.at == 1_011.0
    pace.speed = None
    assert pace.wait(9e9) == 0.0
