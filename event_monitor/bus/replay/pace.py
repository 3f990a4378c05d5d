"""Recorded time, as a replay lets it pass."""

from __future__ import annotations

from event_monitor.clock import Clock


class Pace:
    """A clock that shows ``at``, the recorded time reached (epoch seconds), and runs ``speed`` times as
    fast as the loop's. It stands still until ``run`` and from ``stand`` on. With no speed it does not
    run at all: nothing is waited for, and ``jump`` alone moves it."""

    def __init__(self, clock: Clock, at: float, speed: float | None) -> None:
        self._clock = clock
        self._at = at
        self._speed = speed
        self._since: float | None = None

    @property
    def at(self) -> float:
        """The recorded time that is reached."""
        if self._since is None or self._speed is None:
            return self._at
        return self._at + (self._clock.monotonic() - self._since) * self._speed

    @property
    def speed(self) -> float | None:
        """How many times as fast as recorded; ``None`` waits for nothing."""
        return self._speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        self._restart(self.at)
        self._speed = speed

    def run(self) -> None:
        """Let time pass."""
        if self._since is None:
            self._since = self._clock.monotonic()

    def stand(self) -> None:
        """Let no time pass."""
        self._at = self.at
        self._since = None

    def wait(self, recorded: float) -> float:
        """Seconds of the loop's clock until ``recorded`` is reached; 0 or less if it is."""
        return 0.0 if self._speed is None else (recorded - self.at) / self._speed

    def jump(self, recorded: float) -> None:
        """Go forward to ``recorded``, if it is not reached yet."""
        if recorded > self.at:
            self._restart(recorded)

    def _restart(self, at: float) -> None:
        self._at = at
        if self._since is not None:
            self._since = self._clock.monotonic()
