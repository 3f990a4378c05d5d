"""Turns words into an ``Invocation``, with parsers made from the table of commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.commands import BY_PATH, COMMANDS, GLOBAL_OPTIONS, subcommands
from event_monitor.grammar.spec import Argument, Command, Invocation, Option
from event_monitor.messages import Message

_HELP_FLAGS = ("-h", "--help")
_GLOBAL_FLAGS = tuple(option.flag for option in GLOBAL_OPTIONS)
_LARGEST = 2**63 - 1


class HelpWanted(Exception):
    """The words ask for help on ``path``, which names a command, a group, or nothing."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(" ".join(path))
        self.path = path


class VersionWanted(Exception):
    """The words ask for the version."""


def parse(words: Sequence[str]) -> Invocation:
    """Understand a command line.

    Raises ``InvalidRequest`` that says what is wrong and where help is, ``HelpWanted`` or
    ``VersionWanted``.
    """
    path, rest, asked = find_command(words)
    if asked is not None:
        raise asked
    command = BY_PATH.get(path)
    if command is None:
        raise _no_such_command(path, rest)
    parser = _parser(command)
    parsed = vars(parser.parse_args(_with_values_attached(command, rest)))
    output, home = parsed.pop("output"), parsed.pop("home")
    return Invocation(command=command, values=parsed, output=output, home=home)


def to_message(invocation: Invocation) -> Message:
    """The message that a command sends. Raises ``InvalidRequest`` or ``InvalidEvent`` where its
    values do not fit together, and for a command that is not one message."""
    if invocation.command.build is None:
        raise InvalidRequest(f"{invocation.command.name} is not a single message")
    return invocation.command.build(invocation.values)


def find_command(words: Sequence[str]) -> tuple[tuple[str, ...], list[str], Exception | None]:
    """The longest command path at the front of ``words``, what is left of them (global options that
    stand before the command included), and the wish for help or the version, if there is one."""
    path: tuple[str, ...] = ()
    rest: list[str] = []
    index = 0
    while index < len(words) and words[index] != "--":
        word = words[index]
        if not word.startswith("-") or word == "-":
            if not any(command.path[: len(path) + 1] == (*path, word) for command in COMMANDS):
                break
            path = (*path, word)
        elif word in _GLOBAL_FLAGS:
            rest += words[index : index + 2]
            index += 1
        elif path:
            break
        elif word == "--version":
            return path, rest, VersionWanted()
        else:
            rest.append(word)
        index += 1
    rest += words[index:]
    end = rest.index("--") if "--" in rest else len(rest)
    wants_help = any(word in _HELP_FLAGS for word in rest[:end])
    return path, rest, HelpWanted(path) if wants_help else None


def _no_such_command(path: tuple[str, ...], rest: Sequence[str]) -> InvalidRequest:
    values = [value for flag, value in pairwise(rest) if flag in _GLOBAL_FLAGS]
    unknown = next((word for word in rest if not word.startswith("--") and word not in values), None)
    names = ", ".join(dict.fromkeys(command.path[len(path)] for command in subcommands(path)))
    where = f" {' '.join(path)}" if path else ""
    if unknown is None:
        return InvalidRequest(f"no command is named after event-cli{where}", f"take one of {names}")
    return InvalidRequest(f"unknown command {' '.join((*path, unknown))!r}", f"take one of {names}")


class _Parser(argparse.ArgumentParser):
    """Reports mistakes as ``InvalidRequest`` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(message, f"see {self.prog} --help")


def _parser(command: Command) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"event-cli {command.name}", add_help=False, allow_abbrev=False)
    for argument in command.arguments:
        _add_argument(parser, argument)
    for option in (*command.options, *GLOBAL_OPTIONS):
        _add_option(parser, option)
    return parser


def _add_argument(parser: argparse.ArgumentParser, argument: Argument) -> None:
    count = {(True, True): "+", (True, False): None, (False, True): "*", (False, False): "?"}
    settings: dict[str, Any] = {"nargs": count[argument.required, argument.many]}
    if argument.choices:
        settings["choices"] = argument.choices
    if argument.integer:
        settings["type"] = _whole_number
    parser.add_argument(argument.name, metavar=argument.name.upper(), **settings)


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    if option.kind == "flag":
        parser.add_argument(option.flag, action="store_true", dest=option.name)
        return
    settings: dict[str, Any] = {"default": option.default}
    if option.many:
        settings["action"] = "append"
    if option.kind == "integer":
        settings["type"] = _whole_number
    elif option.kind == "number":
        settings["type"] = float
    elif option.ignore_case:
        settings["type"] = str.upper
    if option.choices:
        settings["choices"] = option.choices
    parser.add_argument(option.flag, dest=option.name, metavar=option.metavar, **settings)


def _whole_number(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= _LARGEST:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")


def _with_values_attached(command: Command, words: Sequence[str]) -> list[str]:
    """``--since -15m`` as ``--since=-15m``: argparse takes a value that begins with a dash for an
    option."""
    options = (*command.options, *GLOBAL_OPTIONS)
    flags = {option.flag for option in options}
    valued = {option.flag for option in options if option.kind != "flag"}
    attached: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*attached, word, *rest]
        if word in valued:
            value = next(rest, None)
            if value is None or value in flags:
                attached += [word] if value is None else [word, value]
                continue
            word = f"{word}={value}"
        attached.append(word)
    return attached
