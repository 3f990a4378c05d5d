"""The bus under test as a process: nothing of it stays behind, at whatever moment its start is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from event_monitor.chaos.bus_process import BusProcess
from event_monitor.chaos.keeper import Keeper


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 6, 8, 12])
async def test_a_start_that_is_cancelled_leaves_nothing(steps: int) -> None:
    before = asyncio.all_tasks()
    with Keeper() as keeper:
        bus = BusProcess(keeper.directory, keeper)
        starting = asyncio.create_task(bus.start())
        for _ in range(steps):
            await asyncio.sleep(0)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        await bus.close()
        assert not bus.running
        # A task that is still there would be waited for, for ever, at the loop's end.
        assert asyncio.all_tasks() == before
        for life in bus.lives:
            with pytest.raises(ProcessLookupError):
                os.kill(life.pid, 0)
