"""Understands a typed line, and finds the place in it that a mistake is about."""

from __future__ import annotations

import re
from collections.abc import Sequence

from event_monitor.errors import EventMonitorError
from event_monitor.grammar.parser import UsageError, parse
from event_monitor.grammar.reading import Reading, read
from event_monitor.grammar.repl.table import NEEDS_SHELL, REPL
from event_monitor.grammar.repl.words import LineError, Word, split
from event_monitor.grammar.spec import Invocation

_BYTE = re.compile(r"\(byte (\d+)\)")
_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"")
_FLAG = re.compile(r"--[a-z-]+")


def understand(text: str) -> Invocation | None:
    """The command that a line is; ``None`` for an empty line or a comment (``# ...``).

    Raises ``LineError`` (``Unfinished``, if a further line could complete it) or ``HelpWanted``.
    """
    if text.lstrip().startswith("#"):
        return None
    words = _words(text)
    if not words:
        return None
    first = words[0]
    if first.text in NEEDS_SHELL:
        raise LineError(NEEDS_SHELL[first.text], "help shows what can be typed", first.start, first.end)
    try:
        invocation = parse([word.text for word in words], REPL)
    except UsageError as error:
        start, end = _span(words, error.word, text)
        raise LineError(error.message, error.advice, start, end) from None
    _refuse_stdin(invocation, words)
    return invocation


def place_of(text: str, error: EventMonitorError) -> tuple[int, int] | None:
    """Where in a line that is a command the thing stands that an error is about, if it can be told."""
    if isinstance(error, LineError):
        return error.start, error.end
    words = _words(text)
    payload = _payload(read([word.text for word in words], REPL), words)
    if payload is not None and "payload" in error.message:
        return _within(payload, error.message)
    for named in _QUOTED.finditer(error.message):
        for word in words:
            if word.text == (named[1] or named[2]):
                return word.start, word.end
    flags = set(_FLAG.findall(error.message))
    for word in words:
        if word.text.partition("=")[0] in flags:
            return word.start, word.end
    texts = [
        word for word in words if len(word.text) > 2 and word.text in re.split(r"[\s:,()]+", error.message)
    ]
    # The command's own name says nothing: it is in many messages.
    named_words = [word for word in texts if word is not words[0]]
    return (named_words[0].start, named_words[0].end) if named_words else None


def _words(text: str) -> list[Word]:
    words = split(text)
    # A line copied from the documentation begins with the program's name.
    return words[1:] if words and words[0].text == "event-cli" else words


def _span(words: Sequence[Word], index: int, text: str) -> tuple[int, int]:
    if index < len(words):
        return words[index].start, words[index].end
    end = max(words[-1].end, len(text.rstrip()))
    return end, end + 1


def _refuse_stdin(invocation: Invocation, words: Sequence[Word]) -> None:
    if invocation.command.path != ("publish",):
        return
    for word in words:
        if word.text == "--batch" or (word.text == "-" and word.verbatim):
            raise LineError(
                "stdin is for the commands themselves here",
                "give the payload as JSON, or use event-cli publish in a shell",
                word.start,
                word.end,
            )


def _payload(reading: Reading, words: Sequence[Word]) -> Word | None:
    for part in reading.parts:
        if part.kind == "argument" and part.item is not None and part.item.name == "payload":
            return words[part.index]
    return None


def _within(word: Word, message: str) -> tuple[int, int]:
    """The character of a payload at which its reader stopped, or all of it."""
    found = _BYTE.search(message)
    if found is None or not word.verbatim:
        return word.start, word.end
    before = word.text.encode(errors="surrogatepass")[: int(found[1])]
    place = min(word.start + len(before.decode(errors="ignore")), word.end - 1)
    return place, place + 1
