"""Alerts: kept until they are seen, one line for a storm, and what a restart finds of them."""

from __future__ import annotations

from pathlib import Path

from event_monitor.bus.event_bus import EventBus
from event_monitor.model import Alert, Severity
from event_monitor.system.alerts import COALESCE, KEEP, AlertBook
from tests.bus.helpers import open_bus, rows


async def reopened(bus: EventBus) -> AlertBook:
    """What a program that starts now would read."""
    await bus.store.catch_up()
    book = AlertBook(bus.store, bus.clock)
    await book.load()
    return book


async def test_an_alert_is_raised_told_and_kept(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        told: list[Alert] = []
        book.on_raised = told.append
        alert = book.raise_alert(Severity.CRITICAL, "disk", "full", 7)
        assert told == [alert]
        assert (alert.severity, alert.title, alert.detail, alert.event_id) == ("critical", "disk", "full", 7)
        assert (alert.count, alert.acknowledged, alert.at) == (1, False, alert.last_at)
        assert (await reopened(bus)).newest(10) == (alert,)


async def test_an_alert_says_what_it_is_about_also_after_a_restart(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        book.raise_alert(Severity.WARNING, "breaker opened", about="github")
        book.raise_alert(Severity.WARNING, "breaker opened", about="target:log")
        assert [alert.about for alert in (await reopened(bus)).newest(10)] == ["target:log"]


async def test_a_storm_of_one_failure_is_one_alert(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        first = book.raise_alert(Severity.WARNING, "disk", "first")
        for count in range(999):
            book.raise_alert(Severity.WARNING, "disk", f"again {count}")
        other = book.raise_alert(Severity.WARNING, "network")
        newest, storm = book.newest(10)
        assert newest == other
        assert (storm.id, storm.count, storm.detail, storm.at) == (first.id, 1_000, "again 998", first.at)
        assert book.unacknowledged == 2
        assert (await reopened(bus)).newest(10) == (newest, storm)


class Hours:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    wall = steady = monotonic


async def test_a_minute_after_it_was_seen_the_same_failure_is_a_new_alert(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, clock := Hours())
        seen = book.raise_alert(Severity.WARNING, "disk")
        assert book.acknowledge(seen.id) == 1
        assert book.acknowledge(seen.id) == 0
        assert book.acknowledge(12_345) == 0
        clock.now += COALESCE
        again = book.raise_alert(Severity.WARNING, "disk")
        assert again.id > seen.id and again.count == 1
        book.raise_alert(Severity.INFO, "other")
        assert book.unacknowledged == 2
        assert book.acknowledge() == 2
        assert book.unacknowledged == 0
        assert [alert.acknowledged for alert in (await reopened(bus)).newest(10)] == [True] * 3


async def test_what_repeats_within_a_minute_is_counted_even_if_it_was_seen(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, clock := Hours())
        first = book.raise_alert(Severity.WARNING, "disk")
        for _ in range(5):
            book.acknowledge()
            clock.now += COALESCE / 6
            again = book.raise_alert(Severity.WARNING, "disk")
            assert (again.id, again.acknowledged) == (first.id, False)
        assert again.count == 6
        book.acknowledge()
        clock.now += COALESCE / 6
        assert book.raise_alert(Severity.WARNING, "disk").id != first.id


async def test_what_is_over_is_kept_and_counts_on_until_a_person_has_seen_it(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, clock := Hours())
        first = book.raise_alert(Severity.CRITICAL, "worse", "a is down")
        for number in range(2, 5):
            book.settle("worse", "over: a is up")
            assert book.unacknowledged == 0
            assert book.newest(1)[0].detail == "a is down; over: a is up"
            clock.now += 2 * COALESCE
            again = book.raise_alert(Severity.CRITICAL, "worse", "a is down")
            assert (again.id, again.count, again.acknowledged) == (first.id, number, False)
        book.settle("worse", "over")
        book.acknowledge()
        assert book.raise_alert(Severity.CRITICAL, "worse").id != first.id


async def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        last = [book.raise_alert(Severity.INFO, f"{number}") for number in range(3)][-1]
        again = await reopened(bus)
        assert again.raise_alert(Severity.INFO, "new").id == last.id + 1
        assert again.raise_alert(Severity.INFO, "0").count == 2


async def test_the_book_is_bounded_and_lets_the_seen_go_first(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        for number in range(KEEP):
            book.raise_alert(Severity.INFO, f"{number}")
        book.acknowledge(400)
        book.raise_alert(Severity.INFO, "one more")
        assert len(book.newest(10_000)) == KEEP
        assert 400 not in {alert.id for alert in book.newest(10_000)}
        book.raise_alert(Severity.INFO, "and one more")
        assert 1 not in {alert.id for alert in book.newest(10_000)}
        assert (await reopened(bus)).newest(10_000) == book.newest(10_000)
        await bus.store.catch_up()
    assert rows(tmp_path / "events.db", "SELECT COUNT(*) FROM alerts") == [(KEEP,)]


async def test_newest_answers_no_more_than_asked(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        for number in range(5):
            book.raise_alert(Severity.INFO, f"{number}")
        assert [alert.title for alert in book.newest(2)] == ["4", "3"]
        assert book.newest(0) == ()
