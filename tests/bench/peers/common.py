"""Shared by the peers' loops: arguments, the payload and the clock. Standard library only."""

import importlib.util
import json
import sys
import time
from pathlib import Path

_spec = importlib.util.spec_from_file_location("measure", Path(__file__).parents[1] / "measure.py")
_measure = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_measure)
PAYLOAD = _measure.PAYLOAD
clock = time.perf_counter


def arguments():
    """DIRECTORY VARIANT SECONDS"""
    return Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])


def loop(step, seconds):
    """Call ``step(number)`` for that long; print how many a second it did."""
    begun = clock()
    number = 0
    while clock() - begun < seconds:
        step(number)
        number += 1
    answer(number, clock() - begun)


def answer(number, elapsed):
    """The worker's last line."""
    print(json.dumps({"events_per_s": number / elapsed, "events": number, "seconds": elapsed}), flush=True)
