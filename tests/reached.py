"""Proof that tests which go where chance leads them have been in the states that matter.

A model leaves a mark where it is in a rare state; the test that drives it says which marks it must have
left, and fails if one is missing, so that a model that no longer gets there is noticed.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

_collecting: list[Counter[str]] = []


def reached(what: str) -> None:
    """Leave a mark, if a test collects them."""
    for marks in _collecting:
        marks[what] += 1


@contextlib.contextmanager
def must_reach(*wanted: str) -> Iterator[Counter[str]]:
    """Fail at the end of the block unless each of ``wanted`` was marked in it."""
    marks: Counter[str] = Counter()
    _collecting.append(marks)
    try:
        yield marks
    finally:
        _collecting.remove(marks)
    missing = [what for what in wanted if not marks[what]]
    assert not missing, f"never reached: {', '.join(missing)}; reached: {dict(marks)}"
