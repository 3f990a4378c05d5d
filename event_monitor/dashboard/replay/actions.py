"""What a person can do on the Replay tab."""

from __future__ import annotations

from event_monitor.dashboard.action import Action

ACTIONS: tuple[Action, ...] = ()
