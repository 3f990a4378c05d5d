"""What a command is made of. The table of ``commands`` is written in these terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import msgspec

from event_monitor.messages import Message

Kind = Literal["text", "flag", "integer", "number"]
# What only the running bus knows, and a shell can ask it for.
BusSource = Literal[
    "types",
    "targets",
    "subscriptions",
    "breakers",
    "services",
    "dead_letters",
    "replays",
    "alerts",
    "declared",
]
BUS_SOURCES: tuple[BusSource, ...] = get_args(BusSource)
# What a shell or a prompt can offer for a value besides fixed choices.
Source = BusSource | Literal["", "files", "file", "times", "speeds", "handlers", "payload", "commands"]
Values = Mapping[str, Any]


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """A positional value. ``many`` takes one or more words (none, if it is not required)."""

    name: str
    help: str
    required: bool = True
    many: bool = False
    integer: bool = False
    choices: tuple[str, ...] = ()
    source: Source = ""


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A ``--name``, with a value unless its kind is ``flag``. ``metavar`` stands for the value; with
    ``many`` the option may stand several times."""

    name: str
    help: str
    kind: Kind = "text"
    metavar: str = ""
    choices: tuple[str, ...] = ()
    ignore_case: bool = False
    many: bool = False
    default: str | int | float | None = None
    source: Source = ""

    @property
    def flag(self) -> str:
        return f"--{self.name}"


class Example(msgspec.Struct, frozen=True):
    """A command line as it is typed, and what it is for."""

    line: str
    purpose: str


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command. ``path`` is its words (``dlq list``); ``build`` makes the message that it sends,
    ``None`` for a command that takes more than one message, or none; ``notes`` ends its help."""

    path: tuple[str, ...]
    summary: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    examples: tuple[Example, ...] = ()
    notes: str = ""
    build: Callable[[Values], Message] | None = None

    @property
    def name(self) -> str:
        return " ".join(self.path)

    @property
    def usage(self) -> str:
        words = [self.name, *(_usage_of(argument) for argument in self.arguments)]
        return " ".join([*words, *(["[options]"] if self.options else [])])


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """A command line, understood. ``output`` and ``home`` are ``None`` where none was named."""

    command: Command
    values: dict[str, Any]
    output: str | None = None
    home: str | None = None


def _usage_of(argument: Argument) -> str:
    name = argument.name.upper() + ("..." if argument.many else "")
    return name if argument.required else f"[{name}]"
