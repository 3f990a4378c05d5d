"""Help texts, made from the table of commands."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from event_monitor.grammar.commands import EVENT_CLI, Table
from event_monitor.grammar.spec import Command, Example, Option

_INDENT = "  "
_SHELL = re.compile(r"\s[|<>]\s|^eval ")
_PROMPT = (
    "help COMMAND shows the options and examples of a command.",
    "tab completes, up and down bring back what was typed.",
    'A payload is plain JSON, over several lines if need be: publish build.done {"exit_code": 0}',
)
_EXIT = "Exit status: 0 done, 1 refused or failed, 2 wrong usage or bad input, 3 no bus is running."
_START = (
    ("event-cli publish build.done '{\"exit_code\": 0}'", "publish an event"),
    ("event-cli events --follow", "watch what happens"),
    ("event-cli stats --live", "rates and counts, once a second"),
    ("event-cli dlq list", "what could not be delivered"),
)


def help_text(path: Sequence[str], width: int, table: Table = EVENT_CLI) -> str:
    """Help on a command, on a group of commands, or, for an empty path, on all."""
    command = table.by_path.get(tuple(path))
    if command is not None:
        return _command_help(command, width, table)
    if path:
        return _group_help(tuple(path), width, table)
    return _overview(width, table) if table.program else _prompt_overview(width, table)


def _prompt_overview(width: int, table: Table) -> str:
    return "\n\n".join(
        (
            _section("commands", _usages(table.commands), width),
            _options(table.options, width),
            "\n".join(textwrap.fill(sentence, width) for sentence in _PROMPT),
        )
    )


def _usages(commands: Iterable[Command]) -> Iterable[tuple[str, str]]:
    return ((command.usage.removesuffix(" [options]"), command.summary) for command in commands)


def _overview(width: int, table: Table) -> str:
    return "\n\n".join(
        (
            "usage: event-cli [--home DIR] [--output json|table] COMMAND",
            "Talks to the event bus of a running event-monitor.",
            _section("commands", _usages(table.commands), width),
            _options((*table.options, Option(name="version", kind="flag", help="show the version")), width),
            _section("examples", _START, width),
            f"event-cli COMMAND --help shows the options and examples of a command.\n{_EXIT}",
        )
    )


def _group_help(path: tuple[str, ...], width: int, table: Table) -> str:
    below = table.below(path)
    return "\n\n".join(
        (
            f"usage: {_called(table, ' '.join(path))} COMMAND",
            _section("commands", ((c.usage, c.summary) for c in below), width),
            _section("examples", _examples((e for c in below for e in c.examples), table), width),
        )
    )


def _command_help(command: Command, width: int, table: Table) -> str:
    parts = [f"usage: {_called(table, command.usage)}", f"{command.summary}."]
    below = table.below(command.path)
    if below:
        parts.append(_section("commands below it", ((c.usage, c.summary) for c in below), width))
    if command.arguments:
        parts.append(_section("arguments", ((a.name.upper(), a.help) for a in command.arguments), width))
    parts.append(_options((*command.options, *table.options), width))
    if examples := list(_examples(command.examples, table)):
        parts.append(_section("examples", examples, width))
    if command.notes:
        parts.append(textwrap.fill(command.notes, width))
    return "\n\n".join(parts)


def _called(table: Table, command: str) -> str:
    return f"{table.program} {command}" if table.program else command


def _examples(examples: Iterable[Example], table: Table) -> Iterator[tuple[str, str]]:
    """Examples as they are typed there; those that need a shell are left out where there is none."""
    for example in examples:
        if table.program:
            yield example.line, example.purpose
        elif not _SHELL.search(example.line):
            yield example.line.removeprefix("event-cli "), example.purpose


def _options(options: Iterable[Option], width: int) -> str:
    rows = [(f"{o.flag} {o.metavar}".strip(), _option_help(o)) for o in options]
    return _section("options", [*rows, ("--help", "show this help")], width)


def _option_help(option: Option) -> str:
    unsaid = [choice for choice in option.choices if choice not in option.help]
    return f"{option.help} ({', '.join(option.choices)})" if unsaid else option.help


def _section(title: str, rows: Iterable[tuple[str, str]], width: int) -> str:
    rows = list(rows)
    room = max(20, width - len(_INDENT))
    column = min(max((len(left) for left, _ in rows), default=0), 30, room // 2)
    lines = [f"{title}:"]
    for left, right in rows:
        indent = _INDENT * 2 + " " * column
        wrapped = textwrap.wrap(right, max(20, width - len(indent)))
        if len(left) > column:
            lines.append(f"{_INDENT}{left}")
        else:
            lines.append(f"{_INDENT}{left:<{column}}{_INDENT}{wrapped.pop(0) if wrapped else ''}".rstrip())
        lines += [f"{indent}{line}" for line in wrapped]
    return "\n".join(lines)
