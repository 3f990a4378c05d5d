"""Starts a program in a process group of its own, so that all that it starts can be ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Any


async def start_group(*command: str, **options: Any) -> asyncio.subprocess.Process:
    """``asyncio.create_subprocess_exec`` in a new session. Raises ``OSError``.

    Whoever is cancelled meanwhile waits for nothing, and nothing stays behind. asyncio itself would end
    the program alone, and then wait for pipes that what the program has started may hold for ever.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(*command, start_new_session=True, **options)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_end_unwanted)
        raise


def signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to the program and all that it started; nothing if all have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _end_unwanted(starting: asyncio.Task[asyncio.subprocess.Process]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        signal_group(starting.result(), signal.SIGKILL)
