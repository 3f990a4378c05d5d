"""What the prompt offers at each place, from the grammar and from what the bus answers."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.grammar.known import QUESTIONS, Offer
from event_monitor.grammar.repl.offers import common_start, offers_at, place_at
from event_monitor.grammar.repl.payload import place_at_end
from event_monitor.grammar.repl.table import NEEDS_SHELL, REPL
from event_monitor.grammar.repl.words import LineError, split
from event_monitor.messages import GetAnalytics, GetStats, Message, QueryBreakers, QueryEvents
from event_monitor.model import Event, Priority, Status
from event_monitor.replies.general import (
    Analytics,
    AnalyticsRow,
    BreakerReport,
    Breakers,
    DeadLetter,
    DeadLetterPage,
    EventPage,
)


def event(number: int, **payload: Any) -> Event:
    return Event(
        id=number,
        timestamp="2026-03-14T15:42:07.000000Z",
        event_type="build.done",
        payload=payload,
        priority=Priority.NORMAL,
        status=Status.DELIVERED,
        retry_count=0,
        source=None,
    )


def _counted(name: str) -> AnalyticsRow:
    return AnalyticsRow(
        name=name,
        count=3,
        failures=0,
        success_rate=1.0,
        mean_ms=None,
        max_ms=None,
        last_at="2026-03-14T15:42:07.000000Z",
    )


EVENTS = EventPage(
    events=[
        event(9, exit_code=0, branch="main", token="sesame", job={"name": "lint", "steps": [{"at": 1}]}),
        event(8, exit_code=1, branch="né漢\x1b"),
        event(7, exit_code=0, branch="main"),
    ]
)
BUS: dict[type[Message], Any] = {
    GetAnalytics: Analytics(
        by_type=[
            _counted("mcp.server.down"),
            _counted("two words"),
        ],
        by_command=[],
    ),
    QueryEvents: EVENTS,
}


def offered(line: str, *replies: Any) -> list[str]:
    place = place_at(line, len(line))
    if place is None:
        return []
    answers: Sequence[Any] = replies or [BUS[type(ask)] for ask in place.asks if type(ask) in BUS]
    return [offer.text for offer in offers_at(place, answers)]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("pub", ["publish"]),
        ("event-cli pub", ["publish"]),
        ("dlq ", ["groups", "list", "show", "retry", "edit", "drop", "runs", "rate", "stop"]),
        ("dlq re", ["retry"]),
        ("events --st", ["--status"]),
        ("events --status d", ["delivered", "dead"]),
        ("events --status=de", ["delivered", "dead", "pending"][:2]),
        ("events --status dead --st", []),
        ("events --since ", ["-5m", "-15m", "-1h", "-1d", "-7d"]),
        ("events --since -1", ["-15m", "-1h", "-1d"]),
        ("replay --speed m", ["max"]),
        ("replay --target log --tar", ["--target"]),
        ("subscribe a ", ["-", "exec:", "py:"]),
        ("subscribe r", ["remove"]),
        ("breaker x ", ["open", "close", "half_open", "reset"]),
        ("maintenance o", ["on", "off"]),
        ("set ", ["output"]),
        ("set output ", ["json", "table"]),
        ("help dlq ", ["groups", "list", "show", "retry", "edit", "drop", "runs", "rate", "stop"]),
        ("stats --output j", ["json"]),
        ("publish ", ["mcp.server.down", "'two words'", "build.done"]),
        ("publish mc", ["mcp.server.down"]),
        ("publish server", ["mcp.server.down"]),
        ("routes 'tw", ["'two words'"]),
        ("stats ", []),
        ("nonsense ", []),
        ("stats | ", []),
        ("publish a.b {'", []),
    ],
)
def test_what_is_offered(line: str, wanted: list[str]) -> None:
    assert offered(line) == wanted


def test_every_command_is_offered_but_those_for_a_shell() -> None:
    names = offered("")
    assert set(names) == {command.path[0] for command in REPL.commands}
    assert not set(names) & set(NEEDS_SHELL)


@pytest.mark.parametrize("source", QUESTIONS)
def test_every_source_is_asked_for_somewhere(source: str) -> None:
    items = [item for command in REPL.commands for item in (*command.arguments, *command.options)]
    assert any(item.source == source for item in items)


def test_breakers_and_dead_letters_say_how_they_stand() -> None:
    breakers = Breakers(
        breakers=[
            BreakerReport(service="github", state="OPEN", failure_count=5, forced=None, retry_after=21.0)
        ]
    )
    place = place_at("breaker gi", 10)
    assert place is not None and place.asks == (QueryBreakers(),)
    assert offers_at(place, [breakers]) == [Offer("github", "OPEN")]
    letter = DeadLetter(
        id=41,
        event_type="a.b",
        target="log",
        priority=Priority.LOW,
        payload={},
        attempts=5,
        error="disk\x1b[2J full",
        errors=[],
        dead_at="2026-03-14T15:42:07.000000Z",
    )
    place = place_at("dlq show ", 9)
    assert place is not None
    (offer,) = offers_at(place, [DeadLetterPage(dead_letters=[letter], more=False)])
    assert offer.text == "41" and "a.b → log" in offer.note and "\x1b" not in offer.note


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        ("{", ['"exit_code": ', '"branch": ', '"token": ', '"job": ']),
        ('{"', ['"exit_code": ', '"branch": ', '"token": ', '"job": ']),
        ('{"ex', ['"exit_code": ']),
        ("{ex", ['"exit_code": ']),
        ('{"exit_code": 1, ', ['"branch": ', '"token": ', '"job": ']),
        ('{"exit_code": ', ["0", "1"]),
        ('{"branch": ', ['"main"', '"né漢\\u001b"']),
        ('{"branch": "m', ['"main"']),
        ('{"token": ', []),
        ('{"job": {', ['"name": ', '"steps": ']),
        ('{"job": {"name": "lint", "st', ['"steps": ']),
        ('{"job": {"steps": [{', ['"at": ']),
        ('{"job": {"steps": [{"at": ', ["1"]),
        ('{"exit_code"', []),
        ('{"exit_code": 1', ["1"]),
        ('{"exit_code": 0} ', []),
    ],
)
def test_keys_and_values_of_recent_payloads_are_offered(payload: str, wanted: list[str]) -> None:
    line = f"publish build.done {payload}"
    found = offered(line)
    assert [text for text in found if not text.startswith("--")] == wanted
    place = place_at(line, len(line))
    if wanted and place is not None:
        assert place.asks == (QueryEvents(type="build.done", limit=30),)


def test_a_payload_can_be_published_again_unless_it_holds_a_secret() -> None:
    assert offered("publish build.done ")[0] == "{}"
    assert '{"exit_code":0,"branch":"main"}' in offered("publish build.done ")
    assert not any("sesame" in text for text in offered("publish build.done "))


def test_what_is_offered_can_be_put_in_the_middle_of_a_line() -> None:
    line = "events --sta dead"
    place = place_at(line, 12)
    assert place is not None and (place.start, place.typed) == (7, "--sta")


def test_a_place_says_what_belongs_there() -> None:
    for line, words in (
        ("", "a command"),
        ("publish ", "TYPE"),
        ("publish a.b ", "JSON object"),
        ("events --limit ", "--limit N"),
        ("dlq show ", "ID"),
    ):
        place = place_at(line, len(line))
        assert place is not None and words in place.about


def test_the_common_start_of_offers() -> None:
    assert common_start([Offer("deliver"), Offer("delivered"), Offer("dead")]) == "de"
    assert common_start([]) == ""
    assert common_start([Offer("one")]) == "one"


@given(st.text(alphabet=string.ascii_lowercase[:4] + '{}[]":, \\\n01', max_size=40))
def test_the_end_of_any_json_is_somewhere_or_nowhere(text: str) -> None:
    place = place_at_end(text)
    if place is not None:
        assert 0 <= place.start <= len(text)


@pytest.mark.parametrize("seed", range(20))
def test_choosing_what_is_offered_always_makes_a_line_that_can_be_split(seed: int) -> None:
    rng = random.Random(seed)
    line = ""
    for _ in range(12):
        place = place_at(line, len(line))
        if place is None:
            break
        offers = offers_at(place, [BUS[type(ask)] for ask in place.asks if type(ask) in BUS])
        if not offers:
            break
        line = line[: place.start] + rng.choice(offers).text + " "
        try:
            split(line)
        except LineError as error:
            assert "not closed" in error.message


def test_stats_are_asked_for_targets_only() -> None:
    place = place_at("dlq list --target ", 18)
    assert place is not None and place.asks == (GetStats(),)
