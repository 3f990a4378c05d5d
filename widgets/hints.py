"""The keys that stand in a panel's border."""

from __future__ import annotations

from collections.abc import Callable

Key = Callable[[str], str]
"""The key of an action, by its id, as people read it; empty if it has none."""


def hint(key: Key, *actions: tuple[str, str], gap: str = "  ") -> str:
    """``r reset  o open`` of ids with words: what has no key is left out. A border takes its text for
    markup, so brackets are escaped."""
    shown = ((key(action), word) for action, word in actions)
    return gap.join(f"{found} {word}" for found, word in shown if found).replace("[", "\\[")
