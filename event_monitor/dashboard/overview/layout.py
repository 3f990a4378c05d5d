"""Which panels of the Overview are shown."""

from __future__ import annotations

from collections.abc import Collection

PANELS = {"figures": "figures", "services": "services", "side": "state and alerts", "feed": "feed"}
"""The panels that may be hidden, by the id of their widget, and what they are called."""


def toggled(hidden: Collection[str], panel: str) -> frozenset[str]:
    """With one more hidden, or shown again. The last one that is shown stays."""
    wanted = frozenset(hidden) ^ {panel}
    return wanted if len(wanted) < len(PANELS) else frozenset(hidden)


def only(panel: str) -> frozenset[str]:
    """With all others hidden."""
    return frozenset(PANELS) - {panel}


def known(remembered: Collection[object]) -> frozenset[str]:
    """What was remembered, as far as there are such panels and one is left to show."""
    hidden = frozenset(str(name) for name in remembered) & PANELS.keys()
    return hidden if len(hidden) < len(PANELS) else frozenset()
