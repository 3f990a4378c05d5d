"""Pages of history: what they hold is exactly what passes, and no page looks at much."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.bus import explorer, schema
from event_monitor.bus.wanted import make_ready
from event_monitor.clock import to_iso
from event_monitor.messages import HistoryFilter, HistoryTerms
from event_monitor.model import PRIORITIES, Status
from event_monitor.topics import TopicPattern
from tests.bus import big_history
from tests.bus.big_history import BEGUN, DELIVERY, GAP

COUNT = 200_000
NOW = BEGUN + COUNT * GAP


@pytest.fixture(scope="session")
def long_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "events.db"
    big_history.record(path, COUNT)
    return path


@pytest.fixture
def history(long_history: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(long_history)
    yield connection
    connection.close()


def walk(connection: sqlite3.Connection, where: HistoryFilter, **options: Any) -> list[explorer.Found]:
    """All pages that a filter makes."""
    wanted = make_ready(where, NOW)
    pages: list[explorer.Found] = []
    newest_first = options.get("newest_first", True)
    while not pages or pages[-1].cursor is not None:
        edge = {"before_id" if newest_first else "after_id": pages[-1].cursor} if pages else {}
        pages.append(explorer.read_page(connection, wanted, **{"clock": lambda: 0.0, **options, **edge}))
    return pages


def ids(pages: list[explorer.Found]) -> list[int]:
    return [row[0] for page in pages for row in page.rows]


# --- bounded --------------------------------------------------------------------------------


def test_paging_looks_at_no_more_than_it_shows(history: sqlite3.Connection) -> None:
    before: int | None = None
    for _ in range(5):
        page = explorer.read_page(
            history, make_ready(HistoryFilter(), NOW), clock=lambda: 0.0, before_id=before
        )
        assert (len(page.rows), page.scanned) == (100, 100)
        before = page.cursor
    assert before == COUNT - 499


def test_both_ends_and_the_middle_cost_the_same(history: sqlite3.Connection) -> None:
    for options in ({}, {"before_id": COUNT // 2}, {"newest_first": False}, {"before_id": 101}):
        page = explorer.read_page(
            history, make_ready(HistoryFilter(), NOW), clock=lambda: 0.0, **{"limit": 100, **options}
        )
        assert (len(page.rows), page.scanned) == (100, 100)


@pytest.mark.parametrize(
    "where",
    [
        HistoryFilter(types=("rare.find",)),
        HistoryFilter(types=("rare.#",)),
        HistoryFilter(statuses=(Status.DEAD,)),
        HistoryFilter(without=HistoryTerms(types=("load.#",))),
    ],
    ids=["type", "pattern", "status", "without"],
)
def test_what_an_index_knows_is_found_at_once(history: sqlite3.Connection, where: HistoryFilter) -> None:
    rare = list(range(COUNT, 0, -big_history.RARE))
    (page,) = walk(history, where)
    assert (ids([page]), page.scanned) == (rare, len(rare))


@pytest.mark.parametrize(
    "where",
    [
        HistoryFilter(words=("NEEDLE",)),
        HistoryFilter(regexes=("need.e",)),
        HistoryFilter(words=("needle",), types=("load.#",)),
    ],
    ids=["word", "regex", "word and type"],
)
def test_a_rare_match_is_searched_for_in_bounded_steps(
    history: sqlite3.Connection, where: HistoryFilter
) -> None:
    pages = walk(history, where)
    hidden = [n for n in range(COUNT, 0, -1) if n % big_history.HIDDEN == 0]
    assert ids(pages) == hidden
    assert len(pages) >= COUNT // explorer.SCANNED
    assert max(page.scanned for page in pages) <= explorer.SCANNED
    reached = [page.reached for page in pages if page.cursor is not None]
    assert reached == sorted(reached, reverse=True) and None not in reached


def test_a_slow_search_gives_way_and_goes_on(history: sqlite3.Connection) -> None:
    """The clock says that every step takes a second: each page ends with its first one."""
    ticks = iter(range(1_000_000))
    pages = walk(history, HistoryFilter(words=("needle",)), clock=lambda: float(next(ticks)), limit=1)[:50]
    assert all(page.scanned <= 512 for page in pages)


def test_a_span_is_reached_without_a_search(history: sqlite3.Connection) -> None:
    where = HistoryFilter(since=to_iso(BEGUN + 1_000 * GAP), until=to_iso(BEGUN + 1_100 * GAP))
    pages = walk(history, where)
    assert ids(pages) == list(range(1_099, 999, -1))
    assert sum(page.scanned for page in pages) < 300


def test_a_reader_leaves_no_transaction_behind(long_history: Path, history: sqlite3.Connection) -> None:
    wanted = make_ready(HistoryFilter(types=("load.#",)), NOW)
    explorer.read_page(history, wanted, clock=lambda: 0.0, limit=3)
    explorer.read_page(history, make_ready(HistoryFilter(words=("hay",)), NOW), clock=lambda: 0.0, limit=3)
    writer = sqlite3.connect(long_history, isolation_level=None)
    writer.execute("UPDATE counters SET value = value WHERE name = 'accepted'")
    assert writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    writer.close()


def test_a_moment_is_found_by_its_time(history: sqlite3.Connection) -> None:
    def at(seconds: float) -> int | None:
        found = explorer.find_moment(history, to_iso(BEGUN + seconds))
        return None if found is None else found[0]

    assert at(1_000 * GAP) == 1_000
    assert at(1_000 * GAP + 0.1) == 1_000
    assert at(-1.0) == 1
    assert at(COUNT * GAP + 100) == COUNT


def test_what_was_missed_is_counted_as_far_as_that_is_cheap(history: sqlite3.Connection) -> None:
    assert explorer.count_between(history, 10, 20) == (9, False)
    assert explorer.count_between(history, 10, 11) == (0, False)
    assert explorer.count_between(history, 0, COUNT) == (explorer.COUNTED, True)


def test_a_page_of_large_payloads_is_short() -> None:
    connection = small_store([{"text": "x" * 200_000}] * 10)
    pages = walk(connection, HistoryFilter())
    assert [len(page.rows) for page in pages] == [3, 3, 3, 1]


# --- exact ----------------------------------------------------------------------------------

TYPES = ("a.b", "a.c", "a.b.c", "d")
SOURCES = (None, "hook", "Größe", "50%_off", "a*b")
TEXTS = ("plain", "ÄPFEL und Birnen", 'quo"ted', "100%", "under_score", "back\\slash", "Straße", "漢字")
STATES = ("queued", "retrying", "parked", "dead")


def small_store(payloads: list[dict[str, Any]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate_to_newest(connection)
    for number, payload in enumerate(payloads, 1):
        connection.execute(
            "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count) "
            "VALUES (?, ?, 'a.b', ?, 'delivered', 0)",
            (number, to_iso(BEGUN + number), json.dumps(payload)),
        )
    return connection


def varied_store(count: int = 160) -> sqlite3.Connection:
    """Events of every kind, with gaps between the ids and a clock that was set back once."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate_to_newest(connection)
    for number in range(count):
        event_id = number * 3 + 7
        status = list(Status)[number % 5]
        back = 40 if 60 <= number < 90 else 0
        connection.execute(
            "INSERT INTO events (id, timestamp, event_type, payload, status, retry_count, priority, "
            "queued, source, correlation_id, causation_id) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
            (
                event_id,
                to_iso(BEGUN + number - back),
                TYPES[number % 4],
                json.dumps({"text": TEXTS[number % 8], "n": number}, ensure_ascii=False),
                status.value,
                number % 3,
                1 if status is Status.PENDING and number % 2 else None,
                SOURCES[number % 5],
                f"c{number % 6}" if number % 2 else None,
                7 if number % 9 == 1 else None,
            ),
        )
        if status is Status.PENDING and number % 2 == 0:
            for target in ("log", "alert"):
                connection.execute(
                    f"INSERT INTO deliveries {DELIVERY} VALUES (?, ?, ?, 2, 1, NULL, '[]', '2026')",
                    (event_id, target, STATES[number // 2 % 3]),
                )
        if status is Status.DEAD:
            connection.execute(
                f"INSERT INTO deliveries {DELIVERY} VALUES (?, 'log', 'dead', 2, 1, NULL, '[]', '2026')",
                (event_id,),
            )
    return connection


def fits(row: dict[str, Any], where: HistoryFilter) -> bool:
    """The promise in plain words, to compare with."""
    tests = _tests(row, where)
    without = _tests(row, where.without)
    moment = row["timestamp"]
    return (
        all(tests)
        and not any(without)
        and (where.since is None or moment >= where.since)
        and (where.until is None or moment < where.until)
        and (where.correlation is None or row["correlation_id"] == where.correlation)
        and (where.cause is None or row["causation_id"] == where.cause)
        and (where.event_id is None or row["id"] == where.event_id)
    )


def _tests(row: dict[str, Any], terms: HistoryTerms) -> list[bool]:
    texts = (row["event_type"], row["source"] or "", row["payload"])
    tests = []
    if terms.types:
        tests.append(any(TopicPattern(pattern).matches(row["event_type"]) for pattern in terms.types))
    if terms.statuses:
        tests.append(row["status"] in terms.statuses)
    if terms.priorities:
        tests.append(PRIORITIES[row["priority"]] in terms.priorities)
    if terms.sources:
        wild = ["".join(".*" if c == "*" else re.escape(c) for c in source) for source in terms.sources]
        flags = re.IGNORECASE | re.DOTALL | re.ASCII
        tests.append(any(re.fullmatch(one, row["source"] or "", flags) for one in wild))
    tests += [any(word.casefold() in text.casefold() for text in texts) for word in terms.words]
    tests += [any(re.search(regex, text) for text in texts) for regex in terms.regexes]
    return tests


def some(*values: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


TERMS: dict[str, st.SearchStrategy[Any]] = {
    "types": some("a.b", "a.*", "a.#", "#.c", "d", "nothing"),
    "statuses": some(*Status),
    "priorities": some(*PRIORITIES),
    "sources": some("hook", "HO*", "50%_off", "größe", "*"),
    "words": some("Plain", "äpfel", "BIRNEN", "100%", "r_s", "\\\\", "straße", "STRASSE", "漢字", "hook"),
    "regexes": some("^a", "c$", "[0-9]5", "ß", '"n": ?1'),
}
TIMES = st.none() | st.integers(0, 170).map(lambda second: to_iso(BEGUN + second))
FILTERS = st.builds(
    HistoryFilter,
    **TERMS,
    without=st.builds(HistoryTerms, **TERMS),
    since=TIMES,
    until=TIMES,
    correlation=st.sampled_from([None, None, "c1", "c3"]),
    cause=st.sampled_from([None, None, None, 7]),
    event_id=st.sampled_from([None, None, None, 7, 8, 70]),
)


class Varied:
    """A store of every kind of event, and what stands in it. Its repr is short, for Hypothesis."""

    def __init__(self) -> None:
        self.connection = varied_store()
        cursor = self.connection.execute("SELECT * FROM events ORDER BY id")
        names = [column[0] for column in cursor.description]
        self.rows = [dict(zip(names, row, strict=True)) for row in cursor]


@pytest.fixture(scope="module")
def varied() -> Iterator[Varied]:
    store = Varied()
    yield store
    store.connection.close()


@settings(deadline=None, max_examples=300)
@given(where=FILTERS, newest_first=st.booleans(), limit=st.integers(1, 40), slow=st.booleans())
def test_pages_hold_exactly_what_passes(
    varied: Varied,
    where: HistoryFilter,
    newest_first: bool,
    limit: int,
    slow: bool,
) -> None:
    connection = varied.connection
    expected = [row["id"] for row in varied.rows if fits(row, where)]
    if newest_first:
        expected.reverse()
    ticks = iter(range(1_000_000))
    clock = (lambda: float(next(ticks))) if slow else (lambda: 0.0)
    assert ids(walk(connection, where, newest_first=newest_first, limit=limit, clock=clock)) == expected
