"""Writes transitions for ever, for a test that kills it: ``python -m tests.unit.state_writer PATH``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from event_monitor.clock import LoopClock
from event_monitor.model import SystemState
from event_monitor.system.state_machine import StateMachine


async def main(path: Path) -> None:
    machine = StateMachine(path, LoopClock(asyncio.get_running_loop()))
    if (problem := await machine.load()) is not None:
        raise SystemExit(problem)
    count = len(machine.history)
    print("ready", flush=True)
    while True:
        for state in (SystemState.MAINTENANCE, SystemState.INITIALIZING):
            if machine.state is not state:
                count += 1
                await machine.change(state, f"{count}: " + "x" * 2_000)


asyncio.run(main(Path(sys.argv[1])))
