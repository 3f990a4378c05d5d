"""When to ring, toast and shout: every alert once, a storm of them not at all times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from event_monitor.model import Alert, Severity, Snapshot, SystemState

BELL_INTERVAL = 5.0
LONGEST_INTERVAL = 60.0
TOAST_INTERVAL = 10.0
TOASTS = 3
WORSE, BETTER = 2, 1
"""How many bells say that something is worse, and that it is better again."""

# How bad a state is. The two that mean no harm are equal: a start that goes well is not worth a sound.
_RANK = {
    SystemState.INITIALIZING: 0,
    SystemState.HEALTHY: 0,
    SystemState.MAINTENANCE: 0,
    SystemState.RECOVERING: 1,
    SystemState.DEGRADED: 3,
    SystemState.FAILED: 4,
}
_URGENCY = {Severity.INFO: 0, Severity.WARNING: 2, Severity.CRITICAL: 3}


@dataclass(frozen=True, slots=True)
class Toast:
    """A short message in the corner."""

    title: str
    text: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Noise:
    """What to do about a snapshot. ``bells`` is ``WORSE``, ``BETTER``, or 0 for silence."""

    bells: int = 0
    toasts: tuple[Toast, ...] = ()


class AlertPolicy:
    """Compares each snapshot with the one before.

    A worse state and a new alert ring the bell twice, a better state once; each makes a toast. It rings
    at most once in ``BELL_INTERVAL`` seconds, more and more seldom (``LONGEST_INTERVAL``) while it would
    go on and on, but at once for something worse than what it rang for. Of toasts there are at most
    ``TOASTS`` in ``TOAST_INTERVAL``; what exceeds that is summed up in one. What was there when the
    dashboard opened makes no noise, and neither does MAINTENANCE.
    """

    def __init__(self, clock: Callable[[], float], *, bell: bool = True, toast: bool = True) -> None:
        self._clock = clock
        self._bell = bell
        self._toast = toast
        self._state: SystemState | None = None
        self._seen: dict[int, bool] = {}
        self._rang = float("-inf")
        self._rang_for = 0
        self._rest = BELL_INTERVAL
        self._toasted: list[float] = []
        self._held_back = 0
        self._told = ""

    def observe(self, snapshot: Snapshot) -> Noise:
        """What to do about this snapshot."""
        before = self._state
        fresh = [alert for alert in reversed(snapshot.alerts) if self._is_new(alert)]
        self._state = snapshot.state
        self._seen = {alert.id: alert.acknowledged for alert in snapshot.alerts}
        if snapshot.state is SystemState.MAINTENANCE:
            self._held_back = 0
            return Noise()
        if before is None:
            return Noise()
        change = _RANK[snapshot.state] - _RANK[before]
        toasts = []
        if snapshot.state is not before:
            severity = Severity.CRITICAL if change > 0 else Severity.INFO
            self._told = f"{before} → {snapshot.state}"
            toasts.append(Toast(self._told, snapshot.state_reason, severity))
        # A change of state is an alert too, which may come with a later picture: it is told once.
        told = (alert for alert in fresh if alert.title != self._told)
        toasts += [Toast(alert.title, alert.detail, alert.severity) for alert in told]
        urgency = max(
            (_URGENCY[alert.severity] for alert in fresh),
            default=0,
        )
        if change > 0:
            urgency = max(urgency, _RANK[snapshot.state])
        bells = WORSE if urgency else BETTER if change < 0 else 0
        return Noise(bells if bells and self._may_ring(urgency) else 0, self._limited(toasts))

    def _is_new(self, alert: Alert) -> bool:
        """Whether it waits to be seen, and did not when it was last looked at."""
        return not alert.acknowledged and self._seen.get(alert.id, True)

    def _may_ring(self, urgency: int) -> bool:
        now = self._clock()
        since = now - self._rang
        if not self._bell or (since < self._rest and urgency <= self._rang_for):
            return False
        self._rest = min(LONGEST_INTERVAL, 2 * self._rest) if since < 2 * self._rest else BELL_INTERVAL
        self._rang, self._rang_for = now, urgency
        return True

    def _limited(self, toasts: list[Toast]) -> tuple[Toast, ...]:
        if not self._toast:
            return ()
        now = self._clock()
        self._toasted = [at for at in self._toasted if now - at < TOAST_INTERVAL]
        room = max(0, TOASTS - len(self._toasted))
        shown = toasts[:room]
        self._held_back += len(toasts) - len(shown)
        if self._held_back and room > len(shown):
            text = f"{self._held_back} more alerts came in a short time"
            shown.append(Toast("Many alerts", text, Severity.WARNING))
            self._held_back = 0
        self._toasted += [now] * len(shown)
        return tuple(shown)
