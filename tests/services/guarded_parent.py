"""A program with guarded children, to be killed by a test: prints their process ids as one line."""

from __future__ import annotations

import asyncio
import os
import sys

from event_monitor.services.guardian import Guardian


async def main() -> None:
    guardian = Guardian()
    pids = []
    for command in (
        [
            sys.executable,
            "-c",
            "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
        ],
        ["sh", "-c", "sleep 600 & sleep 600"],
    ):
        transport, _ = await guardian.spawn(asyncio.SubprocessProtocol, command, os.environ, None, talks=True)
        pids.append(transport.get_pid())
    print(guardian.pid, *pids, flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
