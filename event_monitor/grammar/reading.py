"""Finds out what each word of a command line is: part of the command's name, an option, its value, an
argument, or nothing that the command takes. The parser and the completion both see a line this way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from event_monitor.grammar.commands import EVENT_CLI, Table
from event_monitor.grammar.spec import Argument, Command, Option

Kind = Literal["command", "option", "value", "argument", "separator"]


class Part(msgspec.Struct, frozen=True):
    """The word at ``index`` and what it is taken for; ``item`` is ``None`` where nothing takes it.
    ``text`` is the word, or for a value written as ``--name=value`` that value."""

    index: int
    kind: Kind
    text: str
    item: Argument | Option | None = None


class Reading(msgspec.Struct):
    """A command line, word by word. ``awaiting`` is an option at its end that still lacks its value."""

    path: tuple[str, ...] = ()
    command: Command | None = None
    parts: list[Part] = []
    awaiting: Option | None = None
    ended: bool = False
    """Whether a ``--`` was met: all that follows is arguments."""
    taken: int = 0
    """How many arguments there are."""

    def next_argument(self) -> Argument | None:
        """The argument that one more word would be."""
        return _argument(self.command, self.taken)


def read(words: Sequence[str], table: Table = EVENT_CLI) -> Reading:
    """Understand as much of a command line as there is. Never fails."""
    reading = Reading()
    reading.parts = []
    at = _read_command(reading, words, table)
    reading.command = table.by_path.get(reading.path)
    options = options_of(reading.command, table)
    # Options that stood before the command are its own.
    reading.parts = [
        msgspec.structs.replace(part, item=options.get(part.text.partition("=")[0]))
        if part.kind == "option" and part.item is None
        else part
        for part in reading.parts
    ]
    while at < len(words):
        at = _read_word(reading, words, at, options)
    return reading


def options_of(command: Command | None, table: Table) -> dict[str, Option]:
    """What a command takes, by flag."""
    own = command.options if command is not None else ()
    return {option.flag: option for option in (*own, *table.options)}


def _read_command(reading: Reading, words: Sequence[str], table: Table) -> int:
    """Read the command's name and the options that stand before it; answers where the rest begins."""
    shared = options_of(None, table)
    at = 0
    while at < len(words) and words[at] != "--":
        word = words[at]
        if word == "-" or not word.startswith("-"):
            if word not in table.next_words(reading.path):
                break
            reading.path = (*reading.path, word)
            reading.parts.append(Part(at, "command", word))
            at += 1
        elif word.partition("=")[0] in shared:
            at = _read_option(reading, words, at, shared)
        elif reading.path:
            break
        else:
            reading.parts.append(Part(at, "option", word))
            at += 1
    return at


def _read_word(reading: Reading, words: Sequence[str], at: int, options: Mapping[str, Option]) -> int:
    word = words[at]
    if word == "--" and not reading.ended:
        reading.ended = True
        reading.parts.append(Part(at, "separator", word))
        return at + 1
    if reading.ended or word == "-" or not word.startswith("-"):
        reading.parts.append(Part(at, "argument", word, reading.next_argument()))
        reading.taken += 1
        return at + 1
    return _read_option(reading, words, at, options)


def _read_option(reading: Reading, words: Sequence[str], at: int, options: Mapping[str, Option]) -> int:
    """An option and its value, which may begin with a dash (``--since -15m``) but is no other option."""
    flag, equals, value = words[at].partition("=")
    option = options.get(flag)
    if option is None or (option.kind == "flag" and equals):
        reading.parts.append(Part(at, "option", words[at]))
        return at + 1
    reading.parts.append(Part(at, "option", flag, option))
    if option.kind == "flag":
        return at + 1
    if equals:
        reading.parts.append(Part(at, "value", value, option))
        return at + 1
    if at + 1 == len(words):
        reading.awaiting = option
        return at + 1
    if words[at + 1] in options:
        return at + 1
    reading.parts.append(Part(at + 1, "value", words[at + 1], option))
    return at + 2


def _argument(command: Command | None, taken: int) -> Argument | None:
    if command is None or not command.arguments:
        return None
    if taken < len(command.arguments):
        return command.arguments[taken]
    return command.arguments[-1] if command.arguments[-1].many else None
