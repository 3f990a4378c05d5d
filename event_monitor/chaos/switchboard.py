"""Fault points inside the bus under test: armed and healed over a pipe, off until they are."""

from __future__ import annotations

import random
import threading

import msgspec


class Armed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fault that strikes at a point.

    ``skip`` calls pass, then each is struck with the probability ``share``, at most ``times`` of them
    (0: any number). ``amount`` says how much: seconds, or mebibytes."""

    point: str
    share: float = 1.0
    skip: int = 0
    times: int = 0
    amount: float = 0.0
    seed: int = 0


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the pipe: arm a point, or heal one."""

    arm: Armed | None = None
    heal: str = ""


class _Point:
    def __init__(self, armed: Armed) -> None:
        self.armed = armed
        self.calls = 0
        self.struck = 0
        self.rng = random.Random(f"{armed.seed}/{armed.point}")


class Switchboard:
    """What is armed now. Asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: dict[str, _Point] = {}

    def arm(self, armed: Armed) -> None:
        """Let a fault strike from now on, in the place of the one that was armed there."""
        with self._lock:
            self._points[armed.point] = _Point(armed)

    def heal(self, point: str) -> None:
        """End the fault at a point, if there is one."""
        with self._lock:
            self._points.pop(point, None)

    def armed(self, point: str) -> Armed | None:
        """What is armed at a point, without counting a call."""
        with self._lock:
            found = self._points.get(point)
            return None if found is None else found.armed

    def strikes(self, point: str) -> Armed | None:
        """Count a call; the fault if it strikes this one."""
        with self._lock:
            found = self._points.get(point)
            if found is None:
                return None
            found.calls += 1
            armed = found.armed
            spent = armed.times and found.struck >= armed.times
            if found.calls <= armed.skip or spent or found.rng.random() >= armed.share:
                return None
            found.struck += 1
            return armed


SWITCHBOARD = Switchboard()
"""The one of this process."""
