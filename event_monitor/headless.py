"""The bus alone, for a service manager: one line when it is ready, an orderly end on a signal."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal

from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime
from event_monitor.steady import settle_down

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_headless(paths: HomePaths) -> int:
    """Run until SIGTERM, SIGINT or SIGHUP; then settle, store and answer 0."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, stopping.set)
        runtime = await Runtime.start(paths)
        try:
            print(json.dumps({"ready": True, "pid": os.getpid(), "socket": paths.socket}), flush=True)
            settle_down()
            await stopping.wait()
        finally:
            await runtime.stop()

    asyncio.run(serve())
    return 0
