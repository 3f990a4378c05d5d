"""The tables of commands: the one place that says which there are and what they take.

The parser, the help texts, the completions and the message that a command sends are all made from
them.
"""

from __future__ import annotations

from collections.abc import Mapping

from event_monitor.grammar.acting import ACTING
from event_monitor.grammar.breaking import BREAKING
from event_monitor.grammar.looking import LOOKING
from event_monitor.grammar.publishing import PUBLISHING
from event_monitor.grammar.replaying import REPLAYING
from event_monitor.grammar.serving import SERVING
from event_monitor.grammar.spec import Command, Option
from event_monitor.grammar.storing import STORING
from event_monitor.grammar.tools import TOOLS
from event_monitor.grammar.undelivered import UNDELIVERED

HOME = Option(
    name="home",
    metavar="DIR",
    help="the home of the bus (default: $EVENT_MONITOR_HOME, $CLAUDE_CONFIG_DIR or ~/.claude)",
    source="files",
)
OUTPUT = Option(
    name="output",
    metavar="FORMAT",
    help="json or table (default: table on a terminal, json when piped)",
    choices=("json", "table"),
)
GLOBAL_OPTIONS = (HOME, OUTPUT)


class Table:
    """Commands that can be typed at one place, the options that all of them take, and how that place
    calls itself: ``program`` stands before a command, and is empty where nothing does."""

    def __init__(self, commands: tuple[Command, ...], options: tuple[Option, ...], program: str) -> None:
        self.commands = commands
        self.options = options
        self.program = program
        self.by_path: Mapping[tuple[str, ...], Command] = {command.path: command for command in commands}

    def below(self, path: tuple[str, ...]) -> tuple[Command, ...]:
        """The commands one or more words below ``path``."""
        return tuple(c for c in self.commands if len(c.path) > len(path) and c.path[: len(path)] == path)

    def next_words(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """The words that can follow ``path`` on the way to a command."""
        return tuple(dict.fromkeys(command.path[len(path)] for command in self.below(path)))

    def where_help_is(self, path: tuple[str, ...]) -> str:
        """What to type for help on ``path``."""
        name = " ".join(path)
        return f"see {self.program} {name} --help" if self.program else f"help {name} shows what it takes"


COMMANDS: tuple[Command, ...] = (
    *PUBLISHING,
    *UNDELIVERED,
    *REPLAYING,
    *ACTING,
    *SERVING,
    *LOOKING,
    *STORING,
    *BREAKING,
    *TOOLS,
)
EVENT_CLI = Table(COMMANDS, GLOBAL_OPTIONS, "event-cli")
BY_PATH = EVENT_CLI.by_path
subcommands = EVENT_CLI.below
