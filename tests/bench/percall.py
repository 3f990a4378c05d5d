"""The cost of one asynchronous call, measured in turns with other processes.

Standard library only, so that a peer's process can use it. The bench writes the name of a case, the
process answers with nanoseconds: so all contestants share every minute of a noisy machine.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

WARM_UP = 200
BATCH_NS = 15_000_000
LARGEST = 100_000
ANSWER = 1

Call = Callable[[], Awaitable[Any]]


async def call() -> int:
    """What every contestant protects: a coroutine function that has its answer at once."""
    return ANSWER


async def failing() -> int:
    """What opens a breaker."""
    raise ConnectionError("planted")


def rejected(guarded: Callable[[Callable[[], Awaitable[int]]], Awaitable[Any]]) -> Call:
    """A call that an open breaker refuses, caught as a caller would. It fails if it is let through."""

    async def refused() -> int:
        try:
            await guarded(call)
        except Exception:  # noqa: BLE001 - each library has its own
            return ANSWER
        raise SystemExit("the breaker is not open")

    return refused


async def opened(guarded: Callable[[Callable[[], Awaitable[int]]], Awaitable[Any]]) -> Call:
    """``rejected``, after as many failures as open the breaker."""
    for _ in range(6):
        try:
            await guarded(failing)
        except Exception:  # noqa: BLE001 - each library has its own
            continue
    return rejected(guarded)


def serve(prepare: Callable[[], Awaitable[Mapping[str, Call]]]) -> None:
    """Print the names of the cases as a JSON list, then answer each name that is read with the
    nanoseconds of one call: processor time of this thread over a batch of about 15 ms."""
    with asyncio.Runner() as runner:
        cases = dict(runner.run(_awaited(prepare())))
        sizes = {name: runner.run(_size(case)) for name, case in cases.items()}
        print(json.dumps(list(cases)), flush=True)
        for line in sys.stdin:
            name = line.strip()
            gc.collect()
            print(runner.run(_batch(cases[name], sizes[name])) / sizes[name], flush=True)


async def _awaited(prepared: Awaitable[Mapping[str, Call]]) -> Mapping[str, Call]:
    return await prepared


async def _size(case: Call) -> int:
    assert await case() == ANSWER
    await _batch(case, WARM_UP)
    once = await _batch(case, WARM_UP) / WARM_UP
    return max(WARM_UP, min(LARGEST, int(BATCH_NS / max(1.0, once))))


async def _batch(case: Call, size: int) -> int:
    begun = time.thread_time_ns()
    for _ in range(size):
        await case()
    return time.thread_time_ns() - begun
