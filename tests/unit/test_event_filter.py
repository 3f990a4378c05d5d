"""The one-line filter grammar: what a line means, and where a mistake stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.event_filter import FilterMistake, parse_filter, parse_moment
from event_monitor.messages import HistoryFilter, HistoryTerms
from event_monitor.model import Priority, Status

NOW = datetime(2026, 3, 14, 15, 42, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", {}),
        ("  ", {}),
        ("command.#", {"types": ("command.#",)}),
        ("command.# mcp.*", {"types": ("command.#", "mcp.*")}),
        ("type:a.b", {"types": ("a.b",)}),
        ("type:a.b,c.#", {"types": ("a.b", "c.#")}),
        ("status:dead", {"statuses": (Status.DEAD,)}),
        ("status:dead,expired", {"statuses": (Status.DEAD, Status.EXPIRED)}),
        ("priority:high", {"priorities": (Priority.HIGH,)}),
        ("priority:HIGH priority:low", {"priorities": (Priority.HIGH, Priority.LOW)}),
        ("source:hook", {"sources": ("hook",)}),
        ('source:"my script"', {"sources": ("my script",)}),
        ("git status", {"words": ("git", "status")}),
        ('"git status"', {"words": ("git status",)}),
        ('"a.#"', {"words": ("a.#",)}),
        ("/exit [1-9]/", {"regexes": ("exit [1-9]",)}),
        (r"/a\/b/ c", {"regexes": ("a/b",), "words": ("c",)}),
        ("#18231", {"event_id": 18231}),
        ("cause:#7", {"cause": 7}),
        ("correlation:c-17", {"correlation": "c-17"}),
        ("since:-2h", {"since": "2026-03-14T13:42:07.000000Z"}),
        ("until:2026-03-01T00:00:00Z", {"until": "2026-03-01T00:00:00.000000Z"}),
        ("-hook.#", {"without": HistoryTerms(types=("hook.#",))}),
        (
            "-status:dead -/x/ -y",
            {"without": HistoryTerms(statuses=(Status.DEAD,), words=("y",), regexes=("x",))},
        ),
        ("- a", {"words": ("-", "a")}),
        ("http://host:80", {"words": ("http://host:80",)}),
        ("C#", {"words": ("C#",)}),
        ("漢字", {"words": ("漢字",)}),
    ],
)
def test_a_line_means(text: str, meant: dict[str, Any]) -> None:
    assert parse_filter(text, NOW) == HistoryFilter(**meant)


@pytest.mark.parametrize(
    ("text", "start", "end", "says"),
    [
        ("git status:daed x", 4, 15, "did you mean dead?"),
        ("status:", 0, 7, "such as status:dead"),
        ("status:nothing", 0, 14, "one of pending, delivered"),
        ("x priority:urgent", 2, 17, "one of critical, high"),
        ("statsu:dead", 0, 11, "did you mean status:"),
        ("a since:soon", 2, 12, "is no time"),
        ("since:-1h since:-2h", 10, 19, "second of its kind"),
        ("-since:-1h", 0, 10, "without the minus"),
        ("ab /never", 3, 9, "close it with /"),
        ('-"open', 0, 6, 'close it with "'),
        ("x //", 2, 4, "nothing between"),
        ("type:A.b", 0, 8, "no topic pattern"),
        ("cause:x", 0, 7, "no event's number"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, start: int, end: int, says: str) -> None:
    with pytest.raises(FilterMistake) as caught:
        parse_filter(text, NOW)
    assert (caught.value.start, caught.value.end) == (start, end)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("14:30", "2026-03-14T14:30:00.000000Z"),
        ("15:42:07", "2026-03-14T15:42:07.000000Z"),
        ("16:00", "2026-03-13T16:00:00.000000Z"),
        ("9:05", "2026-03-14T09:05:00.000000Z"),
        (" -15m ", "2026-03-14T15:27:07.000000Z"),
        ("now", "2026-03-14T15:42:07.000000Z"),
        ("1773500000", "2026-03-14T14:53:20.000000Z"),
    ],
)
def test_times_as_people_type_them(monkeypatch: pytest.MonkeyPatch, text: str, moment: str) -> None:
    monkeypatch.setenv("TZ", "UTC")
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "25:00", "14:60", "half past", "2 h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_moment(text, NOW)


@given(st.text(alphabet='ab.#*:/"\\ -,0\tstatus:since:', max_size=40) | st.text(max_size=40))
def test_any_text_is_a_filter_or_a_mistake_within_it(text: str) -> None:
    try:
        parse_filter(text, NOW)
    except FilterMistake as mistake:
        assert 0 <= mistake.start < mistake.end <= len(text)
