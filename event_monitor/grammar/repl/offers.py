"""What can be typed at a place in a line. What only the bus knows is asked for by the caller: ``place_at``
says which messages to send, ``offers_at`` takes the replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from event_monitor.grammar.known import QUESTIONS, Offer, offers_in
from event_monitor.grammar.reading import Reading, options_of, read
from event_monitor.grammar.render import MASK
from event_monitor.grammar.repl.payload import PayloadPlace, payload_offers, place_at_end, whole_payloads
from event_monitor.grammar.repl.table import REPL
from event_monitor.grammar.repl.words import LineError, Word, quote, split_before
from event_monitor.grammar.spec import BUS_SOURCES, Argument, Option, Source
from event_monitor.grammar.text import plain, safe_json
from event_monitor.messages import Message, QueryEvents

_MOST = 200
_RECENT = 30
_FIXED: Mapping[Source, tuple[Offer, ...]] = {
    "times": (
        Offer("-5m", "5 minutes ago"),
        Offer("-15m", "15 minutes ago"),
        Offer("-1h", "an hour ago"),
        Offer("-1d", "a day ago"),
        Offer("-7d", "a week ago"),
    ),
    "speeds": (Offer("1", "as recorded"), Offer("10", "ten times as fast"), Offer("max", "no gaps")),
    "handlers": (
        Offer("-", "print events until interrupted"),
        Offer("exec:", "a command that gets each event on stdin"),
        Offer("py:", "a function, as py:module:function"),
    ),
}


class Place(msgspec.Struct, frozen=True):
    """A place in a line. What is chosen replaces the text from ``start`` to the cursor, ``typed`` is what
    stands there; ``about`` says in words what belongs there; ``asks`` are messages whose replies hold
    more to offer."""

    start: int
    typed: str
    about: str = ""
    fixed: tuple[Offer, ...] = ()
    source: Source = ""
    asks: tuple[Message, ...] = ()
    inside: PayloadPlace | None = None


def place_at(text: str, cursor: int) -> Place | None:
    """What can be typed at the cursor; ``None`` where nothing can."""
    before = text[:cursor]
    try:
        words, word = split_before(before)
    except LineError:
        return None
    if words and words[0].text == "event-cli":
        words = words[1:]
    reading = read([one.text for one in words], REPL)
    if reading.awaiting is not None:
        return _of_item(reading.awaiting, reading, word, word.start, word.text)
    if word.text.startswith("-") and word.verbatim and not reading.ended and len(word.text) > 1:
        return _of_option(reading, word)
    return _of_words(reading, word)


def offers_at(place: Place, replies: Sequence[Any], mask: Iterable[str] = MASK) -> list[Offer]:
    """What can stand there and fits what is typed: what begins with it first, then what contains it."""
    if place.source == "payload":
        return _of_payload(place, replies, mask)
    found = list(place.fixed)
    if place.source in BUS_SOURCES:
        found += offers_in(place.source, replies)
    typed = place.typed.lower()
    first = [offer for offer in found if offer.text.lower().startswith(typed)]
    then = [o for o in found if typed in o.text.lower() and o not in first] if len(typed) > 1 else []
    return [
        Offer(quote(offer.text), plain(offer.note))
        for offer in (*first, *then)[:_MOST]
        if offer.text.isprintable()
    ]


def common_start(offers: Sequence[Offer]) -> str:
    """The text with which all offers begin."""
    texts = [offer.text for offer in offers]
    if not texts:
        return ""
    low, high = min(texts), max(texts)
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[:same]


def _of_option(reading: Reading, word: Word) -> Place | None:
    options = options_of(reading.command, REPL)
    flag, equals, value = word.text.partition("=")
    if equals:
        option = options.get(flag)
        if option is None or option.kind == "flag":
            return None
        return _of_item(option, reading, word, word.start + len(flag) + 1, value)
    given = {part.text for part in reading.parts if part.kind == "option"}
    offers = tuple(
        Offer(option.flag, option.help)
        for option in options.values()
        if option.many or option.flag not in given
    )
    return Place(word.start, word.text, "an option", (*offers, Offer("--help", "show the help")))


def _of_words(reading: Reading, word: Word) -> Place | None:
    """A further word of the command's name, or its next argument."""
    path = reading.path
    fixed: tuple[Offer, ...] = ()
    if reading.taken == 0 and not reading.ended:
        fixed = tuple(Offer(next_word, _summary((*path, next_word))) for next_word in REPL.next_words(path))
    argument = reading.next_argument()
    if argument is None:
        if reading.command is not None and not fixed:
            return Place(
                word.start, word.text, "an option (--)" if reading.command.options else "nothing more"
            )
        return Place(word.start, word.text, "a command", fixed) if fixed else None
    place = _of_item(argument, reading, word, word.start, word.text)
    return msgspec.structs.replace(place, fixed=(*fixed, *place.fixed)) if place is not None else None


def _summary(path: tuple[str, ...]) -> str:
    command = REPL.by_path.get(path)
    return command.summary if command is not None else ", ".join(REPL.next_words(path))


def _of_item(item: Argument | Option, reading: Reading, word: Word, start: int, typed: str) -> Place | None:
    name = f"{item.flag} {item.metavar}" if isinstance(item, Option) else item.name.upper()
    about = f"{name}: {item.help}"
    if item.source == "payload":
        return _of_payload_word(reading, word, "PAYLOAD: a JSON object, over several lines if need be")
    if item.source == "commands":
        words = tuple(part.text for part in reading.parts if part.kind == "argument")
        fixed = tuple(Offer(next_word, _summary((*words, next_word))) for next_word in REPL.next_words(words))
        return Place(start, typed, about, fixed)
    asks = QUESTIONS[item.source] if item.source in BUS_SOURCES else ()
    choices = tuple(Offer(choice) for choice in item.choices)
    return Place(start, typed, about, (*choices, *_FIXED.get(item.source, ())), item.source, asks)


def _of_payload_word(reading: Reading, word: Word, about: str) -> Place | None:
    event_type = next((part.text for part in reading.parts if part.kind == "argument"), None)
    asks = (QueryEvents(type=event_type, limit=_RECENT),) if event_type else ()
    if not word.text:
        return Place(word.start, "", about, (), "payload", asks)
    inside = place_at_end(word.text) if word.verbatim else None
    if inside is None:
        return None
    return Place(word.start + inside.start, word.text[inside.start :], about, (), "payload", asks, inside)


def _of_payload(place: Place, replies: Sequence[Any], mask: Iterable[str]) -> list[Offer]:
    payloads = [event.payload for reply in replies for event in reply.events]
    if place.inside is None:
        found = whole_payloads(payloads, mask)
    else:
        found = payload_offers(place.inside, payloads, mask)
    # A key may be begun with or without its quote.
    typed = place.typed.lstrip('"')
    return [
        Offer(safe_json(offer.text), plain(offer.note))
        for offer in found[:_MOST]
        if offer.text.lstrip('"').startswith(typed)
    ]
