"""Tunes the process for its long run, once start-up is over."""

from __future__ import annotations

import gc

# Young collections are cheap; what a busy bus must avoid is walking the whole heap again and again.
_THRESHOLDS = (10_000, 20, 50)


def settle_down() -> None:
    """Take all that start-up made out of the garbage collector's rounds.

    Modules, classes and widgets live as long as the process. Without this a full collection walks
    them under load, and the bus stands still for tens of milliseconds.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
