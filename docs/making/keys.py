"""The dashboard's keys."""

from __future__ import annotations

from event_monitor.dashboard.action import Action, key_name
from event_monitor.dashboard.actions import ACTIONS
from event_monitor.dashboard.tabs import TABS
from making.markdown import code, contents, head, sentence, table

_INTRO = """
What can be done in the dashboard, and the keys for it. `?` shows those of the tab on the screen, `ctrl+p` finds
every action by name. A key may stand for different things on different tabs.

Keys are remapped in `event-monitor.yaml`, by the action's id; several keys are separated by commas:

```yaml
dashboard:
  keys: {freeze: f, quit: "ctrl+q"}
```

In a view with `--read-only` the actions marked ✎, which change something, are refused.

[contents]
"""


def page() -> str:
    """The whole page."""
    parts = [head("Keys and actions of the dashboard", "event_monitor/dashboard/actions.py", _INTRO)]
    parts.append(_tab("Everywhere", ""))
    parts += [_tab(info.label, info.name) for info in TABS]
    return contents("\n".join(parts))


def _tab(label: str, name: str) -> str:
    actions = [action for action in ACTIONS if action.tab == name]
    keyed = [action for action in actions if action.keys]
    others = [action for action in actions if not action.keys]
    text = f"## {label}\n\n{table(('key', 'action', 'what it does', 'id'), map(_row, keyed))}\n"
    if others:
        rows = ((_label(action), sentence(action.help), code(action.id)) for action in others)
        text += f"\nBy name only (`ctrl+p`):\n\n{table(('action', 'what it does', 'id'), rows)}\n"
    return text


def _row(action: Action) -> tuple[str, str, str, str]:
    keys = " ".join(code(_name(key)) for key in action.keys.split(","))
    return keys, _label(action), sentence(action.help), code(action.id)


def _name(key: str) -> str:
    shown = key_name(key)
    return f"ctrl+{shown[1:]}" if len(shown) > 1 and shown.startswith("^") else shown


def _label(action: Action) -> str:
    return f"{action.label} ✎" if action.changes else action.label
