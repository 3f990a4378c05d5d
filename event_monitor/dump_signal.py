"""SIGUSR1 writes what the bus does to the log, also while its loop stands still."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable


def dump_on_signal(write: Callable[[], None]) -> None:
    """Call ``write`` on a thread of its own at each SIGUSR1. Call this on the main thread.

    Not in the signal handler: it may have interrupted the very log that is to be written.
    """
    signal.signal(
        signal.SIGUSR1, lambda number, frame: threading.Thread(target=write, name="dump", daemon=True).start()
    )
