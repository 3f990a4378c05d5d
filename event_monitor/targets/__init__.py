"""What routing rules deliver to. Each target takes batches of deliveries and does real work."""

from __future__ import annotations

NAMES = (
    *("log", "analytics", "storage", "alert", "notification"),
    *("recovery", "kill-switch", "learning", "evaluation", "verification", "cleanup"),
)
"""The targets that a rule may name."""
