"""Runs a target's cases, watches what no exception tells, and makes a failing input small."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

MEMORY_LIMIT = 150_000_000
MAX_FAILURES = 5

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Target:
    """``generate`` makes an input (a sequence) from a seeded source; ``opened`` gives a check that
    raises for a wrong behaviour, and may itself raise when all cases are over."""

    name: str
    generate: Callable[[random.Random], Any]
    opened: Callable[[], AbstractContextManager[Check]]
    weight: int = 1
    """How many times slower than the fastest its cases are: it gets so many fewer."""


@dataclass
class Outcome:
    """What came of a run."""

    target: str
    cases: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


class _Records(logging.Handler):
    """Collects what was logged with an exception, or as an error."""

    def __init__(self, noted: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._noted = noted

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self._noted.append(f"logged: {logging.Formatter().format(record)}")


@contextlib.contextmanager
def watching() -> Iterator[list[str]]:
    """What went wrong without being raised: logged exceptions, those of finalizers and of callbacks
    (asyncio logs them)."""
    noted: list[str] = []
    handler = _Records(noted)
    before = sys.unraisablehook
    sys.unraisablehook = lambda said: noted.append(f"unraisable: {said.exc_value!r} in {said.object!r}")
    logging.getLogger().addHandler(handler)
    try:
        yield noted
    finally:
        logging.getLogger().removeHandler(handler)
        sys.unraisablehook = before


def run(target: Target, cases: int, seed: str, first: int = 0) -> Outcome:
    """Run ``cases`` of a target. Case ``n`` depends on the seed, the target and ``n`` only."""
    outcome = Outcome(target.name)
    files, warm = _open_files(), 0
    began = time.perf_counter()
    with watching() as noted:
        try:
            with target.opened() as check:
                for number in range(first, first + cases):
                    case = target.generate(random.Random(f"{seed}:{target.name}:{number}"))
                    outcome.cases += 1
                    if (said := _complaint(check, case, noted)) is not None:
                        small = minimised(case, lambda smaller: _complaint(check, smaller, noted) is not None)
                        outcome.failures.append(
                            f"--seed {seed} --first {number}: {said}\n  minimised: {small!r:.2000}"
                        )
                        if len(outcome.failures) >= MAX_FAILURES:
                            break
                    if number == first + cases // 4:
                        warm = _resident()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            outcome.failures.append(f"at the end: {_told(error)}")
        gc.collect()
        outcome.failures += noted
    outcome.seconds = time.perf_counter() - began
    if warm and _resident() - warm > MEMORY_LIMIT:
        outcome.failures.append(f"memory grew by {_resident() - warm:,} bytes")
    if _open_files() > files:
        outcome.failures.append(f"{_open_files() - files} files stayed open")
    return outcome


def minimised(case: Any, fails: Callable[[Any], bool], tries: int = 600) -> Any:
    """A part of a sequence that still fails: parts of halving size are left out while it does."""
    size = len(case) // 2
    while size >= 1 and tries > 0:
        place = 0
        while place < len(case) and tries > 0:
            smaller = case[:place] + case[place + size :]
            tries -= 1
            if fails(smaller):
                case = smaller
            else:
                place += size
        size //= 2
    return case


def _complaint(check: Check, case: Any, noted: list[str]) -> str | None:
    try:
        check(case)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return _told(error)
    if noted:
        said = "\n".join(noted)
        noted.clear()
        return said
    return None


def _told(error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error!s:.300} at {os.path.basename(place.filename)}:{place.lineno}"


def _open_files() -> int:
    return len(os.listdir("/dev/fd"))


def _resident() -> int:
    with contextlib.suppress(FileNotFoundError), open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
