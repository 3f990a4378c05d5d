"""The target that types lines at the prompt of the console and of ``event-cli repl``."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from event_monitor.errors import EventMonitorError, InvalidEvent, InvalidRequest
from event_monitor.grammar.decode import publish_from_text
from event_monitor.grammar.parser import HelpWanted, to_message
from event_monitor.grammar.repl.history import without_secrets
from event_monitor.grammar.repl.line import place_of, understand
from event_monitor.grammar.repl.offers import offers_at, place_at
from event_monitor.grammar.repl.pointing import caret_line, line_and_column
from event_monitor.grammar.repl.table import REPL
from event_monitor.grammar.repl.words import LineError, quote, split
from event_monitor.messages import PublishText
from tests.cli.test_repl_offers import BUS
from tests.fuzz.harness import Check, Target
from tests.fuzz.mutation import damaged

_EXAMPLES = [
    example.line.removeprefix(start).encode()
    for command in REPL.commands
    for example in command.examples
    for start in ("event-cli ", "")
]
_PAYLOADS = [
    b'publish a.b {"service": "github", "n": [1, {"x": null}], "token": "t\\"}"} --key k',
    b'routes a.b {\n  "a": {"b": 1}\n}',
    b'publish \'a b\' "{\\"x\\": 1}" --priority high',
    "publish build.done {\"é漢\": '\\\u202e'".encode(),
]


def _line(rng: random.Random) -> str:
    texts = _EXAMPLES + _PAYLOADS * 4
    return damaged(rng, rng.choice(texts), texts, 3).decode(errors="surrogateescape")


@contextlib.contextmanager
def _typing() -> Iterator[Check]:
    def check(line: str) -> None:
        _understood(line)
        for cursor in {0, len(line) // 2, len(line)}:
            place = place_at(line, cursor)
            if place is not None:
                assert 0 <= place.start <= cursor
                replies = [BUS[type(ask)] for ask in place.asks if type(ask) in BUS]
                assert all(offer.text.isprintable() for offer in offers_at(place, replies))
        without_secrets(line)

    yield check


def _understood(line: str) -> None:
    try:
        words = split(line)
    except LineError as error:
        _pointed(line, error)
    else:
        assert [word.text for word in split(" ".join(quote(word.text) for word in words))] == [
            word.text for word in words
        ]
    try:
        invocation = understand(line)
        if invocation is not None and invocation.command.build is not None:
            message = to_message(invocation)
            if isinstance(message, PublishText):
                publish_from_text(message)
    except HelpWanted:
        return
    except (InvalidRequest, InvalidEvent) as error:
        assert error.message and error.advice
        _pointed(line, error)


def _pointed(line: str, error: EventMonitorError) -> None:
    place = place_of(line, error)
    if place is not None:
        assert 0 <= place[0] < place[1] <= len(line) + 1
        row, carets = caret_line(line, *place)
        assert row.isprintable() and carets.strip() and set(carets) <= {" ", "^"}
        assert min(line_and_column(line, place[0])) >= 1


PROMPT = Target("prompt", _line, _typing, 4)
