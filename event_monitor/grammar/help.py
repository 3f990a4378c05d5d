"""Help texts, made from the table of commands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from event_monitor.grammar.commands import BY_PATH, COMMANDS, GLOBAL_OPTIONS, subcommands
from event_monitor.grammar.spec import Command, Option

_INDENT = "  "
_EXIT = "Exit status: 0 done, 1 refused or failed, 2 wrong usage or bad input, 3 no bus is running."
_START = (
    ("event-cli publish build.done '{\"exit_code\": 0}'", "publish an event"),
    ("event-cli events --follow", "watch what happens"),
    ("event-cli stats --live", "rates and counts, once a second"),
    ("event-cli dlq list", "what could not be delivered"),
)


def help_text(path: Sequence[str], width: int) -> str:
    """Help on a command, on a group of commands, or, for an empty path, on all."""
    command = BY_PATH.get(tuple(path))
    if command is not None:
        return _command_help(command, width)
    if path:
        return _group_help(tuple(path), width)
    return _overview(width)


def _overview(width: int) -> str:
    return "\n\n".join(
        (
            "usage: event-cli [--home DIR] [--output json|table] COMMAND",
            "Talks to the event bus of a running event-monitor.",
            _section("commands", ((c.usage.removesuffix(" [options]"), c.summary) for c in COMMANDS), width),
            _options((*GLOBAL_OPTIONS, Option(name="version", kind="flag", help="show the version")), width),
            _section("examples", _START, width),
            f"event-cli COMMAND --help shows the options and examples of a command.\n{_EXIT}",
        )
    )


def _group_help(path: tuple[str, ...], width: int) -> str:
    below = subcommands(path)
    return "\n\n".join(
        (
            f"usage: event-cli {' '.join(path)} COMMAND",
            _section("commands", ((c.usage, c.summary) for c in below), width),
            _section("examples", ((e.line, e.purpose) for c in below for e in c.examples), width),
        )
    )


def _command_help(command: Command, width: int) -> str:
    parts = [f"usage: event-cli {command.usage}", f"{command.summary}."]
    below = subcommands(command.path)
    if below:
        parts.append(_section("commands below it", ((c.usage, c.summary) for c in below), width))
    if command.arguments:
        parts.append(_section("arguments", ((a.name.upper(), a.help) for a in command.arguments), width))
    parts.append(_options((*command.options, *GLOBAL_OPTIONS), width))
    if command.examples:
        parts.append(_section("examples", ((e.line, e.purpose) for e in command.examples), width))
    if command.notes:
        parts.append(textwrap.fill(command.notes, width))
    return "\n\n".join(parts)


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
