"""Shared by the peers' loops: arguments, the payload, the clock, the cost of a call. Standard
library only."""

import importlib.util
import json
import sys
import time
from pathlib import Path


def _module(name):
    """A module of the bench: its package cannot be imported, because the peers know nothing of us."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


percall = _module("percall")
PAYLOAD = _module("measure").PAYLOAD
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
