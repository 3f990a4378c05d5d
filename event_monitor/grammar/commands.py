"""The table of commands: the one place that says which there are and what they take.

The parser, the help texts, the shell completions and the message that a command sends are all made
from it.
"""

from __future__ import annotations

from event_monitor.grammar.acting import ACTING
from event_monitor.grammar.looking import LOOKING
from event_monitor.grammar.publishing import PUBLISHING
from event_monitor.grammar.replaying import REPLAYING
from event_monitor.grammar.serving import SERVING
from event_monitor.grammar.spec import Command, Option
from event_monitor.grammar.tools import TOOLS

GLOBAL_OPTIONS = (
    Option(
        name="home",
        metavar="DIR",
        help="the home of the bus (default: $EVENT_MONITOR_HOME, $CLAUDE_CONFIG_DIR or ~/.claude)",
        source="files",
    ),
    Option(
        name="output",
        metavar="FORMAT",
        help="json or table (default: table on a terminal, json when piped)",
        choices=("json", "table"),
    ),
)

COMMANDS: tuple[Command, ...] = (*PUBLISHING, *REPLAYING, *ACTING, *SERVING, *LOOKING, *TOOLS)
BY_PATH: dict[tuple[str, ...], Command] = {command.path: command for command in COMMANDS}


def subcommands(path: tuple[str, ...]) -> tuple[Command, ...]:
    """The commands one or more words below ``path``."""
    return tuple(c for c in COMMANDS if len(c.path) > len(path) and c.path[: len(path)] == path)
