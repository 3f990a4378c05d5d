"""The parts beneath the Events tab: the window, the marks, the lines, and what is written."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.clock import parse_time, to_iso
from event_monitor.dashboard.detail import detail_lines
from event_monitor.dashboard.events import acting, columns
from event_monitor.dashboard.events.acting import publish_command
from event_monitor.dashboard.events.export import Export, parts_of, read_parts
from event_monitor.dashboard.events.marks import Marks
from event_monitor.dashboard.events.row_lines import heading, position, row_line, thumb
from event_monitor.dashboard.events.window import MOST, PAGE, HistoryWindow, Way
from event_monitor.errors import Conflict
from event_monitor.messages import HistoryFilter, QueryHistory
from event_monitor.model import DeliveryState, Event, Priority, Status
from event_monitor.replies.explorer import HistoryPage, HistoryRow
from tests.dashboard import scene
from tests.dashboard.test_life import HOSTILE

NOW = datetime(2026, 3, 14, 15, 42, 7, tzinfo=UTC)


def row(event_id: int, **changes: Any) -> HistoryRow:
    values: dict[str, Any] = {
        "id": event_id,
        "timestamp": "2026-03-14T15:41:40.123456Z",
        "priority": Priority.NORMAL,
        "event_type": "a.b",
        "summary": f"number {event_id}",
        "status": Status.DELIVERED,
    }
    return HistoryRow(**{**values, **changes})


class History:
    """A growing history that answers like the bus; at most ``looks`` events are looked at for a page."""

    def __init__(self, count: int, looks: int = 10_000) -> None:
        self.newest = count
        self.looks = looks

    def passes(self, event_id: int) -> bool:
        return event_id % 3 != 0

    def answer(self, question: QueryHistory) -> HistoryPage:
        low, high = question.after_id or 0, question.before_id or self.newest + 1
        ids = list(range(low + 1, min(high, self.newest + 1)))
        if question.newest_first:
            ids.reverse()
        found: list[HistoryRow] = []
        cursor = None
        for looked, event_id in enumerate(ids, 1):
            if self.passes(event_id):
                found.append(row(event_id))
            if len(found) == question.limit or looked == self.looks:
                cursor = event_id
                break
        between = len(range(low + 1, cursor)) if cursor is not None and question.newest_first else 0
        return HistoryPage(
            rows=found, cursor=cursor, oldest_id=1, newest_id=self.newest, between=between, reached="then"
        )


MOVES = st.lists(
    st.one_of(
        st.sampled_from(["down", "up", "news", "newest", "oldest"]),
        st.tuples(st.just("at"), st.integers(1, 9_000)),
        st.tuples(st.just("grow"), st.integers(1, 400)),
    ),
    min_size=8,
    max_size=60,
)


@given(moves=MOVES, looks=st.sampled_from([30, 150, 10_000]))
def test_a_window_never_has_a_hole(moves: list[Any], looks: int) -> None:
    history = History(6_000, looks)
    window = HistoryWindow()
    window.begin_newest()
    for move in moves:
        if move in ("down", "up"):
            way = Way.DOWN if move == "down" else Way.UP
            if not window.done(way):
                window.take(way, history.answer(window.question(way)))
        elif move == "news":
            if window.at_newest:
                before = window.head or 0
                page = history.answer(window.news())
                missed, _ = window.take_news(page)
                assert missed == (len(range(before + 1, page.cursor)) if page.cursor else 0)
        elif move == "newest":
            window.begin_newest()
        elif move == "oldest":
            window.begin_oldest()
        elif move[0] == "at":
            window.begin_at(move[1])
        else:
            history.newest += move[1]
        ids = [one.id for one in window.rows]
        assert len(ids) <= MOST + PAGE
        if ids:
            assert ids == [n for n in range(ids[0], ids[-1] - 1, -1) if history.passes(n)]
        if window.at_newest and ids:
            assert not [n for n in range(ids[0] + 1, (window.head or 0) + 1) if history.passes(n)]
        if window.done(Way.DOWN) and ids:
            assert ids[-1] == 1


def test_what_passed_by_is_counted_and_paged_to() -> None:
    history = History(500)
    window = HistoryWindow()
    window.begin_newest()
    window.take(Way.DOWN, history.answer(window.question(Way.DOWN)))
    history.newest += 1_000
    page = history.answer(window.news())
    assert window.take_news(page) == (1_000 - (1_500 - (page.cursor or 0)) - 1, False)
    for _ in range(9):
        window.take(Way.DOWN, history.answer(window.question(Way.DOWN)))
    ids = [one.id for one in window.rows]
    assert ids == [n for n in range(1_500, ids[-1] - 1, -1) if history.passes(n)] and ids[-1] < 500


def test_a_window_is_bounded_and_pages_back_to_what_it_let_go_of() -> None:
    history = History(20_000)
    window = HistoryWindow()
    window.begin_newest()
    while not window.done(Way.DOWN):
        window.take(Way.DOWN, history.answer(window.question(Way.DOWN)))
        assert len(window.rows) <= MOST
    assert window.rows[-1].id == 1 and not window.done(Way.UP)
    while not window.done(Way.UP):
        window.take(Way.UP, history.answer(window.question(Way.UP)))
        assert len(window.rows) <= MOST
    assert window.rows[0].id == 20_000 and window.at_newest


def test_a_refresh_changes_rows_in_place() -> None:
    history = History(50)
    window = HistoryWindow()
    window.begin_newest()
    window.take(Way.DOWN, history.answer(window.question(Way.DOWN)))
    page = HistoryPage(rows=[row(49, status=Status.DEAD), row(3)], oldest_id=1, newest_id=50)
    assert window.refresh(page) and not window.refresh(page)
    place = window.place(49)
    assert place is not None and window.rows[place].status is Status.DEAD
    assert window.place(3) is None


# --- marks ----------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("toggle"), st.integers(1, 20)),
        st.tuples(st.just("range"), st.integers(1, 20), st.integers(1, 20)),
    ),
    max_size=12,
)


@given(STEPS)
def test_marks_are_a_set_and_are_written_once_each_in_order(steps: list[tuple[Any, ...]]) -> None:
    marks, expected = Marks(), set[int]()
    for step in steps:
        if step[0] == "toggle":
            marks.toggle(step[1])
            expected ^= {step[1]}
        else:
            marks.begin(step[1])
            marks.end(step[2])
            expected |= set(range(min(step[1:]), max(step[1:]) + 1))
    assert {n for n in range(1, 21) if marks.holds(n)} == expected
    parts = parts_of(marks, None)
    written = [n for part in parts for n in range(part.low, part.high + 1) if n not in marks.without]
    assert written == sorted(expected)


async def test_single_events_and_spans_are_read_in_order() -> None:
    asked: list[QueryHistory] = []

    async def ask(question: QueryHistory) -> HistoryPage:
        asked.append(question)
        if question.ids:
            ids = sorted(question.ids, reverse=True)
            # No page holds more than two: the rest is asked for again.
            cursor = ids[1] if len(ids) > 2 else None
            return HistoryPage(events=[event(n) for n in ids[:2]], cursor=cursor)
        after, before = question.after_id or 0, question.before_id or 0
        ids = list(range(after + 1, before))
        cursor = ids[1] if len(ids) > 2 else None
        return HistoryPage(events=[event(n) for n in ids[:2]], cursor=cursor)

    marks = Marks(single={1, 3, 5, 30}, ranges=[(10, 15), (14, 18)], without={12})
    pages = [page async for page in read_parts(ask, HistoryFilter(), parts_of(marks, None), frozenset({12}))]
    ids = [one.id for page in pages for one in page]
    assert ids == [1, 3, 5, 10, 11, 13, 14, 15, 16, 17, 18, 30]


def event(event_id: int, **changes: Any) -> Event:
    values: dict[str, Any] = {"timestamp": "2026-03-14T15:41:40.000000Z", "event_type": "a.b", "payload": {}}
    return Event(id=event_id, **{**values, **changes})


# --- writing --------------------------------------------------------------------------------


async def pages_of(*pages: list[Event] | Exception) -> AsyncIterator[list[Event]]:
    for page in pages:
        if isinstance(page, Exception):
            raise page
        yield page


async def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(OSError, match="gone"):
        await Export(path, replace=False, told=lambda: None).run(pages_of([event(1)], OSError("gone")))
    assert os.listdir(tmp_path) == []
    assert await Export(path, replace=False, told=lambda: None).run(pages_of([event(1)], [event(2)]))
    assert os.listdir(tmp_path) == ["out.jsonl"]
    assert len(path.read_text().splitlines()) == 2


async def test_a_file_that_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("another's")
    with pytest.raises(Conflict):
        await Export(path, replace=False, told=lambda: None).run(pages_of([event(1)]))
    assert path.read_text() == "another's" and os.listdir(tmp_path) == ["out.jsonl"]
    assert await Export(path, replace=True, told=lambda: None).run(pages_of([event(1)]))
    assert path.read_text() != "another's"


@given(st.integers(0, 999_999))
def test_a_span_of_one_instant_holds_its_event_whatever_the_microsecond(micro: int) -> None:
    timestamp = f"2026-03-14T15:41:40.{micro:06}Z"
    until = to_iso(parse_time(acting.span_end(timestamp), NOW.timestamp()))
    assert until > timestamp
    assert to_iso(parse_time(timestamp, NOW.timestamp())) <= timestamp


def test_a_hostile_payload_is_one_safe_word_of_the_command() -> None:
    command = publish_command(event(1, payload={"a": "'; rm -rf / #\n\x1b[31m"}))
    import shlex

    assert len(shlex.split(command)) == 4


# --- lines ----------------------------------------------------------------------------------


@given(
    width=st.integers(1, 200),
    shown=st.sets(st.sampled_from(columns.NAMES)),
    bad=st.sampled_from(HOSTILE),
    state=st.sampled_from(DeliveryState),
)
def test_a_row_fills_its_width_exactly_whatever_it_holds(
    width: int, shown: set[str], bad: str, state: DeliveryState
) -> None:
    names = columns.chosen(list(shown))
    one = row(7, summary=bad, source=bad, event_type=bad, outcomes=((bad, state),))
    drawn = row_line(one, width, names, NOW, selected=True, marked=True)
    assert drawn.width == width
    head = heading(width, names)
    assert head is None or head.width <= width


def test_columns_leave_the_summary_its_room() -> None:
    drawn = row_line(row(7, summary="telling", outcomes=()), 118, columns.NAMES, NOW)
    assert "telling" in drawn.text


def test_where_an_event_lies() -> None:
    assert position(90, 1, 100) == "about 11 of 100"
    assert position(None, 1, 100) == position(1, None, None) == ""
    assert [thumb(n, 1, 1_001, 11) for n in (1_001, 501, 1)] == [0, 5, 10]
    assert thumb(3, 1, 5, 11) is None


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (60, [" #1842 mcp.server.down  2026-03-14T15:41:42.968000Z"]),
        (46, [" #1842 mcp.server.down  2026-03-14T15:41:42Z"]),
        (36, [" #1842 mcp.server.down", " 2026-03-14T15:41:42.968000Z"]),
        (24, [" #1842 mcp.server.down", " 2026-03-14T15:41:42Z"]),
        (20, [" #1842 mcp.server.d…", " 15:41:42Z"]),
    ],
)
def test_the_time_of_an_event_is_shortened_and_never_cut(width: int, head: list[str]) -> None:
    rows = [one.text for one in detail_lines(scene.detail(1842), width, ())]
    assert rows[: len(head)] == head
