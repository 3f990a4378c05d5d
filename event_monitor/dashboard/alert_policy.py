"""When to ring, toast and shout: every alert once, a storm of them not at all times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from event_monitor.model import Alert, Severity, Snapshot, SystemState

BELL_INTERVAL = 5.0
TOAST_INTERVAL = 10.0
TOASTS = 3
_BAD = frozenset({SystemState.DEGRADED, SystemState.FAILED})


@dataclass(frozen=True, slots=True)
class Toast:
    """A short message in the corner."""

    title: str
    text: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Noise:
    """What to do about a snapshot."""

    bell: bool = False
    toasts: tuple[Toast, ...] = ()


class AlertPolicy:
    """Compares each snapshot with the one before.

    A change of state and a new alert ring the bell, at most once in ``BELL_INTERVAL`` seconds, and
    make a toast, at most ``TOASTS`` in ``TOAST_INTERVAL``; what exceeds that is summed up in one.
    What was there when the dashboard opened makes no noise, and neither does MAINTENANCE.
    """

    def __init__(self, clock: Callable[[], float], *, bell: bool = True, toast: bool = True) -> None:
        self._clock = clock
        self._bell = bell
        self._toast = toast
        self._state: SystemState | None = None
        self._counts: dict[int, int] = {}
        self._rang = float("-inf")
        self._toasted: list[float] = []
        self._held_back = 0

    def observe(self, snapshot: Snapshot) -> Noise:
        """What to do about this snapshot."""
        first = self._state is None
        toasts = [] if first else self._changes(snapshot)
        self._state = snapshot.state
        self._counts = {alert.id: alert.count for alert in snapshot.alerts}
        if snapshot.state is SystemState.MAINTENANCE:
            self._held_back = 0
            return Noise()
        loud = any(toast.severity is not Severity.INFO for toast in toasts)
        return Noise(self._may_ring() if loud else False, self._limited(toasts))

    def _changes(self, snapshot: Snapshot) -> list[Toast]:
        toasts = []
        if snapshot.state is not self._state:
            severity = Severity.CRITICAL if snapshot.state in _BAD else Severity.WARNING
            toasts.append(Toast(f"{self._state} → {snapshot.state}", snapshot.state_reason, severity))
        fresh = [
            alert for alert in reversed(snapshot.alerts) if not alert.acknowledged and self._is_new(alert)
        ]
        return toasts + [Toast(alert.title, alert.detail, alert.severity) for alert in fresh]

    def _is_new(self, alert: Alert) -> bool:
        return alert.id not in self._counts

    def _may_ring(self) -> bool:
        now = self._clock()
        if not self._bell or now - self._rang < BELL_INTERVAL:
            return False
        self._rang = now
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
