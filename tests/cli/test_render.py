"""Replies as tables and JSON; nothing from an event gets out of hand."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.grammar import render
from event_monitor.grammar.json_lines import render_json
from event_monitor.grammar.render_replay import progress_line
from event_monitor.grammar.table import Column, table
from event_monitor.grammar.text import clip, pad, plain, safe_json, width_of
from event_monitor.messages.catalogue import REPLY_OF
from event_monitor.model import (
    Alert,
    Delivery,
    DeliveryError,
    DeliveryState,
    Event,
    Latency,
    Priority,
    ReplayState,
    Severity,
    Snapshot,
    Status,
    SystemState,
    Transition,
)
from event_monitor.replies.dead_letters import (
    Corrected,
    DeadGroup,
    DeadGroups,
    RetryRun,
    RetryRuns,
    RetryState,
)
from event_monitor.replies.explorer import HistoryPage, Moment
from event_monitor.replies.general import (
    AdoptionPlan,
    Alerts,
    Analytics,
    AnalyticsRow,
    BreakerMove,
    BreakerReport,
    Breakers,
    BudgetReport,
    BulkheadReport,
    DeadLetter,
    DeadLetterPage,
    DeliveryReport,
    DiscoveredServerInfo,
    DiscoveredServers,
    Done,
    ErrorLine,
    EventDetail,
    EventPage,
    FallbackReport,
    HealthReport,
    LineError,
    LockInfo,
    Pong,
    ProbeAnswer,
    Published,
    PublishedLines,
    Route,
    ServiceDetail,
    ServiceHealth,
    ServiceRow,
    Services,
    StateReport,
    Stats,
    StormCount,
    Subscription,
    SubscriptionInfo,
    Subscriptions,
    TaskInfo,
    Tasks,
)
from event_monitor.replies.replays import (
    Histogram,
    ReplayedEvent,
    ReplayedEvents,
    ReplayPlan,
    ReplayReport,
    Replays,
    ReplayTargetInfo,
    ReplayTargets,
)
from event_monitor.replies.store import ImportedLines, StoredFile, StoreStats, StoreWork

TIME = "2026-11-23T20:15:30.123456Z"
HOSTILE = (
    "x\x1b[31m\x9b2J\x00\x07\r\n\t\u202e\u2066\u200b\u2028\ufeff\U000e0001\ue000[/bold][@click=app.quit]界é"
)


def breaker(text: str) -> BreakerReport:
    return BreakerReport(
        service=text,
        state="OPEN",
        failure_count=5,
        forced="open",
        retry_after=None,
        forced_by=text,
        forced_reason=text,
        last_error=text,
    )


def service_replies(text: str) -> list[object]:
    server = DiscoveredServerInfo(
        name=text,
        scope="user",
        transport="stdio",
        origin=text,
        project=text,
        shown=text,
        env=[text],
        headers=[text],
        service=text,
        health="pass",
        last_error=text,
        notes=[text],
    )
    return [
        Services(
            services=[
                ServiceRow(
                    service=text,
                    kind=text,
                    state=text,
                    breaker="OPEN",
                    startup="pass",
                    readiness="pass",
                    liveness="pass",
                )
            ]
        ),
        DiscoveredServers(servers=[server], notes=[text]),
        AdoptionPlan(
            service=text, server=server, fingerprint=text, file=text, entry=f"{text}\n{text}", cwd=text
        ),
    ]


def service_detail(text: str) -> ServiceDetail:
    return ServiceDetail(
        service=text,
        kind=text,
        startup="pass",
        readiness="fail",
        liveness="unknown",
        breaker="OPEN",
        circuit=breaker(text),
        timeline=["UNKNOWN", "CLOSED", "HALF_OPEN", "OPEN"],
        changes=[BreakerMove(at=TIME, from_state="CLOSED", to_state="OPEN", reason=text, by=text)],
        counters={"successes": 3},
        errors=[ErrorLine(error=text, count=2, last_at=TIME)],
        bulkhead=BulkheadReport(busy=1, max_concurrent=10, waiting=2, queue_size=50),
        probes=[ProbeAnswer(at=TIME, check="readiness", ms=2.0, error=text)],
        budget=BudgetReport(used=1, allowed=12, refused=0),
        fallbacks=FallbackReport(steps=[text], active=text),
        deliveries=DeliveryReport(handled=1, failed=0, timed_out=0, abandoned=0, parked=0),
        details={"command": text, "stderr": f"one\n{text}"},
    )


def replay_report(text: str) -> ReplayReport:
    return ReplayReport(
        id=7,
        state=ReplayState.PAUSED,
        since=TIME,
        until=TIME,
        type=text,
        filter=text,
        targets=[text],
        speed=0.5,
        events=20,
        replayed=5,
        failed=1,
        skipped=2,
        under_way=3,
        at=TIME,
        seconds_left=4_000,
        waits=text,
        note=text,
    )


def store_stats(text: str) -> StoreStats:
    return StoreStats(
        path=text,
        schema_version=4,
        size=8_192,
        free=4_096,
        wal=0,
        gives_back=True,
        events={text: 3},
        deliveries={text: 1},
        rows={text: 2},
        oldest=TIME,
        newest=text,
        retention_days=30,
        growth=1_000,
        levels_off_at=30_000,
        full_in=2.5,
        disk_free=2_500,
        logs=10,
        spool=1,
        aside=[StoredFile(text, 5)],
        wal_pinned=True,
    )


# Only the dashboard asks for these, and draws them itself.
FOR_SCREENS = {HistoryPage, Moment}


def replies(text: str) -> list[object]:
    """One reply of every type, with ``text`` wherever text from outside can stand."""
    event = Event(
        id=1,
        timestamp=TIME,
        event_type=text,
        payload={text: [text], "n": {"password": "hunter2"}},
        source=text,
    )
    info = SubscriptionInfo(name=text, pattern=text, handler=text, filter=text, created_at=TIME)
    failed = Delivery(
        event_id=1, target=text, state=DeliveryState.DEAD, attempts=3, errors=(DeliveryError(TIME, text),)
    )
    letter = DeadLetter(
        id=1,
        event_type=text,
        target=text,
        attempts=3,
        error=text,
        dead_at=TIME,
        priority=Priority.LOW,
        payload={text: text},
        errors=[{"at": TIME, "error": text}],
    )
    change = Transition(from_state=SystemState.HEALTHY, to_state=SystemState.DEGRADED, at=TIME, reason=text)
    row = AnalyticsRow(
        name=text, count=3, failures=1, success_rate=2 / 3, mean_ms=1.25, max_ms=None, last_at=TIME
    )
    group = DeadGroup(
        id=1,
        event_type=text,
        target=text,
        error=text,
        letters=3,
        first_at=TIME,
        last_at=TIME,
        first_id=1,
        last_id=3,
        sample=text,
    )
    run = RetryRun(
        id=1, state=RetryState.RUNNING, rate=2.5, letters=9, seconds_left=3.6, begun_by=text, waits=text
    )
    return [
        DeadGroups(groups=[group], total=2, letters=4, at=TIME),
        run,
        RetryRuns(runs=[run]),
        Corrected(id=2, event_type=text, priority=Priority.LOW, targets=[text], corrects=1, dropped=1),
        Done(count=1, message=text),
        Pong(pid=1, version=text, home=text),
        *(
            Published(id=7, event_type=text, priority=Priority.HIGH, status=status, targets=[text])
            for status in ("accepted", "duplicate", "spooled")
        ),
        PublishedLines(
            accepted=1, duplicates=2, first_id=1, last_id=2, errors=[LineError(0, "failed", text)]
        ),
        Subscription(subscription=info),
        Subscriptions(subscriptions=[info]),
        Stats(
            state=SystemState.HEALTHY,
            events_per_second=1234.5,
            queue_depth=1,
            published=2,
            delivered=3,
            pending=4,
            dead=5,
            parked=6,
            expired=7,
            sampled=8,
            latency_ms=Latency(p50=0.25),
            breakers={text: "OPEN"},
            targets={text: {text: 1.5, "count": 2}, "other": {}},
            uptime=90_061,
            rss_bytes=50_000_000,
            refused=3,
            shed={text: 4},
            storms=[StormCount(pattern="a.#", source=text, action="refuse", over=3, refused=3)],
        ),
        StateReport(state=SystemState.DEGRADED, since=TIME, reason=text, history=[change]),
        EventPage(events=[event]),
        EventDetail(event=event, targets=[text], deliveries=[failed], causes=[event], effects=[event]),
        DeadLetterPage(dead_letters=[letter], more=False),
        Route(event_type=text, priority=Priority.LOW, targets=[text], rules=[text], ttl=60),
        Alerts(alerts=[Alert(id=1, at=TIME, severity=Severity.CRITICAL, title=text, detail=text)]),
        breaker(text),
        Breakers(breakers=[breaker(text)]),
        HealthReport(
            services=[
                ServiceHealth(
                    service=text,
                    kind=text,
                    startup="pass",
                    readiness="fail",
                    liveness="unknown",
                    breaker="OPEN",
                    fallback=text,
                    error=text,
                    details={text: text},
                )
            ]
        ),
        service_detail(text),
        Analytics(by_type=[row], by_command=[row]),
        *service_replies(text),
        ReplayPlan(
            events=2,
            first=TIME,
            last=TIME,
            seconds=61.5,
            by_type={text: 2},
            by_target={text: 2},
            excluded={text: 1},
            why={text: text},
            speed="max",
        ),
        replay_report(text),
        Replays(replays=[replay_report(text)]),
        ReplayedEvents(
            replay_id=1,
            events=[
                ReplayedEvent(
                    id=9,
                    replay_of=1,
                    event_type=text,
                    summary=text,
                    replayed_at=TIME,
                    recorded_at=None,
                    status=Status.DEAD,
                    outcomes=((text, DeliveryState.DEAD),),
                    error=text,
                )
            ],
        ),
        ReplayTargets(targets=[ReplayTargetInfo(name=text, effect=text, why=text, pattern=text)]),
        Histogram(since=TIME, until=TIME, seconds=60, total=3, counts=[0, 3]),
        store_stats(text),
        StoreWork(
            id=1,
            kind=text,
            state="running",
            path=text,
            done=1,
            total=3,
            problems=[text],
            note=text,
            sha256=text,
        ),
        ImportedLines(accepted=1, duplicates=1, errors=[LineError(0, text, text)]),
        Tasks(
            tasks=[TaskInfo(name=text, state="waiting", age=1.5, event_id=1, waits_for=text, stack=[text])],
            locks=[LockInfo(name=text, owner=text, held=2.0)],
            loop=[text, text],
        ),
        Snapshot(
            at=TIME,
            home=text,
            version="1",
            uptime=1,
            pid=1,
            state=SystemState.HEALTHY,
            state_since=TIME,
            state_reason=text,
        ),
    ]


def assert_harmless(text: str) -> None:
    assert all(line.isprintable() for line in text.split("\n")), ascii(text)
    text.encode()


def test_every_reply_has_a_table() -> None:
    assert {type(reply) for reply in replies("x")} == set(REPLY_OF.values()) - FOR_SCREENS


@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
@pytest.mark.parametrize("reply", replies(HOSTILE), ids=lambda reply: type(reply).__name__)
def test_a_table_is_harmless(reply: object, width: int) -> None:
    text = render.render_table(reply, width)
    assert_harmless(text)
    assert "hunter2" not in text


@pytest.mark.parametrize("reply", replies("long " * 100), ids=lambda reply: type(reply).__name__)
def test_a_table_keeps_its_rows_whole(reply: object) -> None:
    if isinstance(reply, EventPage | DeadLetterPage | Alerts | Subscriptions):
        lines = render.render_table(reply, 120).split("\n")
        assert len(lines) == 2


@pytest.mark.parametrize("width", [1, 20, 80])
def test_a_replays_progress_is_one_harmless_line(width: int) -> None:
    line = progress_line(replay_report(HOSTILE), width)
    assert_harmless(line)
    assert_harmless(render.render_table(Replays(replays=[replay_report(HOSTILE)] * 2), width))
    assert "\n" not in line
    assert width_of(line) <= width


def test_a_flexible_table_fits_the_terminal() -> None:
    event = Event(id=123_456, timestamp=TIME, event_type="a." * 60 + "a", payload={"text": "界" * 300})
    for width in (80, 100, 200):
        lines = render.render_table(EventPage(events=[event]), width).split("\n")
        assert max(map(width_of, lines)) <= width
        assert width_of(render.event_line(event, width)) <= width


def test_empty_lists_are_said_in_words() -> None:
    empty = [
        EventPage(events=[]),
        DeadLetterPage(dead_letters=[], more=False),
        Alerts(alerts=[]),
        Subscriptions(subscriptions=[]),
        Analytics(by_type=[], by_command=[]),
        DiscoveredServers(servers=[]),
    ]
    shown = [render.render_table(reply, 80) for reply in empty]
    assert shown == [
        "no events",
        "no dead letters",
        "no alerts",
        "no kept subscriptions",
        "nothing was counted yet",
        "your assistant declares no MCP server",
    ]


def test_what_is_no_reply_is_refused() -> None:
    with pytest.raises(TypeError, match="int"):
        render.render_table(1, 80)


def test_figures_have_units() -> None:
    text = render.render_table(next(r for r in replies("x") if isinstance(r, Stats)), 80)
    for part in ("1,234.5", "p50 0.2 ms, p95 -", "47.7 MiB", "1 d 1 h"):
        assert part in text


@pytest.mark.parametrize("reply", replies("x"), ids=lambda reply: type(reply).__name__)
def test_json_is_one_object_a_line(reply: object) -> None:
    lines = list(render_json(reply))
    assert len(lines) == 1
    assert all(isinstance(json.loads(line), dict) and b"\n" not in line for line in lines)


def test_json_of_lists_is_their_items() -> None:
    events = [Event(id=number, timestamp=TIME, event_type="a", payload={}) for number in (1, 2)]
    assert [json.loads(line)["id"] for line in render_json(EventPage(events=events))] == [1, 2]


@given(st.text(st.characters()))
def test_plain_text_is_printable_and_of_the_same_length(text: str) -> None:
    assert plain(text).isprintable() or not text
    assert len(plain(text)) == len(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_safe_json_is_the_same_value(text: str) -> None:
    encoded = safe_json(msgspec.json.encode({"x": text}).decode())
    assert encoded.isprintable()
    assert json.loads(encoded) == {"x": text}


@given(st.text(), st.integers(0, 30))
def test_clipped_and_padded_text_has_its_width(text: str, width: int) -> None:
    clean = plain(text)
    assert width_of(clip(clean, width)) <= width
    assert width_of(pad(clip(clean, width), width)) == width


def test_wide_characters_take_two_cells() -> None:
    assert (width_of("界a"), clip("界界界", 4), clip("e\u0301x", 2)) == (3, "界…", "e\u0301x")


def test_columns_give_way_widest_first() -> None:
    shown = table(
        (Column("A"), Column("B", flexible=True), Column("C", right=True, flexible=True)),
        [("fixed", "b" * 40, "c" * 10), ("x", "b", "1")],
        30,
    )
    assert shown.split("\n") == [
        "A      B                     C",
        "fixed  bbbbbbbbbb…  cccccccccc",
        "x      b                     1",
    ]
