"""What an action is: the one row from which its key, footer entry, help and palette entry are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person can do. ``keys`` may be empty: then it is in the palette only.

    ``footer`` is its rank in the footer, the most important 1 (0 is not there), ``changes`` says that it is
    a command, ``tab`` names the tab on which it works (empty: everywhere).
    """

    id: str
    keys: str
    label: str
    help: str
    footer: int = 0
    changes: bool = False
    palette: bool = True
    tab: str = ""

    @property
    def title(self) -> str:
        """Its name among the actions of all tabs."""
        home = self.tab in ("", "overview")
        return self.label if home else f"{self.tab.replace('_', ' ').capitalize()}: {self.label}"

    @property
    def shown_key(self) -> str:
        """The first key as people read it."""
        return key_name(self.keys.split(",")[0]) if self.keys else ""


_NAMES = {
    "slash": "/",
    "question_mark": "?",
    "exclamation_mark": "!",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "equals_sign": "=",
    "plus": "+",
    "minus": "-",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "escape": "esc",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
}


def key_name(key: str) -> str:
    """A key as people read it: ``/`` for ``slash``, ``^p`` for ``ctrl+p``, ``shift+←`` for ``shift+left``."""
    if key.startswith("ctrl+"):
        return f"^{key[5:]}"
    before, plus, last = key.rpartition("+")
    return f"{before}{plus}{_NAMES.get(last, last)}"


def act(action_id: str) -> str:
    """The Textual action that carries an action of the table out."""
    return f"app.act('{action_id}')"


def bindings_of(actions: Iterable[Action]) -> list[Binding]:
    """The actions as Textual bindings; a binding's id is its action's, so that keys can be remapped."""
    return [
        Binding(action.keys, act(action.id), action.label, id=action.id, show=False)
        for action in actions
        if action.keys
    ]
