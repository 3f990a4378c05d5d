"""What a person can do on the Dead letters tab."""

from __future__ import annotations

from event_monitor.dashboard.action import Action

ACTIONS: tuple[Action, ...] = ()
