"""Times as people write them, stamps, and a clock that no jump of the wall clock can hurry."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.clock import LoopClock, Stamper, from_iso, nearest_iso, parse_time, to_iso
from event_monitor.errors import InvalidRequest
from tests.virtual import run_virtual

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", NOW),
        (" now ", NOW),
        ("-15m", NOW - 900),
        ("-2h", NOW - 7_200),
        ("-3d", NOW - 259_200),
        ("-1w", NOW - 604_800),
        ("-30s", NOW - 30),
        ("+5s", NOW + 5),
        ("-1.5h", NOW - 5_400),
        ("0", 0.0),
        ("1795000000.25", 1_795_000_000.25),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01", 1.0),
        ("1970-01-01T01:00:01+01:00", 1.0),
        ("1970-01-02", 86_400.0),
    ],
)
def test_times_that_people_write(text: str, seconds: float) -> None:
    assert parse_time(text, NOW) == seconds


@pytest.mark.parametrize(
    "text", ["", "-", "-m", "15m", "yesterday", "-5y", "2026-13-01", "2026-11-23T25:00:00Z", "--5m", "-m5"]
)
def test_texts_that_are_no_time(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a time") as caught:
        parse_time(text, NOW)
    assert "-15m" in caught.value.advice


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "-nanm", "-infd", "-1e999h"])
def test_a_time_is_finite(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a time"):
        parse_time(text, NOW)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))
def test_a_stamp_reads_back_to_within_a_microsecond(moment: datetime) -> None:
    epoch = moment.replace(tzinfo=UTC).timestamp()
    text = to_iso(epoch)
    assert len(text) == 27 and text.endswith("Z")
    assert abs(from_iso(text) - epoch) < 2e-6


# From 2106 on a float does not tell one microsecond from the next.
@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))
def test_a_time_that_was_read_is_written_as_it_was(moment: datetime) -> None:
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert nearest_iso(from_iso(text)) == text


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=20))
def test_stamps_sort_as_their_times_do(epochs: list[float]) -> None:
    stamp = Stamper()
    assert sorted(map(stamp, epochs)) == [stamp(epoch) for epoch in sorted(epochs)]


def test_the_last_microsecond_of_a_second_does_not_spill_over() -> None:
    assert to_iso(1.9999999) == "1970-01-01T00:00:01.999999Z"
    assert to_iso(2.0) == "1970-01-01T00:00:02.000000Z"


def test_a_jump_of_the_wall_clock_moves_no_deadline() -> None:
    async def main() -> None:
        wall = [1_000_000.0]
        clock = LoopClock(asyncio.get_running_loop(), lambda: wall[0])
        assert clock.steady() == 1_000_000.0
        wall[0] += 3_600.0
        assert clock.steady() == 1_000_000.0
        await asyncio.sleep(90)
        wall[0] -= 7_200.0
        assert clock.steady() == 1_000_090.0
        assert clock.wall() == 996_400.0

    run_virtual(main)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("-100000w", 0.0), ("-5", 0.0), ("0001-01-01", 0.0), ("1e18", 253_402_300_799.0), ("+99999w", None)],
)
def test_a_time_out_of_reach_is_the_nearest_that_can_be_stamped(text: str, seconds: float | None) -> None:
    found = parse_time(text, NOW)
    assert seconds is None or found == seconds
    assert len(to_iso(found)) == 27
