"""The bus alone, for a service manager: one line when it is ready, an orderly end on a signal."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Callable

from event_monitor.dump_signal import dump_on_signal
from event_monitor.logfile import FORMAT, log_to_file
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime
from event_monitor.steady import settle_down
from event_monitor.surroundings import REAL, Surroundings

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


RESTART_PAUSE = 1.0


def run_headless(
    paths: HomePaths,
    surroundings: Surroundings = REAL,
    on_start: Callable[[Runtime], None] = lambda runtime: None,
) -> int:
    """Run until SIGTERM, SIGINT or SIGHUP; then settle, store and answer 0. When the store turns out to
    be damaged, start again with a fresh one; ``on_start`` hears of each runtime. SIGUSR1 writes all tasks
    with their stacks to the log."""
    logging.basicConfig(level=logging.INFO, format=FORMAT)

    async def start() -> Runtime:
        runtime = await Runtime.start(paths, own_process=True, surroundings=surroundings)
        on_start(runtime)
        return runtime

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, stopping.set)
        runtime = await start()
        dump_on_signal(lambda: runtime.watchdog.tasks.log())
        print(json.dumps({"ready": True, "pid": os.getpid(), "socket": paths.socket}), flush=True)
        settle_down()
        while True:
            try:
                await _either(stopping, runtime.damaged)
            finally:
                await runtime.stop()
            if stopping.is_set():
                return
            await asyncio.sleep(RESTART_PAUSE)
            runtime = await start()

    with log_to_file(paths):
        asyncio.run(serve())
    return 0


async def _either(*events: asyncio.Event) -> None:
    """Return when one of the events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
