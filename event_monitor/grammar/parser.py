"""Turns words into an ``Invocation``, after the tables of commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.commands import EVENT_CLI, Table
from event_monitor.grammar.reading import Part, Reading, options_of, read
from event_monitor.grammar.spec import Argument, Command, Invocation, Option
from event_monitor.messages import Message

_HELP_FLAGS = ("-h", "--help")
_LARGEST = 2**63 - 1


class HelpWanted(Exception):
    """The words ask for help on ``path``, which names a command, a group, or nothing."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(" ".join(path))
        self.path = path


class VersionWanted(Exception):
    """The words ask for the version."""


class UsageError(InvalidRequest):
    """A command line that is not understood. ``word`` is the index of the word that is wrong, or the
    number of words where one is missing at the end."""

    def __init__(self, message: str, advice: str, word: int) -> None:
        super().__init__(message, advice)
        self.word = word


def parse(words: Sequence[str], table: Table = EVENT_CLI) -> Invocation:
    """Understand a command line.

    Raises ``UsageError`` that says what is wrong and where help is, ``HelpWanted`` or
    ``VersionWanted``.
    """
    reading = read(words, table)
    if (asked := asked_for(reading, words)) is not None:
        raise asked
    if reading.command is None:
        raise _no_such_command(reading, len(words), table)
    values = _values(reading, reading.command, len(words), table)
    output, home = values.pop("output", None), values.pop("home", None)
    return Invocation(command=reading.command, values=values, output=output, home=home)


def to_message(invocation: Invocation) -> Message:
    """The message that a command sends. Raises ``InvalidRequest`` or ``InvalidEvent`` where its
    values do not fit together, and for a command that is not one message."""
    if invocation.command.build is None:
        raise InvalidRequest(f"{invocation.command.name} is not a single message")
    return invocation.command.build(invocation.values)


def asked_for(reading: Reading, words: Sequence[str]) -> Exception | None:
    """The wish for help or for the version that a command line expresses, if it does."""
    named = len(reading.path)
    for part in reading.parts:
        if part.kind == "command":
            named -= 1
        elif part.kind == "option" and part.text == "--version" and named == len(reading.path):
            return VersionWanted()
    end = next((part.index for part in reading.parts if part.kind == "separator"), len(words))
    return HelpWanted(reading.path) if any(word in _HELP_FLAGS for word in words[:end]) else None


def _no_such_command(reading: Reading, end: int, table: Table) -> UsageError:
    path = reading.path
    names = ", ".join(table.next_words(path))
    unknown = next((part for part in reading.parts if part.kind == "argument"), None)
    if unknown is None:
        stray = next((part for part in reading.parts if part.kind == "option" and part.item is None), None)
        if stray is not None:
            return UsageError(f"{stray.text} stands before no command", f"take one of {names}", stray.index)
        where = " ".join(word for word in (table.program, *path) if word)
        return UsageError(f"no command is named after {where}", f"take one of {names}", end)
    name = " ".join((*path, unknown.text))
    return UsageError(
        f"unknown command {name!r}", _advice(unknown.text, table.next_words(path)), unknown.index
    )


def _advice(word: str, known: Sequence[str]) -> str:
    # Only a mistake pays for the import.
    from difflib import get_close_matches

    near = get_close_matches(word, known, 1)
    return f"did you mean {near[0]}?" if near else f"take one of {', '.join(known)}"


def _values(reading: Reading, command: Command, end: int, table: Table) -> dict[str, Any]:
    options = options_of(command, table)
    values: dict[str, Any] = {argument.name: None for argument in command.arguments}
    values |= {argument.name: [] for argument in command.arguments if argument.many}
    values |= {o.name: False if o.kind == "flag" else o.default for o in options.values()}
    hint = table.where_help_is(command.path)
    lacking: Part | None = None
    for part in reading.parts:
        item = part.item
        if lacking is not None and part.kind != "value":
            raise _lacks_value(lacking, hint)
        lacking = None
        if part.kind in ("command", "separator"):
            continue
        if item is None:
            raise _not_taken(part, command, options, hint)
        if part.kind == "option":
            if isinstance(item, Option) and item.kind == "flag":
                values[item.name] = True
            else:
                lacking = part
        elif item.many:
            if values[item.name] is None:
                values[item.name] = []
            values[item.name].append(_value(item, part, hint))
        else:
            values[item.name] = _value(item, part, hint)
    if lacking is not None:
        raise _lacks_value(lacking, hint)
    for argument in command.arguments:
        if argument.required and values[argument.name] in (None, []):
            raise UsageError(f"{argument.name.upper()} is missing: {argument.help}", hint, end)
    return values


def _lacks_value(part: Part, hint: str) -> UsageError:
    metavar = part.item.metavar if isinstance(part.item, Option) else ""
    return UsageError(f"{part.text} needs a value ({metavar})", hint, part.index)


def _not_taken(part: Part, command: Command, options: dict[str, Option], hint: str) -> UsageError:
    if part.kind == "argument":
        return UsageError(f"{part.text!r} is a word too many for {command.name}", hint, part.index)
    flag = part.text.partition("=")[0]
    if flag in options:
        return UsageError(f"{flag} takes no value, but was given {part.text!r}", hint, part.index)
    advice = _advice(flag, tuple(options)) if options else hint
    return UsageError(f"unknown option {part.text}", advice if "mean" in advice else hint, part.index)


def _value(item: Argument | Option, part: Part, hint: str) -> str | int | float:
    name = item.flag if isinstance(item, Option) else item.name.upper()
    text = part.text
    kind = item.kind if isinstance(item, Option) else "integer" if item.integer else "text"
    if kind == "integer":
        if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= _LARGEST:
            return int(text)
        raise UsageError(f"{name}: {text!r} is not a whole number", hint, part.index)
    if kind == "number":
        try:
            return float(text)
        except ValueError:
            raise UsageError(f"{name}: {text!r} is not a number", hint, part.index) from None
    if isinstance(item, Option) and item.ignore_case:
        text = text.upper()
    if item.choices and text not in item.choices:
        raise UsageError(f"{name}: {part.text!r} is not one of {', '.join(item.choices)}", hint, part.index)
    return text
