"""What the footer names: of the table's actions those whose keys get through to them from the focus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from textual.binding import Binding
from textual.keys import key_to_character
from textual.screen import Screen
from textual.widget import Widget

from event_monitor.dashboard.action import Action, act, key_name
from event_monitor.dashboard.actions import ACTIONS
from event_monitor.widgets.footer import FooterKey

# Textual gives these characters names from which it does not find its way back.
_CHARACTERS = {"slash": "/", "backslash": "\\", "plus": "+", "minus": "-", "at": "@", "underscore": "_"}
_AFTER_THE_TABS = 100


def footer_keys(
    screen: Screen[object], keymap: Mapping[str, str], tab: str, *, read_only: bool
) -> tuple[FooterKey, ...]:
    """The keys of what has the focus, then those of the tab, then those that work everywhere.

    A key that the focused input takes as text is not named, nor an action that is left without a key."""
    ways = _ways(screen)
    return (*_own(screen.focused, ways), *_of_the_table(ways, keymap, tab, read_only))


def _ways(screen: Screen[object]) -> dict[str, list[str]]:
    """The keys that lead to each Textual action from where the focus is."""
    focused = screen.focused
    ways: dict[str, list[str]] = {}
    for key, way in screen.active_bindings.items():
        if way.node is focused or focused is None or not _typed(focused, key):
            ways.setdefault(way.binding.action, []).append(key)
    return ways


def _typed(focused: Widget, key: str) -> bool:
    return focused.check_consume_key(key, _CHARACTERS.get(key) or key_to_character(key))


def _own(focused: Widget | None, ways: Mapping[str, Sequence[str]]) -> Iterator[FooterKey]:
    for binding in type(focused).BINDINGS if focused is not None else ():
        if isinstance(binding, Binding) and binding.show and binding.action in ways:
            key = _shown(binding.key, ways[binding.action])
            yield FooterKey(f"focused.{binding.action}", key, binding.description)


def _of_the_table(
    ways: Mapping[str, Sequence[str]], keymap: Mapping[str, str], tab: str, read_only: bool
) -> Iterator[FooterKey]:
    named = (action for action in ACTIONS if action.footer and action.tab in ("", tab))
    for action in sorted(named, key=_place):
        if keys := ways.get(act(action.id)):
            key = _shown(keymap.get(action.id, action.keys), keys)
            available = not (read_only and action.changes)
            yield FooterKey(act(action.id), key, action.label, available, action.footer)


def _place(action: Action) -> int:
    return action.footer if action.tab else _AFTER_THE_TABS


def _shown(given: str, ways: Sequence[str]) -> str:
    """The key that is named: the first of the given ones that works."""
    return key_name(next((key for key in given.split(",") if key in ways), ways[0]))
