"""Scenarios of letter C, resource exhaustion (section 5 of the research). Time is virtual.

Scenarios 17 and 18 are shown in test_bulkhead.py, 23 and 24 in test_timeouts.py.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import traceback

import pytest

from event_monitor.resilience import (
    BulkheadFull,
    BulkheadTimeout,
    CircuitBreaker,
    CircuitOpenError,
    DeadlineExceeded,
    RetriesExhausted,
)
from tests.resilience.helpers import fail_times, now, works
from tests.resilience.services import Scripted, guarded
from tests.virtual import run_virtual


@pytest.mark.parametrize("trouble", ["hangs", "is slow"])
def test_scenario_19_a_saturated_service_costs_another_neither_time_nor_calls(trouble: str) -> None:
    async def main() -> None:
        async def stuck() -> None:
            await asyncio.sleep(3_600 if trouble == "hangs" else 5)

        async def quick() -> str:
            await asyncio.sleep(0.02)
            return "done"

        x, y = guarded(Scripted("x", stuck)), guarded(Scripted("y", quick))
        refused: list[Exception] = []
        seconds: list[float] = []

        async def call_x() -> None:
            try:
                await x.call("read")
            except (BulkheadFull, BulkheadTimeout, CircuitOpenError) as error:
                refused.append(error)
            except (DeadlineExceeded, RetriesExhausted):
                return

        async def call_y() -> None:
            started = now()
            assert (await y.call("read")).value == "done"
            seconds.append(now() - started)

        async with asyncio.TaskGroup() as group:
            for _ in range(600):
                for _ in range(20):
                    group.create_task(call_x())
                for _ in range(5):
                    group.create_task(call_y())
                await asyncio.sleep(0.1)
        assert x.bulkhead.counters.rejected > 1_000, "x is saturated"
        assert len(refused) > 1_000
        assert len(seconds) == 3_000
        assert statistics.quantiles(seconds, n=20)[-1] < 0.1
        counters = y.bulkhead.counters
        assert (counters.rejected, counters.timed_out, y.breaker.counters.rejected) == (0, 0, 0)
        assert (x.bulkhead.busy, x.bulkhead.waiting) == (0, 0)

    run_virtual(main)


def test_scenario_21_rejections_hold_no_memory_and_no_growing_traceback() -> None:
    async def main() -> None:
        breaker = CircuitBreaker()
        fail_times(breaker, 5)
        lengths: list[int] = []
        seen: set[int] = set()
        before: CircuitOpenError | None = None
        for _ in range(200):
            try:
                await breaker.call(works)
            except CircuitOpenError as error:
                lengths.append(len(traceback.extract_tb(error.__traceback__)))
                seen.add(id(error))
                assert error is not before
                before = error
        assert len(lengths) == 200
        assert set(lengths) == {lengths[0]}
        assert lengths[0] <= 5

        async def reject(times: int) -> None:
            for _ in range(times):
                try:
                    await breaker.call(works)
                except CircuitOpenError:
                    continue

        await reject(1_000)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await reject(10_000)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        assert grown * (1 if sys.platform == "darwin" else 1_024) < 1_000_000
        assert breaker.counters.rejected == 11_200

    run_virtual(main)
