"""Tunes the process for its long run, once start-up is over."""

from __future__ import annotations

import gc
import sys

# Young collections are cheap; what a busy bus must avoid is walking the whole heap again and again.
_THRESHOLDS = (10_000, 20, 50)
# The bus waits this long, not Python's 5 ms, each time that it needs the interpreter from a screen
# that is busy with a layout; an event's way takes several such turns.
_SWITCH_INTERVAL = 0.0005


def settle_down() -> None:
    """Take all that start-up made out of the garbage collector's rounds, and let threads take turns
    more often.

    Modules, classes and widgets live as long as the process. Without this a full collection walks
    them under load, and the bus stands still for tens of milliseconds.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_INTERVAL)
