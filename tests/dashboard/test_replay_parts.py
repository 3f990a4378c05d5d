"""The parts of the Replay tab that need no screen: spans and windows, times, speeds, lines."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.clock import from_iso
from event_monitor.dashboard.replay import lines
from event_monitor.dashboard.replay.question import SPEEDS, Question, next_speed, remembered_speed
from event_monitor.dashboard.replay.span import BUCKETS, Span, Window, covering, iso
from event_monitor.dashboard.replay.times import read_time, span_text, written
from event_monitor.errors import InvalidRequest
from event_monitor.model import Status
from event_monitor.widgets.histogram import History, histogram_lines
from tests.dashboard import replay_scene, scene
from tests.dashboard.test_life import HOSTILE, assert_clean

NOW = scene.NOW.timestamp()
moments = st.floats(1e9, 2e9, allow_nan=False)
windows = st.builds(
    lambda bucket, columns, at, offset: Window(at, bucket, columns, offset).ending(at),
    st.sampled_from(BUCKETS),
    st.integers(1, 300),
    moments,
    st.sampled_from([0.0, 3_600.0, 20_700.0, -34_200.0]),
)
spans = st.builds(lambda since, length: Span(since, since + length), moments, st.floats(1e-3, 1e8))


@given(windows, spans)
def test_a_window_can_show_any_span_or_its_beginning(window: Window, span: Span) -> None:
    shown = window.showing(span)
    assert (shown.bucket, shown.columns) == (window.bucket, window.columns)
    assert 0 <= shown.column(span.since) < shown.columns
    if span.seconds <= window.span.seconds - 2 * window.bucket:
        assert shown.column_after(span.until) <= shown.columns


@given(windows, st.integers(-5, 5), st.floats(0, 1))
def test_zooming_keeps_what_is_looked_at_on_the_screen(window: Window, steps: int, share: float) -> None:
    around = window.since + share * window.span.seconds
    zoomed = window.zoomed(steps, around)
    assert zoomed.columns == window.columns
    assert -1 <= zoomed.column(around) <= zoomed.columns
    place = BUCKETS.index(window.bucket) - steps
    assert zoomed.bucket == BUCKETS[min(max(place, 0), len(BUCKETS) - 1)]


@given(spans, st.integers(1, 300))
def test_all_of_a_span_fits_its_covering_window(span: Span, columns: int) -> None:
    window = covering(span, columns, 0.0)
    assert window.columns == columns and window.until >= span.until - 1e-3
    assert window.since <= span.since or window.bucket == BUCKETS[-1]


@given(windows)
def test_the_parts_of_a_window_begin_at_whole_local_times(window: Window) -> None:
    local = (window.since + window.offset) / window.bucket
    assert local == pytest.approx(round(local), abs=1e-3)


@given(spans, spans)
def test_a_span_is_kept_within_history(span: Span, bounds: Span) -> None:
    kept = span.within(bounds)
    assert kept.since >= bounds.since - 1e-3 and kept.until <= bounds.until + 1e-3
    assert kept.seconds == pytest.approx(min(span.seconds, bounds.seconds), abs=1e-3)


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_recorded_time_survives_being_a_float(microseconds: int) -> None:
    moment = microseconds / 1e6
    text = iso(moment)
    assert iso(from_iso(text)) == text
    assert text.endswith(f".{microseconds % 1_000_000:06}Z")


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("14:02", -100 * 60 - 7),
        ("14:02:10", -99 * 60 - 57),
        ("15:42:07", 0),
        ("23:00", -(16 * 3_600 + 42 * 60 + 7)),
        ("2026-03-14 14:02", -100 * 60 - 7),
        ("2026-03-14T14:02:00Z", -100 * 60 - 7),
        ("2026-03-14 16:02:00+02:00", -100 * 60 - 7),
        ("-15m", -900),
        ("now", 0),
        (str(NOW - 5), -5),
    ],
)
def test_a_typed_time_is_local_and_has_been(typed: str, seconds: float) -> None:
    assert read_time(typed, NOW) == pytest.approx(NOW + seconds)


@pytest.mark.parametrize("typed", ["", "25:00", "14:61", "2026-13-01", "soon", "[/nope]", "9" * 400])
def test_what_is_no_time_is_refused_with_what_would_be_one(typed: str) -> None:
    with pytest.raises(InvalidRequest, match="14:02"):
        read_time(typed, NOW)


@given(st.integers(10**15, 2 * 10**15))
def test_a_time_that_is_written_can_be_typed_again(microseconds: int) -> None:
    moment = microseconds / 1e6
    assert read_time(written(moment), 4e9) == pytest.approx(moment, abs=2e-6)


def test_spans_are_told_as_short_as_they_can_be() -> None:
    assert span_text(NOW - 7, NOW + 53) == "Mar 14 15:42 – 15:43"
    assert span_text(NOW, NOW + 1) == "Mar 14 15:42:07 – 15:42:08"
    assert span_text(NOW, NOW + 0.25) == "Mar 14 15:42:07.000 – 15:42:07.250"
    assert span_text(NOW - 7, NOW - 7 + 86_400) == "Mar 14 15:42 – Mar 15 15:42"


def test_speeds_go_up_and_down_in_usual_steps() -> None:
    assert [next_speed(speed, 1) for speed in SPEEDS] == [*SPEEDS[1:], "max"]
    assert [next_speed(speed, -1) for speed in SPEEDS] == [0.1, *SPEEDS[:-1]]
    assert (next_speed(3.0, 1), next_speed(3.0, -1)) == (5.0, 2.0)
    assert [remembered_speed(value) for value in (5, "max", 7, None, "x", [])] == [
        5.0,
        "max",
        1.0,
        1.0,
        1.0,
        1.0,
    ]


@given(
    st.lists(st.integers(0, 10**9), max_size=80),
    st.integers(1, 120),
    st.integers(1, 20),
    st.integers(-50, 150),
    st.integers(1, 100),
    st.sampled_from(BUCKETS),
)
def test_a_histogram_fits_its_place_and_shows_each_column_that_has_events(
    counts: list[int], width: int, height: int, first: int, length: int, bucket: float
) -> None:
    label = "Mar 14 14:02:10 – 14:31:40 · 1,204 events"
    history = History(
        tuple(counts), NOW, bucket, 0.0, first, first + length, label=label, short_label="14:02 – 14:31"
    )
    drawn = histogram_lines(history, width, height)
    assert len(drawn) <= height
    assert all(one.width <= width for one in drawn)
    bottom = drawn[max(1, height - 2) - 1].text
    for column, value in enumerate(counts[:width]):
        assert (bottom[column] == "·") == (value == 0)


@pytest.mark.parametrize("size", [(1, 1), (20, 3), (38, 3), (38, 12), (56, 20), (120, 40)])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_only_text_wherever_they_stand(text: str, size: tuple[int, int]) -> None:
    width, height = size
    question = Question(Span(NOW - 60, NOW), text, text, (text,))
    plan = msgspec.structs.replace(
        replay_scene.plan(Question(Span(NOW - 60, NOW), "a.b").plan()),
        by_type={text: 3},
        by_target={text: 2},
        excluded={text: 1, "filtered": 2},
        why={text: text, "filtered": "events " + text},
    )
    report = replay_scene.report(7, type=text, filter=text, targets=[text], note=text, waits=text)
    result = msgspec.structs.replace(
        replay_scene.results()[0], event_type=text, summary=text, error=text, status=Status.DEAD
    )
    info = msgspec.structs.replace(replay_scene.ReplayTargetInfo(name=text, effect=text), pattern=text)
    drawn = [
        *lines.plan_lines(plan, question, width, height),
        *lines.play_lines(plan, question, [info], width),
        *lines.warning_lines([info], 5, width),
        *lines.stop_lines(report, width),
        *lines.runs_lines([report], report, [result], width, height),
        *lines.runs_lines([report], None, [], width, height),
        *lines.results_lines([result], width),
    ]
    assert_clean([one.text for one in drawn])
    assert all(one.width <= width for one in drawn)


def test_the_keys_for_what_has_failed_are_those_that_work() -> None:
    report = replay_scene.report(12)

    def offered(keys: dict[str, str]) -> list[str]:
        rows = lines.runs_lines([report], report, [], 80, 20, lambda action: keys.get(action, ""))
        return [row.text.strip() for row in rows if "results" in row.text or "dead letters" in row.text]

    assert offered({"replay_failures": "D", "replay_results": "v"}) == [
        "D dead letters   v results with errors"
    ]
    assert offered({"replay_results": "v"}) == ["v results with errors"]
