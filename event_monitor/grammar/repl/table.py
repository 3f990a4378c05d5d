"""What can be typed at a prompt: the commands of event-cli less those that need a shell, and a few about
the prompt itself."""

from __future__ import annotations

from event_monitor.grammar.commands import COMMANDS, OUTPUT, Table
from event_monitor.grammar.spec import Argument, Command, Example

NEEDS_SHELL: dict[str, str] = {
    "chaos": "chaos takes minutes and starts buses of its own: run event-cli chaos in a shell",
    "hook": "hook reads an assistant's input from stdin: the assistant runs event-cli hook itself",
    "completion": "completion prints a script for a shell: run event-cli completion there",
    "repl": "this is the repl already",
}
"""Commands that make no sense at a prompt, and why."""

REPL_COMMANDS = (
    Command(
        path=("help",),
        summary="Show what can be typed, or all about a command",
        arguments=(
            Argument(
                name="command", required=False, many=True, help="the command's words", source="commands"
            ),
        ),
        examples=(Example("help", "all commands"), Example("help dlq retry", "one of them")),
    ),
    Command(
        path=("history",),
        summary="Show the lines that were typed before",
        arguments=(
            Argument(name="count", required=False, integer=True, help="the last so many (default 20)"),
        ),
        examples=(Example("history 100", "the last hundred lines, the newest last"),),
        notes="ctrl+r searches backwards as you type; again it goes on, enter takes the line, esc leaves. "
        "A line that begins with a space is not remembered, and secrets in payloads are masked.",
    ),
    Command(
        path=("set", "output"),
        summary="Show results as tables or as JSON from now on",
        arguments=(Argument(name="format", choices=("json", "table"), help="json or table"),),
        examples=(Example("set output json", "one object, or one a line"),),
    ),
    Command(
        path=("clear",),
        summary="Empty the screen",
        examples=(Example("clear", "what was typed stays in the history"),),
    ),
    Command(
        path=("exit",),
        summary="Leave",
        examples=(Example("exit", "ctrl+d does the same"),),
    ),
)

REPL = Table(
    (*(command for command in COMMANDS if command.path[0] not in NEEDS_SHELL), *REPL_COMMANDS),
    (OUTPUT,),
    "",
)
